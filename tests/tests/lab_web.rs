//! The lab's nginx: named sites, a reload that nobody notices, a kill that everybody does.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;

use dr_tests::{Nginx, Site, http_get, is_running};

#[test]
fn sites_are_told_apart_reloaded_killed_and_back() {
    let trees = tempfile::tempdir().unwrap();
    let site = |name: &str| {
        let root = trees.path().join(name);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("index.html"), format!("this is {name}")).unwrap();
        Site::new(name, &root)
    };
    let (one, two) = (site("one.test").alias("www.one.test"), site("two.test"));
    let nginx = Nginx::start(std::slice::from_ref(&one));
    let get = |host: &str| http_get(nginx.addr(), host, "/").map(|(s, b)| (s, String::from_utf8(b).unwrap()));
    assert_eq!(get("www.one.test").unwrap(), (200, "this is one.test".to_owned()));
    assert_eq!(get("two.test").unwrap().0, 421);
    assert_eq!(http_get(nginx.addr(), "one.test", "/missing").unwrap().0, 404);

    let before = nginx.processes();
    assert!(before.len() >= 2, "a master and a worker: {before:?}");
    nginx.reload(&[one, two]);
    assert_eq!(get("two.test").unwrap(), (200, "this is two.test".to_owned()));
    assert_eq!(nginx.processes()[0], before[0], "the same master");

    let running = nginx.processes();
    nginx.kill9();
    assert!(running.iter().all(|&pid| !is_running(pid)), "the worker too");
    assert!(get("one.test").is_err());
    nginx.restart();
    assert_eq!(get("one.test").unwrap().0, 200);

    let (running, dir) = (nginx.processes(), nginx.dir().to_owned());
    drop(nginx);
    assert!(running.iter().all(|&pid| !is_running(pid)), "nothing is left running");
    assert!(!dir.exists());
}
