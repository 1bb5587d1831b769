//! `dr memo`: on paper, for a browser, and what it says to type when dr is lost.

use std::process::Command;
use std::time::Duration;

use dr_tests::wait_for;

use crate::desk::{Desk, last};
use crate::stage::Stage;

/// What a shell prints.
fn shell(script: &str) -> String {
    let ran = Command::new("sh").arg("-c").arg(script).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))
}

/// Typed into a shell, it moves the site, and dr goes on from there: although there were moves by dr before, whose lease it must
/// take away.
#[test]
fn what_is_to_be_typed_by_hand_moves_the_site() {
    let stage = Stage::start(74);
    let desk = &stage.desk;
    desk.exits(0, &["mirror", "--site", "shop"]);
    desk.exits(0, &["failover", "run", "shop", "--planned", "--yes"]);
    desk.exits(0, &["failover", "back", "shop", "--yes"]);
    assert!(stage.says(stage.uk.at));
    let memo = desk.exits(0, &["memo"]).out;
    let (_, by_hand) = memo.split_once("### shop: from uk to us").unwrap();
    let (_, block) = by_hand.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();

    stage.uk.nginx.kill9();
    stage.uk.sshd.kill9();
    let ask = block.lines().find(|line| line.starts_with("dig") && line.ends_with("TXT")).unwrap();
    let held = shell(ask);
    let epoch: u64 = held.split("epoch=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(held.contains("home=uk") && epoch >= 3, "{held}");
    // The web servers of the lab are not on port 80.
    let lines = block.lines().filter(|line| !line.starts_with("curl")).collect::<Vec<_>>().join("\n");
    let said = shell(&lines.replace("EPOCH", &(epoch + 1).to_string()));
    wait_for("the secondary", Duration::from_secs(30), || stage.says(stage.us.at).then_some(()));
    assert!(said.contains(&stage.us.at.to_string()), "{said}");

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

    // What was measured stands in the next print, and what a look at everything finds.
    let memo = desk.exits(0, &["memo", "--check"]).out;
    for said in ["move shop from us to uk", "mirrored first", "all was well"] {
        assert!(memo.contains(said), "{said} is missing:\n{memo}");
    }
    stage.us.nginx.kill9();
    desk.exits(0, &["memo", "--check"]).has(&["a failover would have failed", "standby"]);
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
