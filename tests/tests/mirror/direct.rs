//! From one host to another: directly where the source's host may log in at the target's, through here where not.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dr_core::estate::Estate;
use dr_core::mirror::Options;
use dr_core::run::{Event, Outcome};
use dr_core::toolkit::Toolkit;
use dr_core::world::clock::SystemClock;
use dr_core::world::endpoints::{Agents, SystemEndpoints};
use dr_core::world::sim::SimWorld;
use dr_core::world::ssh::{Access, Connector};
use dr_core::world::{Control, World};
use dr_core::{Location, Remote};
use dr_tests::{Login, Proxy, Sshd};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::rsync_would_change;

const CONTENT_BYTES: usize = 24 << 20;

/// A source host, a target host, and this machine, which reaches each of them by a line of its own whose bytes are counted.
struct Triangle {
    source: Sshd,
    target: Sshd,
    line: Proxy,
    directory: TempDir,
}

impl Triangle {
    fn new(source: &Login, target: &Login) -> Self {
        let (source, target) = (Sshd::with(source), Sshd::with(target));
        let directory = tempfile::tempdir().unwrap();
        let line = Proxy::start(source.addr());
        let triangle = Self { source, target, line, directory };
        let ours = triangle.key(triangle.directory.path());
        triangle.source.authorize(&ours);
        triangle.target.authorize(&ours);
        let site = triangle.directory.path().join("site");
        std::fs::create_dir_all(site.join("sub")).unwrap();
        // What no compression makes smaller.
        let mut number = 7_u64;
        let mut random = || {
            number ^= number << 13;
            number ^= number >> 7;
            number ^= number << 17;
            number.to_le_bytes()
        };
        let content: Vec<u8> = (0..CONTENT_BYTES / 8).flat_map(|_| random()).collect();
        std::fs::write(site.join("huge"), &content[..CONTENT_BYTES / 2]).unwrap();
        for (number, part) in content[CONTENT_BYTES / 2..].chunks(100_000).enumerate() {
            std::fs::write(site.join(format!("sub/{number}")), part).unwrap();
        }
        triangle
    }

    /// Makes a key pair there, and gives the public half.
    fn key(&self, directory: &Path) -> String {
        let key = directory.join("id_ed25519");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        std::fs::read_to_string(key.with_extension("pub")).unwrap()
    }

    /// Lets the source's host in at the target's, with these options before the key.
    fn befriend(&self, options: &str) {
        let public = self.key(&self.source.home().join(".ssh"));
        self.target.authorize(&format!("{options}{public}"));
    }

    fn toolkit(&self) -> Toolkit {
        let pins = [
            (
                self.remote(self.line.addr().port()).known_hosts_name(),
                vec![self.source.host_key().to_owned()],
            ),
            (
                self.remote(self.target.addr().port()).known_hosts_name(),
                vec![self.target.host_key().to_owned()],
            ),
        ];
        let identities = vec![self.directory.path().join("id_ed25519")];
        let access = Access { identities, pins: pins.into(), ..Access::default() };
        let agents = Agents { path: Some(dr_tests::dr().to_str().unwrap().to_owned()), ..Agents::default() };
        let endpoints = Arc::new(SystemEndpoints::with(Connector::new(access), agents));
        let world = World { endpoints, clock: Arc::new(SystemClock::new()), ..SimWorld::new().world() };
        Toolkit::new(world, Estate::default())
    }

    fn remote(&self, port: u16) -> Remote {
        format!("{}@127.0.0.1:{port}", self.source.user()).parse().unwrap()
    }

    fn at(&self, port: u16, name: &str) -> Location {
        let path = self.directory.path().join(name);
        Location::Remote { remote: self.remote(port), path: path.to_str().unwrap().to_owned() }
    }

    /// Mirrors the site; gives the notes that were told, and how many bytes came here from the source.
    async fn mirror(&self, toolkit: &Toolkit, options: &Options) -> (Vec<String>, u64) {
        let (notes, passed, _) = self.mirror_counted(toolkit, options).await;
        (notes, passed)
    }

    /// The same, with how many bytes were counted on all lines.
    async fn mirror_counted(&self, toolkit: &Toolkit, options: &Options) -> (Vec<String>, u64, u64) {
        let notes = Arc::new(Mutex::new(vec![]));
        let told = Arc::clone(&notes);
        let control = Control::new(move |event: &Event| {
            if let Event::Note { message } = event {
                told.lock().unwrap().push(message.clone());
            }
        });
        let (source, target) =
            (self.at(self.line.addr().port(), "site"), self.at(self.target.addr().port(), "copy"));
        let before = self.line.passed().1;
        let planned = toolkit.plan_mirror(&source, &target, options, None, &control).await.unwrap();
        let applied = toolkit.apply(&planned.plan, "test", &control).await.unwrap();
        assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
        assert_eq!(applied.report.findings, vec![]);
        let from = |name: &str| self.directory.path().join(name);
        assert_eq!(rsync_would_change(&from("site"), &from("copy")), "");
        let passed = self.line.passed().1 - before;
        let counted = applied.report.figures["wire_bytes"];
        (std::mem::take(&mut *notes.lock().unwrap()), passed, counted)
    }
}

