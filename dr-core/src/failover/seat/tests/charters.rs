//! What an estate makes of seats: what cannot work is refused, and says what would.

use crate::estate::Estate;
use crate::failover::{Charter, Mandate};

const ESTATE: &str = r#"
    hosts.uk = { ssh = "root@uk.example.net", failure_domain = "uk" }
    hosts.us = { ssh = "root@us.example.net", failure_domain = "us" }
    sites.shop = { home = "uk", standby = "us", failover = "auto" }
    coordinator = { kind = "etcd", failure_domain = "nl", urls = ["https://etcd.example.net:2379"] }
    observers.uk-1 = { failure_domain = "uk" }
    observers.us-1 = { failure_domain = "us" }
    observers.nl-1 = { failure_domain = "nl" }
"#;

fn charter(text: &str, me: &str) -> Result<Charter, String> {
    let estate = Estate::from_toml(text).map_err(|why| why.to_string())?;
    Charter::of(&estate, &"shop".parse().unwrap(), &me.parse().unwrap())
}

/// The estate with this instead of that is refused, and this is said.
fn refused(that: &str, this: &str, why: &str) {
    assert!(ESTATE.contains(that), "{that}");
    let said = charter(&ESTATE.replace(that, this), "uk").unwrap_err();
    assert!(said.contains(why), "{said:?} does not say {why:?}");
}

#[test]
fn three_places_may_decide_by_themselves_and_both_hosts_know_the_same() {
    let [uk, us] = ["uk", "us"].map(|me| charter(ESTATE, me).unwrap());
    assert!(matches!(uk.mandate, Mandate::Auto(_)));
    assert_eq!(uk.digest(), us.digest());
    let longer = ESTATE.replace("sites.shop", "policy.failover.times = { take = \"2m\" }\n    sites.shop");
    assert_ne!(charter(&longer, "us").unwrap().digest(), uk.digest(), "other terms are other terms");
    assert!(charter(ESTATE, "nl").unwrap_err().contains("no part"));
}

#[test]
fn two_places_never_decide_by_themselves() {
    refused("failure_domain = \"nl\", urls", "failure_domain = \"us\", urls", "put it into a third place");
    refused("failure_domain = \"nl\", urls", "urls", "say in which failure_domain the [coordinator] is");
    refused("observers.nl-1 = { failure_domain = \"nl\" }", "", "add observers outside of");
    refused(
        "us.example.net\", failure_domain = \"us\"",
        "us.example.net\"",
        "say in which failure_domain us is",
    );
    refused(
        "us.example.net\", failure_domain = \"us\"",
        "us.example.net\", failure_domain = \"uk\"",
        "one event takes both",
    );
    let asked = ESTATE.replace("observers.nl-1 = { failure_domain = \"nl\" }", "").replace("auto", "ask");
    assert!(matches!(charter(&asked, "uk").unwrap().mandate, Mandate::Ask(_)), "a person may");
}

#[test]
fn what_contradicts_itself_is_a_mistake_of_the_estate() {
    let times = "sites.shop = { home";
    refused(
        times,
        "policy.failover.times = { take = \"60s\" }\n    sites.shop = { home",
        "make it at least 1m 25s 556ms",
    );
    refused(times, "policy.mirrors.every = \"48h\"\n    sites.shop = { home", "cannot keep an objective");
    refused("kind = \"etcd\"", "kind = \"sqlite\"", "only a coordinator of the kind etcd has it");
    refused(
        "kind = \"etcd\", failure_domain = \"nl\", urls = [\"https://etcd.example.net:2379\"]",
        "kind = \"sqlite\", path = \"/var/lib/dr/c.db\"",
        "two hosts cannot both ask it",
    );
    refused(", urls = [\"https://etcd.example.net:2379\"]", "", "say where etcd is");
    refused("urls =", "user = \"dr\", urls =", "go together");
    refused("kind = \"etcd\"", "kind = \"etc\"", "is none of dns, etcd, sqlite");
}

#[test]
fn nobody_signs_for_two() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let twice = |id: &str, of: &str, comment: &str| {
        format!("observers.{id} = {{ failure_domain = \"{of}\", keys = [\"{key}{comment}\"] }}")
    };
    let both = format!("{}\n    {}", twice("nl-1", "nl", ""), twice("de-1", "de", " another name"));
    refused("observers.nl-1 = { failure_domain = \"nl\" }", &both, "one machine would have two votes");
    // A host's own observer is where the host is; two hosts are never one.
    let signs = |host: &str| format!("{host}.example.net\", agent_keys = [\"{key}\"]");
    let one = ESTATE
        .replace("uk.example.net\"", &signs("uk"))
        .replace("observers.nl-1 = { failure_domain = \"nl\" }", &twice("nl-1", "nl", ""));
    let said = charter(&one, "uk").unwrap_err();
    assert!(said.contains("so it is on uk, yet not in the same failure_domain"), "{said}");
    let said = charter(
        &ESTATE.replace("uk.example.net\"", &signs("uk")).replace("us.example.net\"", &signs("us")),
        "uk",
    )
    .unwrap_err();
    assert!(said.contains("each could say that the other has stopped"), "{said}");
}
