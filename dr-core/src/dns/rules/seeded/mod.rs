//! Every rule against a capture with the one fault that it is for: it finds that, at the right server, and no rule finds anything
//! else. The faults are in `cases`.

mod cases;
mod scene;

use std::collections::BTreeSet;

use crate::dns::rules::{FULL_RULES, RULES};
use crate::dns::seen::Seen;
use crate::dns::{ZoneFacts, judge};
use crate::report::Code;
use cases::{Seed, cases};
use scene::Scene;

/// What is found, as "code subject".
fn found(facts: &ZoneFacts, scene: &Scene) -> Vec<String> {
    let report = judge(facts, &scene.thresholds);
    report.findings.iter().map(|finding| format!("{} {}", finding.code, finding.subject.name)).collect()
}

/// A capture with the fault in it, and the scene that it is of.
fn seeded(seed: &Seed) -> (ZoneFacts, Scene) {
    let mut scene = Scene::healthy();
    if let Seed::Before(fault) = seed {
        fault(&mut scene);
    }
    let mut facts = scene.capture();
    if let Seed::After(fault) = seed {
        fault(&mut facts);
    }
    (facts, scene)
}

#[test]
fn a_healthy_zone_has_no_findings() {
    let scene = Scene::healthy();
    assert_eq!(found(&scene.capture(), &scene), Vec::<String>::new());
}

#[test]
fn every_seeded_fault_is_found_and_nothing_else() {
    assert!(cases().count() >= 100, "{} faults", cases().count());
    let mut wrong = vec![];
    for (what, seed, expected) in cases() {
        let (facts, scene) = seeded(seed);
        let healthy = Scene::healthy();
        let changed = facts != healthy.capture() || scene.thresholds != healthy.thresholds;
        assert!(changed, "{what} changes something");
        // What is kept is judged the same for ever.
        let replayed: ZoneFacts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        let found = found(&replayed, &scene);
        if found != *expected {
            wrong.push(format!("{what}:\n  found    {found:?}\n  expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Each rule by itself: none is there that no fault would show.
#[test]
fn every_rule_finds_a_seeded_fault() {
    let captures: Vec<(ZoneFacts, Scene)> = cases().map(|(_, seed, _)| seeded(seed)).collect();
    let idle: Vec<usize> = (0..RULES.len() + FULL_RULES.len())
        .filter(|number| {
            let rule = RULES.iter().chain(FULL_RULES).nth(*number).unwrap();
            captures.iter().all(|(facts, scene)| rule(&Seen::new(facts), &scene.thresholds).is_empty())
        })
        .collect();
    assert!(idle.is_empty(), "rules without a fault, by their place in the list: {idle:?}");
}

#[test]
fn every_dns_code_has_a_seeded_fault() {
    let seeded: BTreeSet<&str> =
        cases().flat_map(|(_, _, found)| *found).filter_map(|found| found.split(' ').next()).collect();
    let without: Vec<Code> =
        Code::all().filter(|code| code.name().starts_with("dns.") && !seeded.contains(code.name())).collect();
    assert!(without.is_empty(), "{without:?}");
}
