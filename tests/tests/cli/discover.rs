//! `dr discover` against the real programs: nginx, Apache and BIND, here and over SSH.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dr_core::Estate;
use dr_tests::Sshd;

use crate::desk::{Desk, Said, account, last};

const US: &str = "[hosts.us]\nssh = \"root@us.example.net\"\naddresses = [\"198.51.100.20\"]\n";

/// A desk on which these programs are the real ones, with configurations of ours.
fn host() -> Desk {
    let desk = Desk::new();
    let program = |name: &str, command: &str| {
        let path = desk.write(&format!("bin/{name}"), &format!("#!/bin/sh\nexec {command}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    // Whoever runs the tests may not be root; what these programs read is ours anyway.
    let sudo = desk.write("bin/sudo", "#!/bin/sh\nshift\nexec \"$@\"\n");
    fs::set_permissions(sudo, fs::Permissions::from_mode(0o755)).unwrap();
    let nginx = desk.write(
        "nginx/nginx.conf",
        &format!(
            "pid {0}/nginx.pid;\nevents {{}}\nhttp {{ include sites/*; access_log off; }}\n",
            desk.home().display()
        ),
    );
    desk.write(
        "nginx/sites/shop",
        "server { listen 80; server_name shop.test www.shop.test; root /srv/shop; }\n",
    );
    desk.write(
        "nginx/sites/away",
        "server { listen 80; server_name away.test; return 301 https://else.test/; }\n",
    );
    program("nginx", &format!("/usr/sbin/nginx -e stderr -c {nginx} \"$@\""));
    fs::create_dir_all(desk.home().join("apache/logs")).unwrap();
    let apache = desk.write(
        "apache/apache.conf",
        &format!(
            "ServerRoot \"{0}/apache\"\nServerName web.test\nPidFile {0}/apache.pid\nListen 8080\nDocumentRoot {0}\n\
             LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n\
             LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n\
             <VirtualHost *:8080>\nServerName blog.shop.test\nDocumentRoot {0}/apache\n</VirtualHost>\n",
            desk.home().display()
        ),
    );
    program("apache2ctl", &format!("/usr/sbin/apache2 -f {apache} \"$@\""));
    let named = desk.write(
        "named.conf",
        "key k { algorithm hmac-sha256; secret \"c2VjcmV0IG9mIHRoZSBkZXNr\"; };\n\
         zone \"shop.test\" { type primary; file \"x\"; also-notify { 198.51.100.20; }; };\n",
    );
    program("named-checkconf", &format!("/usr/bin/named-checkconf \"$@\" {named}"));
    desk
}

fn discover(desk: &Desk, arguments: &[&str]) -> Said {
    let mut command = desk.command(&[&["discover", "--standby", "us"], arguments].concat());
    let path = format!("{}:/usr/bin:/bin", desk.path("bin"));
    let said = Said::of(command.env("PATH", path).output().unwrap());
    assert_eq!(said.code, 0, "{said}");
    said
}

#[test]
fn what_this_machine_serves_becomes_an_estate() {
    let desk = host();
    desk.write("dr.toml", US);
    let said = discover(&desk, &[]);
    said.has(&[
        "new: site shop.test: shop.test, www.shop.test, from /srv/shop",
        "new: site blog.shop.test: blog.shop.test, from",
        "new: zone shop.test: primary ",
        ", us",
        "left out: the site away.test: it only sends visitors to else.test",
    ]);
    assert!(!said.out.contains("c2VjcmV0") && !said.err.contains("c2VjcmV0"), "{said}");
    // What it printed can be appended, and then nothing is new.
    let whole = format!("{US}{}", said.out);
    let estate = Estate::from_toml(&whole).unwrap();
    assert_eq!((estate.sites.len(), estate.zones.len(), estate.hosts.len()), (2, 1, 2));
    desk.write("dr.toml", &whole);
    let said = discover(&desk, &[]);
    assert_eq!(said.out, "", "{said}");
    fs::remove_file(desk.path("nginx/sites/shop")).unwrap();
    let only = discover(&desk, &["--listing", "nginx", "--listing", "apache"]);
    only.has(&["gone: site shop.test: nothing on"]);
    let line = desk.write("nginx/sites/broken", "server {");
    discover(&desk, &["--listing", "nginx"])
        .has(&["left out: the listing of nginx: the program ended with status 1:"]);
    fs::remove_file(line).unwrap();
}

#[test]
fn a_listing_from_a_file_needs_no_host() {
    let desk = Desk::new();
    let file = desk.write("nginx-T.txt", "http { server { server_name shop.test; root /srv/shop; } }");
    let read = format!("nginx={file}");
    let lines = desk.json(0, &["discover", "root@uk.test", "--standby", "root@us.test", "--read", &read]);
    let found = last(&lines, "result");
    assert_eq!(found["estate"]["sites"]["shop.test"]["trees"][0]["path"], "/srv/shop");
    assert!(Estate::from_toml(found["toml"].as_str().unwrap()).is_ok());
    desk.exits(2, &["discover", "--standby", "root@us.test", "--read", &read]).has(&["name the host"]);
    desk.exits(2, &["discover", "root@us.test", "--standby", "root@us.test", "--read", &read])
        .has(&["differ"]);
    desk.exits(18, &["discover", "root@uk.test", "--standby", "us.test", "--read", "nginx=none"])
        .has(&["none"]);
}

#[test]
fn a_host_is_asked_over_ssh() {
    let (desk, sshd) = (Desk::new(), Sshd::start());
    desk.write("dr.toml", US);
    let access = desk.key_for(&[&sshd]);
    let access = access.each_ref().map(String::as_str);
    // Whatever this machine has: what comes of it is an estate.
    let said = desk.exits(0, &[&["discover", &account(&sshd), "--standby", "us"], &access[..]].concat());
    assert!(Estate::from_toml(&format!("{US}{}", said.out)).is_ok(), "{said}");
    desk.exits(12, &["discover", "root@127.0.0.1:9", "--standby", "us"]);
}
