//! Plans, reports and events come back from a journal or over a line: whatever stands there, reading and showing it ends.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::render::{Style, event, plan, report};

fuzz_target!(|text: &str| {
    let style = Style { full: true, ..Style::default() };
    if let Ok(read) = serde_json::from_str::<dr_core::Plan>(text) {
        let again = serde_json::to_string(&read).expect("a plan is JSON");
        assert_eq!(serde_json::from_str::<dr_core::Plan>(&again).ok().as_ref(), Some(&read));
        assert!(!plan(&read, style).contains('\x1b'));
        for planned in &read.steps {
            let _ = planned.step.inverse();
        }
    }
    if let Ok(read) = serde_json::from_str::<dr_core::Report>(text) {
        assert!(!report(&read, style).contains('\x1b'));
    }
    if let Ok(read) = serde_json::from_str::<dr_core::run::Event>(text) {
        assert!(!event(&read, None, style).contains('\x1b'));
    }
});
