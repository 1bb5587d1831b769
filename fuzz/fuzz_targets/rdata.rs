//! Record data as people and servers write it: the canonical form is its own canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dr_core::RecordType;
use dr_core::dns::canonical_rdata;

fuzz_target!(|input: (u8, &str)| {
    use RecordType::{A, AAAA, CAA, CNAME, DNSKEY, DS, MX, NS, PTR, SOA, SRV, SSHFP, TLSA, TXT};
    let types = [A, AAAA, CAA, CNAME, DNSKEY, DS, MX, NS, PTR, SOA, SRV, SSHFP, TLSA, TXT];
    let kind = types[usize::from(input.0) % types.len()];
    if let Ok(canonical) = canonical_rdata(kind, input.1) {
        assert_eq!(canonical_rdata(kind, &canonical).as_ref(), Ok(&canonical));
    }
});
