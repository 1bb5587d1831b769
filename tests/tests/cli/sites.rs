//! `dr mirror` of many sites, in time, going on, and back: on hosts with OpenSSH, as an operator's machine does it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dr_tests::{Port, Sshd, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::desk::{Desk, Said, account, at, last, tree};

/// `dr` is there already: to put it onto a host takes some time, and is tested elsewhere.
fn there_already() -> [&'static str; 2] {
    ["--agent-path", dr_tests::dr().to_str().unwrap()]
}

/// Long enough for any of it on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Two hosts, a third one that is away, and an estate of sites between them.
struct Land {
    desk: Desk,
    uk: Sshd,
    us: Sshd,
    _nobody: Port,
}

impl Land {
    fn new(policy: &str) -> Self {
        let (desk, uk, us, nobody) = (Desk::new(), Sshd::start(), Sshd::start(), Port::free());
        desk.key_for(&[&uk, &us]);
        let host = |name: &str, account: &str, sshd: &Sshd| {
            format!(
                "[hosts.{name}]\nssh = \"{account}\"\nhost_keys = [\"{}\"]\nidentity = \"{}\"\nstate_dir = \"{}\"\n\n",
                sshd.host_key(),
                desk.path("key"),
                sshd.home().join("dr-state").display()
            )
        };
        let away = format!("{}@{}", uk.user(), nobody.addr());
        let hosts =
            host("uk", &account(&uk), &uk) + &host("us", &account(&us), &us) + &host("nl", &away, &uk);
        let tree = |name: &str, home: &Sshd, standby: &Sshd| {
            let path = |sshd: &Sshd| sshd.home().join("www").join(name).display().to_string();
            format!("[{{ path = \"{}\", on_standby = \"{}\" }}]", path(home), path(standby))
        };
        let site = |name: &str, home: (&str, &Sshd), standby: (&str, &Sshd), more: &str| {
            let trees = tree(name, home.1, standby.1);
            format!(
                "[sites.{name}]\nhome = \"{}\"\nstandby = \"{}\"\ntrees = {trees}\n{more}\n",
                home.0, standby.0
            )
        };
        let sites = site("blog", ("uk", &uk), ("us", &us), "exclude = [\"*.tmp\", \"!keep.tmp\"]\n")
            + &site("news", ("uk", &uk), ("nl", &us), "")
            + &site("old", ("uk", &uk), ("us", &us), "mirror = false\n")
            + &site("shop", ("us", &us), ("uk", &uk), "exclude = [\"cache/\"]\nmirror_every = \"5m\"\n")
            + &site("wiki", ("uk", &uk), ("us", &us), "generations = 1\n");
        desk.write("dr.toml", &format!("{hosts}{sites}{policy}"));
        let land = Self { desk, uk, us, _nobody: nobody };
        for (site, home) in [
            ("blog", &land.uk),
            ("news", &land.uk),
            ("old", &land.uk),
            ("shop", &land.us),
            ("wiki", &land.uk),
        ] {
            for (name, text) in
                [("index.html", site), ("cache/page", "x"), ("note.tmp", "x"), ("keep.tmp", "x")]
            {
                let path = Self::www(home, site).join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
        }
        fs::create_dir_all(land.us.home().join("www")).unwrap();
        fs::create_dir_all(land.uk.home().join("www")).unwrap();
        land
    }

    fn exits(&self, code: i32, words: &[&str]) -> Said {
        self.desk.exits(code, &[words, &there_already()].concat())
    }

    fn www(host: &Sshd, site: &str) -> PathBuf {
        host.home().join("www").join(site)
    }
}

fn names(root: &Path) -> Vec<String> {
    tree(root).into_iter().map(|(path, _)| path.display().to_string()).collect()
}

#[test]
fn all_sites_go_each_by_its_own_rules_and_a_host_that_is_away_fails_its_own() {
    let land = Land::new("[policy]\nmirrors = { at_once = 3, per_host = 2 }\n");
    let desk = &land.desk;
    land.exits(12, &["mirror", "--all", "--dry-run"]).has(&["mirror site blog from uk to us", "127.0.0.1"]);
    for (host, site) in [(&land.us, "blog"), (&land.uk, "shop"), (&land.us, "wiki")] {
        assert!(!Land::www(host, site).exists(), "a dry run changes nothing");
    }
    let said = land.exits(1, &["mirror", "--all"]);
    said.has(&["news was not mirrored", "mirror.site_failed"]);
    assert_eq!(names(&Land::www(&land.us, "blog")), ["cache/page", "index.html", "keep.tmp"], "{said}");
    assert_eq!(names(&Land::www(&land.uk, "shop")), ["index.html", "keep.tmp", "note.tmp"]);
    assert_eq!(names(&Land::www(&land.us, "wiki")), ["cache/page", "index.html", "keep.tmp", "note.tmp"]);
    assert!(!Land::www(&land.us, "old").exists() && !Land::www(&land.us, "news").exists());

    let lines = desk.json(1, &[&["mirror", "--all"][..], &there_already()].concat());
    let sites = last(&lines, "result")["sites"].as_object().unwrap();
    assert_eq!(sites.keys().collect::<Vec<_>>(), ["blog", "news", "shop", "wiki"]);
    for (name, site) in sites {
        assert_eq!(site.get("error").is_some(), name == "news", "{name}: {site}");
    }
    let report = last(&lines, "report");
    assert_eq!(
        (&report["figures"]["mirrored_sites"], &report["figures"]["failed_sites"]),
        (&json!(3), &json!(1))
    );
    let subjects: Vec<_> =
        report["findings"].as_array().unwrap().iter().map(|f| &f["subject"]["name"]).collect();
    assert_eq!(subjects, [&json!("news")]);
    assert_eq!(lines.iter().filter(|(kind, _)| kind == "report").count(), 1, "one report for all");

    // Only those of one period.
    land.exits(0, &["mirror", "--all", "--every", "5m"]);
    land.exits(18, &["mirror", "--all", "--every", "7m"]).has(&["7m"]);

    // What one site may not do stops that one, and a dry run says which guard it is.
    fs::remove_dir_all(Land::www(&land.us, "shop")).unwrap();
    fs::create_dir(Land::www(&land.us, "shop")).unwrap();
    fs::write(Land::www(&land.uk, "blog").join("index.html"), "a newer blog").unwrap();
    land.exits(12, &["mirror", "--all", "--dry-run"]).has(&["is empty", "index.html"]);
    land.exits(10, &["mirror", "--all", "--every", "5m", "--dry-run"]).has(&["shop", "is empty"]);
    land.exits(1, &["mirror", "--all"]).has(&["news was not mirrored", "shop was not mirrored", "empty"]);
    assert_eq!(fs::read_to_string(Land::www(&land.us, "blog").join("index.html")).unwrap(), "a newer blog");
    assert_eq!(names(&Land::www(&land.uk, "shop")).len(), 3);
}

#[test]
fn one_site_at_a_time_if_the_estate_says_so() {
    let land = Land::new("[policy]\nmirrors = { at_once = 1, per_host = 1 }\n");
    let lines = land.desk.json(1, &[&["mirror", "--all"][..], &there_already()].concat());
    let mut order: Vec<String> = vec![];
    for (_, event) in lines.iter().filter(|(kind, _)| kind == "event") {
        let text = event.to_string();
        let of = ["blog", "shop", "wiki"].into_iter().find(|site| text.contains(&format!("{site}: ")));
        if let Some(site) = of.filter(|site| order.last().is_none_or(|last| last != site)) {
            order.push(site.to_owned());
        }
    }
    assert_eq!(order, ["blog", "shop", "wiki"], "no two at once");
}

#[test]
fn schedules_are_what_systemd_and_cron_take() {
    let land = Land::new("[policy]\nmirrors = { every = \"12h\" }\n");
    let desk = &land.desk;
    let units = desk.json(0, &["mirror", "--schedule", "systemd"]);
    let units = last(&units, "result")["units"].as_object().unwrap().clone();
    let files: Vec<String> = units
        .iter()
        .map(|(name, text)| desk.write(&format!("units/{name}"), text.as_str().unwrap()))
        .collect();
    assert_eq!(files.len(), 6, "a service and a timer for each of two periods, and for a check: {files:?}");
    // It says nothing of units that it has no objection to.
    match Command::new("systemd-analyze")
        .arg("verify")
        .args(&files)
        .env("SYSTEMD_UNIT_PATH", desk.path("units:"))
        .output()
    {
        Ok(checked) => {
            let said = String::from_utf8_lossy(&checked.stderr);
            let of_ours: Vec<_> =
                said.lines().filter(|line| line.contains("dr-mirror") || line.contains("dr-check")).collect();
            assert!(of_ours.is_empty(), "{of_ours:#?}");
        }
        Err(why) => assert_eq!(why.kind(), std::io::ErrorKind::NotFound),
    }
    let shown = land.exits(0, &["mirror", "--schedule", "systemd"]);
    shown.has(&["dr-mirror-5m.timer", "OnUnitActiveSec=300s", "systemctl enable --now"]);

    // Whatever the shell of cron makes of its line must mirror the sites of that period.
    let crontab = land.exits(0, &["mirror", "--schedule", "cron"]).out;
    let lines: Vec<_> = crontab.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 3, "{crontab}");
    for (line, site) in lines.iter().zip(["shop", "blog"]) {
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        for (field, most) in words[..5].iter().zip([59, 23, 31, 12, 7]) {
            let number = field.trim_start_matches("*/").replace('*', "0");
            assert!(number.parse::<u32>().is_ok_and(|number| number <= most), "{line}");
        }
        let mut shell = Command::new("sh");
        shell.args(["-c", words[5]]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        shell.env("HOME", desk.home()).env("XDG_STATE_HOME", desk.home());
        let said = Said::of(shell.output().unwrap());
        assert_eq!(
            said.code,
            i32::from(site == "blog"),
            "news is away, with the others of its period: {said}"
        );
        let host = if site == "shop" { &land.uk } else { &land.us };
        assert!(Land::www(host, site).join("index.html").exists(), "{line}");
    }
}

#[test]
fn the_record_of_a_mirror_is_sealed_and_what_was_made_up_is_told() {
    let land = Land::new("[policy]\nmirrors = { seal_file = \"seal.key\" }\n");
    let desk = &land.desk;
    land.exits(18, &["mirror", "--site", "blog"]).has(&["seal.key"]);
    desk.secret("seal.key", "a long secret that nobody on the hosts has\n");
    land.exits(0, &["mirror", "--site", "blog"]);
    let file = land.us.home().join("dr-state/mirrors/blog.json");
    let fresh = || desk.dr(&["failover", "status", "blog"]);
    fresh().has(&["passes mirror-fresh"]);
    let record: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(record["seal"].is_string() && record["planned"].is_string(), "{record}");
    let forged = |field: &str, value: Value| {
        let mut record = record.clone();
        record[field] = value;
        fs::write(&file, record.to_string()).unwrap();
        fresh().has(&["REFUSES mirror-fresh", "seal"]);
    };
    forged("started", json!("2026-11-22T23:00:00Z"));
    forged("epoch", json!(7));
    forged("seal", json!("00".repeat(32)));
    let mut without = record.clone();
    without.as_object_mut().unwrap().remove("seal");
    fs::write(&file, without.to_string()).unwrap();
    fresh().has(&["REFUSES mirror-fresh", "seal"]);
    // One of another host is not this host's.
    fs::create_dir_all(land.uk.home().join("dr-state/mirrors")).unwrap();
    land.exits(0, &["mirror", "--site", "shop"]);
    fs::write(land.uk.home().join("dr-state/mirrors/shop.json"), record.to_string()).unwrap();
    desk.dr(&["failover", "status", "shop"]).has(&["REFUSES mirror-fresh"]);
    // The next mirror writes a true one over it.
    land.exits(0, &["mirror", "--site", "blog"]);
    fresh().has(&["passes mirror-fresh"]);
}

#[test]
fn a_former_state_comes_back_over_ssh() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let access = [&access.each_ref().map(String::as_str)[..], &there_already()].concat();
    let (source, there) = (desk.path("shop"), sshd.home().join("shop"));
    let target = at(&sshd, &there);
    let access = &access[..];
    let mirror = [&["mirror", &source, &target, "--generations", "2"], access].concat();
    let back = |more: &[&str]| desk.exits(0, &[&["mirror", "--rollback", &target], access, more].concat());
    for text in ["one", "two", "three"] {
        desk.write("shop/index.html", text);
        desk.exits(0, &mirror);
        assert_eq!(fs::read_to_string(there.join("index.html")).unwrap(), text);
        // Generations are told apart by the second.
        std::thread::sleep(Duration::from_millis(1100));
    }
    let kept = desk.json(0, &[&["mirror", "--rollback", &target, "--dry-run"], access].concat());
    let kept = last(&kept, "result")["generations"].as_array().unwrap().clone();
    assert_eq!(kept.len(), 3, "{kept:?}");
    let since = |number: usize| kept[number]["since"].as_str().unwrap().to_owned();
    let shown = |text: &str| assert_eq!(fs::read_to_string(there.join("index.html")).unwrap(), text);
    back(&[]).has(&["is as it was from"]);
    shown("two");
    back(&["--to", &since(2)]);
    shown("one");
    back(&["--to", &since(0)]);
    shown("three");
    let never = ["mirror", "--rollback", &target, "--to", "2001-01-01T00:00:00Z"];
    desk.exits(18, &[&never, access].concat());
    shown("three");
    // It goes on from there.
    desk.write("shop/index.html", "four");
    desk.exits(0, &mirror);
    shown("four");
}

