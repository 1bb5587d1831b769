//! `dr probe` against nginx, sshd and BIND.

use std::fs;

use dr_tests::{Nginx, Port, Site, Zone, bind};

use crate::desk::{Desk, last};

#[test]
fn what_is_up_and_what_is_down() {
    let (desk, www) = (Desk::new(), tempfile::tempdir().unwrap());
    fs::write(www.path().join("index.html"), "<h1>Shop</h1>").unwrap();
    let nginx = Nginx::start(&[Site::new("www.shop.test", www.path())]);
    let named = bind::primary(Port::free(), &[Zone::new("shop.test")], &[], bind::Notify::Tuned);
    let port = nginx.addr().port();
    let (http, tcp) = (format!("www.shop.test:{port}/"), port.to_string());
    let dns = named.addr().port().to_string();
    for arguments in [
        &["--http", &http, "--contains", "Shop"] as &[&str],
        &["--tcp", &tcp],
        &["--dns", "shop.test", "--port", &dns],
    ] {
        let arguments = [&["probe", "127.0.0.1"], arguments].concat();
        desk.exits(0, &arguments).has(&["127.0.0.1: up, in"]);
        assert!(last(&desk.json(0, &arguments), "result").to_string().contains("up"));
        let said = desk.exits(0, &[&arguments[..], &["--nagios"]].concat());
        assert!(said.out.starts_with("DR OK - "), "{said}");
    }
    let missing = format!("www.shop.test:{port}/missing");
    for arguments in [
        &["--http", &http, "--contains", "Bakery"] as &[&str],
        &["--http", &missing],
        &["--dns", "other.test", "--port", &dns],
    ] {
        desk.exits(1, &[&["probe", "127.0.0.1"], arguments].concat()).has(&["127.0.0.1: "]);
    }
    nginx.stop();
    let arguments = ["probe", "127.0.0.1", "--http", &http];
    desk.exits(1, &arguments).has(&["down", "refused"]);
    assert!(desk.exits(2, &[&arguments[..], &["--nagios"]].concat()).out.starts_with("DR CRITICAL - "));
    named.freeze();
    let arguments = ["probe", "127.0.0.1", "--dns", "shop.test", "--port", &dns, "--within", "300ms"];
    desk.exits(1, &arguments);
    named.thaw();
}
