//! Listings as the programs print them, and what becomes of them.

use proptest::prelude::*;

use super::*;
use crate::estate::{Estate, Host};

const NGINX: &str = include_str!("fixtures/nginx.txt");
const APACHE: &str = include_str!("fixtures/apache.txt");
const NAMED: &str = include_str!("fixtures/named.txt");
const HESTIA: &str = include_str!("fixtures/hestia.txt");
const VIRTUALMIN: &str = include_str!("fixtures/virtualmin.txt");

fn host(name: &str, address: &str) -> (crate::HostId, Host) {
    let mut host = Host::new(format!("root@{name}.example.net").parse().unwrap());
    host.addresses.push(address.parse().unwrap());
    (name.parse().unwrap(), host)
}

fn draft_on(estate: &Estate, listings: &[(Listing, &str)]) -> Draft {
    let mut found = Found::default();
    for (listing, text) in listings {
        found.read(*listing, text);
    }
    let (home, standby) = (host("uk", "192.0.2.10"), host("us", "198.51.100.20"));
    let draft = found.draft(&Ground { estate, home, standby });
    assert_eq!(draft.estate.check(), Ok(()));
    draft
}

/// The draft of a host of which nothing is known yet; its fragment reads as the estate.
fn draft(listings: &[(Listing, &str)]) -> Draft {
    let draft = draft_on(&Estate::default(), listings);
    assert_eq!(Estate::from_toml(&draft.fragment().unwrap()).as_ref(), Ok(&draft.estate));
    draft
}

fn sites(draft: &Draft) -> Vec<String> {
    let one = |(id, site): (&crate::SiteId, &crate::estate::Site)| {
        let names: Vec<&str> = site.names.iter().map(DnsName::as_str).collect();
        let trees: Vec<&str> = site.trees.iter().map(|tree| tree.path.as_str()).collect();
        let mail: Vec<&str> = site.mailboxes.iter().map(DnsName::as_str).collect();
        format!("{id}: {} <- {} @ {}", names.join(" "), trees.join(" "), mail.join(" "))
    };
    draft.new.sites.iter().map(one).collect()
}

fn left_out(draft: &Draft) -> Vec<String> {
    draft.left_out.iter().map(ToString::to_string).collect()
}

#[test]
fn nginx_is_read_with_its_includes() {
    let draft = draft(&[(Listing::Nginx, NGINX)]);
    assert_eq!(
        sites(&draft),
        [
            "app.example.net: app.example.net <-  @ ",
            "blog.example: blog.example *.blog.example <- /var/www/the blog @ ",
            "example.org: example.org www.example.org <- /srv/media/shop /var/www/shop/public @ ",
            "users.example.net: users.example.net <-  @ ",
        ]
    );
    assert_eq!(
        left_out(&draft),
        [
            "a server without a name: it has no name that DNS could move; if it is a site, give it one \
         (/etc/nginx/sites-enabled/default:1)",
            r"the name ~^www\d+\.blog\.example$: it is a pattern; give the names that it is meant for (/etc/nginx/sites-enabled/others.conf:1)",
            "the directory /home/$remote_user/public_html: the path stands in a variable; name it yourself \
         (/etc/nginx/sites-enabled/others.conf:19)",
            "the directory /usr/share/nginx/html: it belongs to a package (/etc/nginx/sites-enabled/shop.conf:12)",
            "the site old.example.net: it only sends visitors to elsewhere.example, which is not here \
         (/etc/nginx/sites-enabled/others.conf:14)",
            "the trees of app.example.net: it is passed on to http://127.0.0.1:3000; name the trees of that program \
         (/etc/nginx/sites-enabled/others.conf:6)",
            "the trees of users.example.net: the listing names none; name them yourself (/etc/nginx/sites-enabled/others.conf:19)",
        ]
    );
    assert!(!draft.estate.sites.values().any(|site| site.mirror && site.trees.is_empty()));
}

