//! Whatever a host lists: what comes of it is an estate without mistakes.
#![no_main]

use dr_core::Estate;
use dr_core::estate::Host;
use dr_core::estate::discover::{Found, Ground, Listing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &str)| {
    let mut found = Found::default();
    found.read(Listing::ALL[usize::from(input.0) % Listing::ALL.len()], input.1);
    let host = |name: &str, address: &str| {
        let mut host = Host::new(name.parse().expect("an account"));
        host.addresses.push(address.parse().expect("an address"));
        (name.parse().expect("a name"), host)
    };
    let (home, standby) = (host("uk", "192.0.2.10"), host("us", "198.51.100.20"));
    let draft = found.draft(&Ground { estate: &Estate::default(), home, standby });
    assert_eq!(Estate::from_toml(&draft.fragment().expect("TOML")).as_ref(), Ok(&draft.estate));
});
