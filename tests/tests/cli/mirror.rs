//! `dr mirror`: locally, and to OpenSSH.

use std::fs;

use dr_tests::Sshd;
use rustix::process::Signal;

use crate::desk::{Desk, at, last, tree};

fn website(desk: &Desk) -> String {
    for (name, text) in [("index.html", "<h1>Shop</h1>"), ("css/style.css", "h1 {}"), ("cache/page.tmp", "x")]
    {
        desk.write(&format!("shop/{name}"), text);
    }
    desk.path("shop")
}

#[test]
fn to_a_real_server_and_back() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let access = access.each_ref().map(String::as_str);
    let source = website(&desk);
    fs::create_dir_all(sshd.home().join("www/shop")).unwrap();
    let (there, target) = (sshd.home().join("www/shop"), at(&sshd, &sshd.home().join("www/shop")));
    let mirror = [&["mirror", &source, &target, "--exclude", "cache/"], &access[..]].concat();

    desk.exits(0, &[&mirror[..], &["--dry-run"]].concat()).has(&["3 new", "css/style.css"]);
    assert!(tree(&there).is_empty(), "a dry run changes nothing");
    desk.exits(0, &mirror);
    let names: Vec<_> = tree(&there).into_iter().map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(names, ["css/style.css", "index.html"]);
    desk.exits(0, &mirror).has(&["nothing to do"]);

    fs::write(format!("{source}/index.html"), "<h1>Shop, changed</h1>").unwrap();
    fs::remove_file(format!("{source}/css/style.css")).unwrap();
    let lines = desk.json(0, &mirror);
    assert_eq!(last(&lines, "report")["findings"], serde_json::json!([]));
    assert!(lines.iter().any(|(kind, _)| kind == "event"), "{lines:?}");
    assert_eq!(fs::read_to_string(there.join("index.html")).unwrap(), "<h1>Shop, changed</h1>");
    assert!(!there.join("css/style.css").exists());

    let back = desk.path("back");
    fs::create_dir(&back).unwrap();
    desk.exits(0, &[&["mirror", &target, &back], &access[..]].concat());
    assert_eq!(tree(&there), tree(back.as_ref()));
}

#[test]
fn what_would_destroy_is_refused() {
    let desk = Desk::new();
    let source = website(&desk);
    let target = desk.path("copy");
    fs::create_dir(&target).unwrap();
    desk.exits(0, &["mirror", &source, &target]);
    let before = tree(target.as_ref());
    assert_eq!(before.len(), 3);
    // The disk behind it is not mounted, say.
    fs::remove_dir_all(&source).unwrap();
    desk.exits(18, &["mirror", &source, &target]).has(&[&source]);
    fs::create_dir(&source).unwrap();
    let said = desk.exits(10, &["mirror", &source, &target]);
    said.has(&["empty", "→"]);
    assert_eq!(tree(target.as_ref()), before);
    let lines = desk.json(10, &["mirror", &source, &target]);
    assert_eq!(last(&lines, "error")["code"], 10, "{lines:?}");

    // More than a tenth, and more than was allowed.
    let many = desk.path("many");
    (0..300).for_each(|page| drop(desk.write(&format!("many/{page}.html"), "page")));
    let copy = desk.path("copy of many");
    fs::create_dir(&copy).unwrap();
    desk.exits(0, &["mirror", &many, &copy]);
    (0..200).for_each(|page| fs::remove_file(format!("{many}/{page}.html")).unwrap());
    desk.exits(10, &["mirror", &many, &copy]).has(&["200", "--max-delete"]);
    assert_eq!(tree(copy.as_ref()).len(), 300);
    desk.exits(0, &["mirror", &many, &copy, "--no-delete"]);
    assert_eq!(tree(copy.as_ref()).len(), 300);
    desk.exits(0, &["mirror", &many, &copy, "--max-delete", "200"]);
    assert_eq!(tree(copy.as_ref()).len(), 100);
}

#[test]
fn what_has_changed_under_an_old_date_shows_with_checksum() {
    let desk = Desk::new();
    let (source, target) = (website(&desk), desk.path("copy"));
    fs::create_dir(&target).unwrap();
    desk.exits(0, &["mirror", &source, &target]);
    let page = format!("{target}/index.html");
    let date = fs::metadata(&page).unwrap().modified().unwrap();
    fs::write(&page, "<h1>Sh0p</h1>").unwrap();
    fs::File::options().write(true).open(&page).unwrap().set_modified(date).unwrap();
    desk.exits(0, &["mirror", &source, &target]).has(&["nothing to do"]);
    desk.exits(0, &["mirror", &source, &target, "--checksum"]);
    assert_eq!(fs::read_to_string(&page).unwrap(), "<h1>Shop</h1>");
}

#[test]
fn what_is_not_there_or_not_to_be_trusted_has_a_code_of_its_own() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    let access = desk.key_for(&[&sshd]);
    let key = access[1].as_str();
    let source = website(&desk);
    let target = at(&sshd, sshd.home());
    let mirror = |code, known: &str, source: &str, target: &str| {
        desk.exits(code, &["mirror", source, target, "-i", key, "--known-hosts", known])
    };
    let nobody = desk.write("nobody", "");
    mirror(13, &nobody, &source, &target).has(&["host_keys"]);
    let missing = at(&sshd, &sshd.home().join("not/there"));
    mirror(18, &access[3], &missing, &source).has(&["not/there"]);
    mirror(18, &access[3], &source, &missing).has(&["not/there", "→"]);
    desk.exits(18, &["mirror", &source, &desk.path("neither/here")]).has(&["neither/here"]);
    let file = desk.write("a-file", "");
    let said = desk.dr(&["mirror", &file, &source]);
    assert!((10..99).contains(&said.code), "{said}");
    desk.exits(
        2,
        &["mirror", &source, &target, "-i", &desk.secret("no-key", "hello"), access[2].as_str(), &access[3]],
    )
    .has(&["no-key"]);
    desk.exits(0, &["keys", "generate", &desk.path("stranger"), "--no-passphrase"]);
    desk.exits(14, &["mirror", &source, &target, "-i", &desk.path("stranger"), &access[2], &access[3]]);
    sshd.stop();
    mirror(12, &access[3], &source, &target).has(&["refused"]);
    assert_eq!(desk.exits(3, &["mirror", &source, &target, "--nagios", "-i", key]).out.lines().count(), 1);
}

#[test]
fn cut_off_it_is_gone_on_with_also_without_an_estate() {
    let desk = Desk::new();
    (0..2000).for_each(|page| drop(desk.write(&format!("many/{page}.html"), "page")));
    let (many, copy) = (desk.path("many"), desk.path("copy"));
    fs::create_dir(&copy).unwrap();
    for (signal, code) in [(Signal::KILL, None), (Signal::INT, Some(16))] {
        fs::write(desk.home().join("many/0.html"), format!("{signal:?}")).unwrap();
        fs::remove_dir_all(&copy).unwrap();
        fs::create_dir(&copy).unwrap();
        assert_eq!(desk.signalled_at("[1/1]", signal, &["mirror", &many, &copy]), code);
        desk.exits(0, &["failover", "resume"]).has(&["ok"]);
        assert_eq!(tree(copy.as_ref()), tree(many.as_ref()));
    }
}