#[test]
fn apache_is_read_with_the_files_of_its_virtual_hosts() {
    let draft = draft(&[(Listing::Apache, APACHE)]);
    assert_eq!(
        sites(&draft),
        [
            "app.shop.example: app.shop.example <-  @ ",
            "shop.example: shop.example www.shop.example old.shop.example *.shop.example <- \
         /srv/media/shop /srv/www/the shop/htdocs @ ",
            "single.example: single.example <- /srv/www/single @ ",
            "vars.example: vars.example <-  @ ",
            "web1.example.net: web1.example.net <- /var/www/html @ ",
        ]
    );
    assert!(left_out(&draft).iter().any(|left| left.starts_with("the directory ${WEBROOT}/vars: ")));
}

#[test]
fn bind_is_read_in_both_its_listings() {
    let whole = draft(&[(Listing::Bind, NAMED)]);
    let zones: Vec<String> = whole.differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        zones[2..],
        [
            "new: zone in.example: primary uk, servers uk",
            "new: zone example.org: primary uk, servers uk, ns-198-51-100-53",
            "new: zone example.net: primary ns-192-0-2-53, servers ns-192-0-2-53, ns-192-0-2-54, uk",
            "new: zone 2.0.192.in-addr.arpa: primary uk, servers uk",
        ]
    );
    let left = left_out(&whole);
    assert!(
        left.iter()
            .any(|left| left.starts_with("the key k1, which may change example.org: secrets are not copied"))
    );
    assert!(
        left.iter().any(|left| left.starts_with("the zone fwd.example: its type is forward")),
        "{left:?}"
    );
    let short =
        "example.org IN _default master\nexample.net IN _default slave\n. IN _default hint\nnot a line\n";
    let short = draft(&[(Listing::Bind, short)]);
    assert_eq!(short.new.zones.len(), 1);
    assert_eq!(short.left_out.len(), 3, "{:?}", short.left_out);
}

#[test]
fn panels_are_read() {
    let hestia = draft(&[(Listing::Hestia, HESTIA)]);
    assert_eq!(
        sites(&hestia),
        [
            "example.org: example.org www.example.org shop.example.org <- /home/alice/web/example.org/public_html @ example.org",
            "laravel.example:  <- /home/alice/web/laravel.example/public_html/public @ ",
        ]
    );
    let left = left_out(&hestia);
    for word in [
        "closed.example: it is suspended",
        "mail of mail-only.example",
        "name laravel.example: it is in no zone",
    ] {
        assert!(left.iter().any(|left| left.contains(word)), "{word}: {left:?}");
    }
    let virtualmin = draft(&[(Listing::Virtualmin, VIRTUALMIN)]);
    assert_eq!(
        sites(&virtualmin),
        [
            "blog.example.org: blog.example.org <- /home/example/domains/blog.example.org/public_html @ ",
            "example.org: example.org example.net <- /home/example/public_html @ example.org example.net",
        ]
    );
    assert_eq!(virtualmin.new.zones.len(), 3);
}

#[test]
fn what_stands_in_the_estate_is_left_as_it_is() {
    let text = "\
        [hosts.uk]\nssh = 'root@uk'\naddresses = ['192.0.2.10']\n[hosts.us]\nssh = 'root@us'\naddresses = ['198.51.100.20']\n\
        [sites.shop]\nhome = 'uk'\nstandby = 'us'\nnames = ['example.org', 'gone.example.org']\ntrees = [{ path = '/var/www/shop' }]\n\
        [sites.closed]\nhome = 'uk'\nstandby = 'us'\nnames = ['closed.example.org']\n\
        [sites.other-way]\nhome = 'us'\nstandby = 'uk'\n";
    let estate = Estate::from_toml(text).unwrap();
    let draft = draft_on(&estate, &[(Listing::Nginx, NGINX)]);
    for (id, site) in &estate.sites {
        assert_eq!(draft.estate.sites.get(id), Some(site));
    }
    let told: Vec<String> = draft.differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "new: site blog.example: blog.example, *.blog.example, from /var/www/the blog",
            "new: site app.example.net: app.example.net",
            "new: site users.example.net: users.example.net",
            "changed: site shop: the web server has the name www.example.org too",
            "changed: site shop: the web server does not have the name gone.example.org",
            "changed: site shop: the web server serves /srv/media/shop too",
            "gone: site closed: nothing on uk lists it any more",
        ]
    );
    // What is new can be appended to the file as it stands.
    let appended = format!("{text}{}", draft.fragment().unwrap());
    assert_eq!(Estate::from_toml(&appended).as_ref(), Ok(&draft.estate));
    let again = draft_on(&draft.estate, &[(Listing::Nginx, NGINX)]);
    assert_eq!(
        (again.new, again.differences.iter().filter(|d| d.what == Differs::New).count()),
        (Estate::default(), 0)
    );
}

