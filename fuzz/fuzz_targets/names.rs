//! Names, places, spans and paths: what is accepted reads back as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::mirror::RelPath;
use dr_core::{DnsName, Location, Period, Remote, Timestamp};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(path) = RelPath::new(bytes) {
        let json = serde_json::to_string(&path).expect("a path is JSON");
        assert_eq!(serde_json::from_str::<RelPath>(&json).ok(), Some(path));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(remote) = text.parse::<Remote>() {
        assert_eq!(remote.to_string().parse::<Remote>(), Ok(remote));
    }
    if let Ok(location) = text.parse::<Location>() {
        assert!(location.to_string().parse::<Location>().is_ok());
    }
    if let Ok(name) = text.parse::<DnsName>() {
        assert_eq!(name.as_str().parse::<DnsName>(), Ok(name));
    }
    if let Ok(period) = text.parse::<Period>() {
        assert_eq!(period.to_string().parse::<Period>(), Ok(period));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        assert_eq!(at.to_string().parse::<Timestamp>(), Ok(at));
    }
});
