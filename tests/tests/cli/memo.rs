//! `dr memo`: on paper, for a browser, and what it says to type when dr is lost.

use std::process::Command;
use std::time::Duration;

use dr_tests::wait_for;

use crate::desk::{Desk, last};
use crate::stage::{Keeper, Stage};

/// What a shell prints.
fn shell(script: &str) -> String {
    let ran = Command::new("sh").arg("-c").arg(script).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

/// What the memo says for the move, as a shell takes it; and the text after it, for what is done in a browser.
fn by_hand(desk: &Desk) -> (Vec<String>, String) {
    let memo = desk.exits(0, &["memo"]).out;
    let (_, section) = memo.split_once("### shop: from uk to us").unwrap();
    let (_, section) = section.split_once("```sh\n").unwrap();
    let (block, rest) = section.split_once("\n```").unwrap();
    // The web servers of the lab are not on port 80.
    let lines = block.lines().filter(|line| !line.starts_with("curl")).map(str::to_owned).collect();
    let (said, _) = rest.split_once("When uk is back").unwrap();
    (lines, said.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The highest epoch that the lines before the first change show.
fn shown(lines: &[String]) -> Option<u64> {
    let asks = |line: &&String| line.ends_with("TXT") && line.starts_with("dig") || line.contains(" get ");
    let said: String = lines.iter().filter(asks).map(|line| shell(line)).collect();
    let epochs = said.split("epoch=").skip(1).map(|rest| rest.split(' ').next().unwrap().parse().unwrap());
    assert!(said.is_empty() || said.contains("home=uk"), "{said}");
    epochs.max()
}

/// A person does in the provider's panel what the memo says; here with PowerDNS's own tool.
fn in_a_browser(stage: &Stage, said: &str, epoch: u64) {
    let between = |before: &str, after: &str| {
        said.split_once(before).unwrap_or_else(|| panic!("{before}: {said}")).1.split_once(after).unwrap().0
    };
    let (names, rest) = between("set the addresses of ", " with a TTL").split_once(" to ").unwrap();
    let (owner, value) = between("Set the TXT of `", "` with the same TTL").split_once("` to `").unwrap();
    let configuration = format!("--config-dir={}", stage.named[0].dir().display());
    // It takes names below the zone.
    let tool = |verb: &str, name: &str, words: &[&str]| {
        let name = name.strip_suffix("shop.test").unwrap().trim_end_matches('.');
        let name = if name.is_empty() { "@" } else { name };
        let mut command = Command::new("/usr/bin/pdnsutil");
        let ran = command.args([&*configuration, verb, "shop.test", name]).args(words).output().unwrap();
        assert!(ran.status.success(), "{verb} {name} {words:?}: {ran:?}");
    };
    for name in names.split(", ") {
        tool("replace-rrset", name, &["A", "2", rest]);
    }
    let value = format!("\"{}\"", value.replace("EPOCH", &epoch.to_string()));
    tool("replace-rrset", owner, &["TXT", "60", &value]);
    tool("delete-rrset", between("take the TXT of `", "` away"), &["TXT"]);
}

/// Typed into a shell, it moves the site, and dr goes on from there: although there were moves by dr before, whose lease it must
/// take away.
fn moves_the_site(net: u8, keeper: Keeper) -> Stage {
    let stage = Stage::kept(net, keeper);
    let desk = &stage.desk;
    desk.exits(0, &["mirror", "--site", "shop"]);
    desk.exits(0, &["failover", "run", "shop", "--planned", "--yes"]);
    desk.exits(0, &["failover", "back", "shop", "--yes"]);
    assert!(stage.says(stage.uk.at));
    let (lines, said) = by_hand(desk);

    stage.uk.nginx.kill9();
    stage.uk.sshd.kill9();
    let epoch = shown(&lines);
    assert_eq!(epoch.is_some(), keeper != Keeper::File, "{lines:#?}");
    assert!(epoch.is_none_or(|epoch| epoch >= 3), "{epoch:?}");
    let next = epoch.unwrap_or(1) + 1;
    // Nobody here remembers an address for as long as it says.
    let typed = lines.join("\n").replace("EPOCH", &next.to_string()).replace(" 60 A ", " 2 A ");
    let typed = shell(&typed);
    if keeper == Keeper::Api {
        in_a_browser(&stage, &said, next);
    } else {
        assert!(typed.contains(&stage.us.at.to_string()), "{typed}");
    }
    wait_for("the name servers", Duration::from_secs(30), || stage.says(stage.us.at).then_some(()));

    // dr sees who holds it, mirrors nothing the wrong way, and brings it home.
    let again = desk.exits(10, &["failover", "run", "shop", "--yes"]);
    again.has(&["us holds it already"]);
    stage.uk.nginx.restart();
    stage.uk.sshd.restart();
    std::fs::write(stage.us.root.path().join("order.html"), "one teapot").unwrap();
    let mirrored = desk.dr(&["mirror", "--site", "shop"]);
    assert_eq!(stage.page(&stage.us, "/order.html"), "one teapot", "{mirrored}");
    desk.exits(0, &["failover", "back", "shop", "--yes"]);
    assert!(stage.says(stage.uk.at));
    assert_eq!(stage.page(&stage.uk, "/order.html"), "one teapot");
    desk.exits(0, &["check"]);
    stage
}

#[test]
fn what_is_to_be_typed_by_hand_moves_the_site() {
    let stage = moves_the_site(74, Keeper::Names);
    let desk = &stage.desk;
    // What was measured stands in the next print, and what a look at everything finds.
    let memo = desk.exits(0, &["memo", "--check"]).out;
    for said in ["move shop from us to uk", "mirrored first", "all was well"] {
        assert!(memo.contains(said), "{said} is missing:\n{memo}");
    }
    stage.us.nginx.kill9();
    desk.exits(0, &["memo", "--check"]).has(&["a failover would have failed", "standby"]);
}

#[test]
fn and_so_it_does_where_signs_of_life_have_a_zone_of_their_own() {
    moves_the_site(76, Keeper::LockZone);
}

#[test]
fn and_so_it_does_with_etcd() {
    moves_the_site(77, Keeper::Etcd);
}

#[test]
fn and_so_it_does_with_a_file() {
    moves_the_site(78, Keeper::File);
}

#[test]
fn and_so_it_does_in_a_browser() {
    moves_the_site(79, Keeper::Api);
}

#[test]
fn it_is_printed_whatever_cannot_be_read_beside_the_estate() {
    let desk = Desk::new();
    desk.write(
        "dr.toml",
        "[hosts]\nuk = { ssh = \"root@uk\" }\nus = { ssh = \"root@us\" }\n\n[sites.shop]\nhome = \"uk\"\nstandby = \"us\"\n",
    );
    let html = desk.exits(0, &["memo", "--html"]).out;
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"), "{html}");
    let json = desk.json(0, &["memo"]);
    assert!(last(&json, "result")["memo"].as_str().unwrap().starts_with("# Recovery memo"));
    let garbage = desk.write("garbage.db", &"no database ".repeat(100));
    desk.exits(0, &["memo", "--journal", &garbage]).has(&[
        "# Recovery memo",
        "could not be read",
        "garbage.db",
    ]);
}