#[test]
fn names_need_addresses_to_go_to() {
    let mut found = Found::default();
    found.read(Listing::Nginx, "http { server { server_name example.org; root /srv/shop; } }");
    let (home, mut standby) = (host("uk", "192.0.2.10"), host("us", "198.51.100.20"));
    standby.1.addresses.clear();
    let draft = found.draft(&Ground { estate: &Estate::default(), home, standby });
    assert_eq!(sites(&draft), ["example.org:  <- /srv/shop @ "]);
    assert!(left_out(&draft)[0].contains("the addresses of host us are not known"), "{:?}", draft.left_out);
    assert_eq!(Estate::from_toml(&draft.fragment().unwrap()).as_ref(), Ok(&draft.estate));
}

#[test]
fn everything_is_bounded() {
    let many = (0..5000).map(|n| format!("server {{ server_name ~{n}; }}")).collect::<String>();
    assert_eq!(draft(&[(Listing::Nginx, &format!("http {{ {many} }}"))]).left_out.len(), LEFT_OUT_MAX + 1);
    let loops = "# configuration file /a:\nhttp { include /a; include /a; server { include /a; } }\n";
    assert!(draft(&[(Listing::Nginx, loops)]).new.sites.is_empty());
    let huge = "x".repeat(TEXT_MAX_BYTES + 1);
    assert_eq!(draft(&[(Listing::Bind, &huge)]).left_out[0].why, "it is longer than 32 MiB");
    // Hundreds of sites share one name: that is one site, found in a moment.
    let shared = "server { server_name a.example b.example; root /srv/a; }".repeat(3000);
    assert_eq!(draft(&[(Listing::Nginx, &format!("http {{ {shared} }}"))]).new.sites.len(), 1);
}

#[test]
fn a_path_with_a_nul_is_left_out() {
    let draft = draft(&[(Listing::Nginx, "http { server { server_name example.org; root /srv/sh\0op; } }")]);
    assert_eq!(sites(&draft), ["example.org: example.org <-  @ "]);
    assert!(left_out(&draft)[0].contains("a NUL stands in the path"), "{:?}", draft.left_out);
}

/// A fixture with a piece taken out, doubled or overwritten.
fn mangled() -> impl Strategy<Value = String> {
    let fixture = prop::sample::select(vec![NGINX, APACHE, NAMED, HESTIA, VIRTUALMIN]);
    let junk = prop::sample::select(vec![
        "",
        "{",
        "}",
        ";",
        "\"",
        "\\",
        "\n",
        "(",
        ":",
        "\u{0}",
        "ü",
        "(/x:99999999999)",
        "server_name ;",
    ]);
    (fixture, any::<prop::sample::Index>(), any::<prop::sample::Index>(), junk).prop_map(
        |(text, from, to, junk)| {
            let chars: Vec<char> = text.chars().collect();
            let (from, to) = (from.index(chars.len()), to.index(chars.len()));
            let head: String = chars[..from].iter().collect();
            let tail: String = chars[to..].iter().collect();
            format!("{head}{junk}{tail}")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_panics_and_every_draft_is_an_estate(text in prop_oneof![mangled(), ".{0,300}"]) {
        for listing in Listing::ALL {
            let _ = draft(&[(listing, &text)]);
        }
    }
}
