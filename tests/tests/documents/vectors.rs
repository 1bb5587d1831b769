//! The vectors of `tests/vectors` through Rust's own call: what Python and C answer is compared with the same.

use dr_core::toolkit::{Toolkit, blocking};
use dr_core::world::Control;
use serde_json::Value;

use super::repository;

/// Whether everything that is expected is there; of lists, the first ones. An empty list is an empty list.
fn within(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Object(wanted), Value::Object(there)) => {
            wanted.iter().all(|(name, value)| there.get(name).is_some_and(|found| within(value, found)))
        }
        (Value::Array(wanted), Value::Array(there)) => {
            there.len() >= wanted.len()
                && wanted.is_empty() == there.is_empty()
                && wanted.iter().zip(there).all(|(value, found)| within(value, found))
        }
        _ => expected == got,
    }
}

#[test]
fn every_vector_holds() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    std::fs::create_dir(directory.path().join("site")).unwrap();
    std::fs::write(directory.path().join("site/page"), "one").unwrap();
    let text = std::fs::read_to_string(repository().join("tests/vectors/calls.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&text.replace("$DIR", place)).unwrap();
    for vector in &vectors {
        let control = Control::silent();
        let settings = vector.get("settings").map(Value::to_string).unwrap_or_default();
        let done = Toolkit::open_json(&settings).and_then(|toolkit| {
            let (operation, request) = (vector["operation"].as_str().unwrap(), vector["request"].to_string());
            blocking(toolkit.call_json(operation, &request, &control), &control, || true)
        });
        let (said, got) = match done {
            Ok(answer) => ("answer", serde_json::from_str(&answer).unwrap()),
            Err(error) => ("error", serde_json::to_value(error.to_record()).unwrap()),
        };
        let expected = vector.get(said);
        assert!(expected.is_some_and(|expected| within(expected, &got)), "{}: {said} {got}", vector["what"]);
    }
}