/// A `dr mirror --watch` under way.
struct Watch {
    child: Child,
    told: std::sync::mpsc::Receiver<String>,
}

impl Watch {
    fn start(desk: &Desk, words: &[&str]) -> Self {
        let words = [words, &["--watch"]].concat();
        let mut child = desk.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.for_each(|line| drop(tell.send(line))));
        Self { child, told }
    }

    /// The next line of its story that has this in it.
    fn says(&self, text: &str) -> String {
        let deadline = std::time::Instant::now() + SOON;
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let line = self.told.recv_timeout(left).unwrap_or_else(|_| panic!("it never said '{text}'"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It has ended, or its test has failed.
        let _ = self.child.kill();
    }
}

fn arrives(page: &Path, text: &str) {
    let is_there = || fs::read_to_string(page).is_ok_and(|found| found == text).then_some(());
    wait_for(&format!("'{text}' in {}", page.display()), SOON, is_there);
}

#[test]
fn what_changes_here_is_on_the_host_soon_and_a_host_that_was_away_catches_up() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let access = [&access.each_ref().map(String::as_str)[..], &there_already()].concat();
    desk.write("shop/index.html", "one");
    let (source, there) = (desk.path("shop"), sshd.home().join("shop"));
    let target = at(&sshd, &there);
    // No full look comes in time: it is the kernel that tells.
    let words = [&["mirror", source.as_str(), target.as_str(), "--scan-every", "1h"], &access[..]].concat();
    let watch = Watch::start(&desk, &words);
    assert!(watch.says("behind").contains("2 new"));
    arrives(&there.join("index.html"), "one");
    desk.write("shop/index.html", "two");
    arrives(&there.join("index.html"), "two");
    assert!(watch.says("1 changed").contains("behind"));
    desk.write("shop/new/deep/page", "deep");
    arrives(&there.join("new/deep/page"), "deep");
    fs::remove_file(desk.home().join("shop/index.html")).unwrap();
    wait_for("the removal", SOON, || (!there.join("index.html").exists()).then_some(()));
    // What comes while the host is away waits for it.
    sshd.kill9();
    desk.write("shop/waiting", "for you");
    let behind = watch.says("could not");
    assert!(behind.contains("behind"), "{behind}");
    sshd.restart();
    arrives(&there.join("waiting"), "for you");
    watch.says("1 new");
    watch.end();
    let beside: Vec<_> =
        fs::read_dir(sshd.home()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(beside.iter().all(|name| !name.to_string_lossy().contains("staging")), "{beside:?}");
}

#[test]
fn a_source_on_a_host_is_looked_at_again_and_again() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let access = [&access.each_ref().map(String::as_str)[..], &there_already()].concat();
    let there = sshd.home().join("shop");
    fs::create_dir(&there).unwrap();
    fs::write(there.join("index.html"), "one").unwrap();
    let (source, target) = (at(&sshd, &there), desk.path("copy"));
    let words = [&["mirror", source.as_str(), target.as_str(), "--scan-every", "1s"], &access[..]].concat();
    let watch = Watch::start(&desk, &words);
    let page = desk.home().join("copy/index.html");
    arrives(&page, "one");
    for text in ["two!", "three!"] {
        fs::write(there.join("index.html"), text).unwrap();
        arrives(&page, text);
        watch.says("1 changed");
    }
    watch.end();
}