fn says<'a>(notes: &'a [String], text: &str) -> &'a str {
    let found = notes.iter().find(|note| note.contains(text));
    found.unwrap_or_else(|| panic!("nobody says '{text}': {notes:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn content_goes_from_host_to_host_and_not_through_here() {
    let triangle = Triangle::new(&Login::default(), &Login::default());
    triangle.befriend("");
    let toolkit = triangle.toolkit();
    let (notes, passed, counted) = triangle.mirror_counted(&toolkit, &Options::default()).await;
    says(&notes, "content goes directly from");
    assert!(passed < 1 << 20, "{passed} bytes came here: {notes:#?}");
    let most = CONTENT_BYTES as u64 + (1 << 20);
    assert!((CONTENT_BYTES as u64..most).contains(&counted), "{counted} crossed the line between the hosts");

    // The next round takes the same way, sends only what is new, and deletes, too.
    let site = triangle.directory.path().join("site");
    let mut huge = std::fs::read(site.join("huge")).unwrap();
    huge[5_000_000..5_000_100].fill(0);
    std::fs::write(site.join("huge"), huge).unwrap();
    std::fs::remove_file(site.join("sub/3")).unwrap();
    let generations = Options { generations: 2, ..Options::default() };
    let (notes, passed, counted) = triangle.mirror_counted(&toolkit, &generations).await;
    says(&notes, "content goes directly from");
    assert!(passed < 1 << 20 && counted < 1 << 20, "{passed} bytes came here, {counted} crossed all lines");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_go_directly_goes_through_here_and_the_reason_is_told() {
    // Not let in at all.
    let triangle = Triangle::new(&Login::default(), &Login::default());
    let (notes, passed) = triangle.mirror(&triangle.toolkit(), &Options::default()).await;
    let why = says(&notes, "content passes through here");
    assert!(why.contains(&triangle.target.addr().port().to_string()), "{why}");
    assert!(passed > CONTENT_BYTES as u64, "{passed}");

    // Let in, and held to another tree: that agent is none of ours.
    let triangle = Triangle::new(&Login::default(), &Login::default());
    let elsewhere = triangle.directory.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let dr = dr_tests::dr().display();
    triangle.befriend(&format!("restrict,command=\"{dr} agent --stdio --root {}\" ", elsewhere.display()));
    let (notes, passed) = triangle.mirror(&triangle.toolkit(), &Options::default()).await;
    says(&notes, "content passes through here");
    assert!(passed > CONTENT_BYTES as u64, "{passed}");
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_agent_reaches_nobody() {
    let triangle = Triangle::new(&Login::default(), &Login::default());
    triangle.befriend("");
    let site = triangle.directory.path().join("site");
    let keys = std::fs::read_to_string(triangle.source.authorized_keys()).unwrap();
    let dr = dr_tests::dr().display();
    for more in ["", " --read-only"] {
        let held = format!("restrict,command=\"{dr} agent --stdio --root {}{more}\" {keys}", site.display());
        std::fs::write(triangle.source.authorized_keys(), held).unwrap();
        let file = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(triangle.source.authorized_keys(), file).unwrap();
        let copy = triangle.directory.path().join("copy");
        if copy.exists() {
            std::fs::remove_dir_all(copy).unwrap();
        }
        let (notes, passed) =
            triangle.mirror(&triangle.toolkit(), &Options { other_tree: true, ..Options::default() }).await;
        assert!(
            says(&notes, "content passes through here").contains("may reach no other host"),
            "{notes:#?}"
        );
        assert!(passed > CONTENT_BYTES as u64, "{passed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_direct_line_was_cut_the_run_goes_on() {
    let triangle = Triangle::new(&Login::default(), &Login::default());
    triangle.befriend("");
    let toolkit = triangle.toolkit();
    let (source, target) = (
        triangle.at(triangle.line.addr().port(), "site"),
        triangle.at(triangle.target.addr().port(), "copy"),
    );
    // Slow enough to be caught in the middle.
    let options = Options { bytes_per_second: Some(6 << 20), ..Options::default() };
    let told = Arc::new(Mutex::new((0, vec![])));
    let telling = Arc::clone(&told);
    let control = Control::new(move |event: &Event| match event {
        Event::Note { message } if message.contains("content goes directly") => {
            telling.lock().unwrap().0 += 1;
        }
        Event::Counted { figures } => telling.lock().unwrap().1.push(figures["sent_bytes"]),
        _ => {}
    });
    let planned = toolkit.plan_mirror(&source, &target, &options, None, &control).await.unwrap();
    let ours: Vec<u32> = triangle.target.processes();
    let cut = async {
        let copy = triangle.directory.path().join("copy/sub");
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::fs::read_dir(&copy).map_or(0, Iterator::count) == 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // What sshd started for the line between the hosts, and nothing of ours.
        for pid in triangle.target.processes().into_iter().filter(|pid| !ours.contains(pid)) {
            let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
            let _ = kill_process(pid, Signal::KILL);
        }
    };
    let begun = Instant::now();
    let (applied, ()) = tokio::join!(toolkit.apply(&planned.plan, "test", &control), cut);
    let applied = applied.unwrap();
    assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
    let (ways, sent) = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!((ways, sent.len()), (2, 2), "both tries took the direct way: {sent:?}");
    assert!(sent[0] < CONTENT_BYTES as u64 && sent[1] <= CONTENT_BYTES as u64, "{sent:?}");
    assert!(begun.elapsed() > Duration::from_secs(2), "the second keeps to the limit, too");
    let from = |name: &str| triangle.directory.path().join(name);
    assert_eq!(rsync_would_change(&from("site"), &from("copy")), "");
    let names = std::fs::read_dir(triangle.directory.path()).unwrap();
    let staged = |name: &String| name.starts_with(".dr-");
    let left: Vec<String> =
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).filter(staged).collect();
    assert_eq!(left, Vec::<String>::new());
}
