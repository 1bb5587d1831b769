use super::*;
use crate::dns::Parts;

fn parts(key: Option<&str>, beside: Option<&str>) -> Parts {
    Parts {
        zones: vec!["example.org".parse().unwrap(), "0/25.2.0.192.in-addr.arpa".parse().unwrap()],
        primary: "ns2=192.0.2.2".parse().unwrap(),
        followers: ["ns3=[2001:db8::3]:5353", "my\nns4=192.0.2.4"].map(|text| text.parse().unwrap()).to_vec(),
        key: key.map(|key| key.parse().unwrap()),
        beside: beside.map(|text| text.parse().unwrap()),
    }
}

fn all(parts: &Parts, software: Software) -> Vec<String> {
    parts.configurations(|_| Some(software)).into_iter().map(|written| written.text).collect()
}

#[test]
fn bind_changes_places() {
    let [primary, third, fourth] =
        <[String; 3]>::try_from(all(&parts(Some("k"), None), Software::Bind)).unwrap();
    assert_eq!(
        primary.lines().skip(3).take(9).collect::<Vec<_>>().join("\n"),
        "zone \"example.org\" {\n\ttype primary;\n\tfile \"example.org.zone\";\n\tmasterfile-format raw;\n\tnotify explicit;\n\
         \talso-notify { 2001:db8::3 port 5353; 192.0.2.4 port 53; };\n\tallow-transfer { key \"k\"; };\n\
         \tupdate-policy { grant \"k\" zonesub ANY; };\n};"
    );
    assert!(
        primary.contains("file \"0-25.2.0.192.in-addr.arpa.zone\";"),
        "no file in a directory of the zone's name"
    );
    assert!(third.contains("primaries { 192.0.2.2 port 53 key \"k\"; };"), "{third}");
    assert!(fourth.starts_with("// my-ns4, a secondary of ns2\n"), "no name ends a comment: {fourth}");
}

#[test]
fn without_a_key_addresses_are_let_in_and_nobody_changes_anything() {
    let parts = parts(None, None);
    assert!(all(&parts, Software::Bind)[0].contains("allow-transfer { 2001:db8::3; 192.0.2.4; };"));
    for software in [Software::Bind, Software::Knot, Software::Nsd, Software::PowerDns] {
        let text = all(&parts, software).concat();
        assert!(!["update-policy", "update]", "TSIG-"].iter().any(|word| text.contains(word)), "{text}");
    }
    assert!(
        all(&parts, Software::Knot)[0].contains("address: [2001:db8::3, 192.0.2.4]\n    action: transfer")
    );
    assert!(all(&parts, Software::Nsd)[1].contains("request-xfr: 192.0.2.2@53 NOKEY"));
}

#[test]
fn beside_the_primary_everybody_follows_both() {
    let parts = parts(Some("k"), Some("ns1=192.0.2.1"));
    let bind = all(&parts, Software::Bind);
    assert!(
        bind[0].contains("type secondary;")
            && bind[0].contains("also-notify")
            && !bind[0].contains("update-policy")
    );
    assert!(bind[1].contains("primaries { 192.0.2.1 port 53 key \"k\"; 192.0.2.2 port 53 key \"k\"; };"));
    let knot = all(&parts, Software::Knot);
    assert!(
        knot[1].contains("master: [dr-ns1, dr-ns2]")
            && knot[1].contains("acl: [dr-ns1-tells, dr-ns1-signs, dr-ns2-tells, dr-ns2-signs]")
    );
    assert!(
        knot[0].contains("master: [dr-ns1]")
            && knot[0].contains("action: transfer\n")
            && !knot[0].contains("update")
    );
    assert!(all(&parts, Software::Nsd)[1].matches("request-xfr").count() == 4, "two zones, two primaries");
    assert!(all(&parts, Software::PowerDns)[2].contains("'example.org' '192.0.2.1:53' '192.0.2.2:53'"));
}
