//! The data of a record in its two forms: the presentation that people type (RFC 1035 section 5.1) and the octets of a message.
//!
//! One table says which fields a type has; reading and writing both forms follow from it, so that what a person typed and what
//! a server sent become the same text exactly when they are the same record.

mod field;
mod text;

pub(super) use text::{name_from_wire, name_to_wire};

use crate::estate::RecordType;
use field::Field;

/// The fields of each type, in the order of both forms.
fn fields(rtype: RecordType) -> &'static [Field] {
    use Field::{Base64, Hex, Ip4, Ip6, Name, Strings, Tag, U8, U16, U32, Value};
    match rtype {
        RecordType::A => &[Ip4],
        RecordType::AAAA => &[Ip6],
        RecordType::CAA => &[U8("flags"), Tag, Value],
        RecordType::CNAME | RecordType::NS | RecordType::PTR => &[Name("target")],
        RecordType::DS => &[U16("key tag"), U8("algorithm"), U8("digest type"), Hex("digest")],
        RecordType::DNSKEY => &[U16("flags"), U8("protocol"), U8("algorithm"), Base64("key")],
        RecordType::MX => &[U16("preference"), Name("exchange")],
        RecordType::SOA => &[
            Name("MNAME"),
            Name("RNAME"),
            U32("serial"),
            U32("refresh"),
            U32("retry"),
            U32("expire"),
            U32("minimum"),
        ],
        RecordType::SRV => &[U16("priority"), U16("weight"), U16("port"), Name("target")],
        RecordType::SSHFP => &[U8("algorithm"), U8("fingerprint type"), Hex("fingerprint")],
        RecordType::TLSA => &[U8("usage"), U8("selector"), U8("matching type"), Hex("association")],
        RecordType::TXT => &[Strings],
    }
}

/// Brings what a person typed as the data of a record into the one form that [`crate::RecordSet`] keeps: names absolute, in
/// lower case and without the final dot, addresses in their shortest form, numbers without leading zeros, strings quoted,
/// digests in lower case, one space between fields. Names are taken as absolute whether they end in a dot or not.
///
/// A TXT that does not begin with a quotation mark is one string, whatever stands in it; longer than 255 octets, it is cut
/// into several as RFC 1035 demands. The error says what is wrong, for the person who typed it.
///
/// ```
/// use dr_core::dns::canonical_rdata;
/// use dr_core::RecordType;
/// assert_eq!(canonical_rdata(RecordType::MX, "010  Mail.Example.ORG.").unwrap(), "10 mail.example.org");
/// assert_eq!(canonical_rdata(RecordType::AAAA, "2001:DB8:0::1").unwrap(), "2001:db8::1");
/// assert_eq!(canonical_rdata(RecordType::TXT, "v=spf1 mx -all").unwrap(), r#""v=spf1 mx -all""#);
/// assert!(canonical_rdata(RecordType::A, "192.0.2.300").unwrap_err().contains("192.0.2.300"));
/// ```
pub fn canonical_rdata(rtype: RecordType, typed: &str) -> Result<String, String> {
    rdata_from_wire(rtype, &rdata_to_wire(rtype, typed)?)
}

/// The octets of a record's data, names uncompressed, from its presentation.
pub(crate) fn rdata_to_wire(rtype: RecordType, typed: &str) -> Result<Vec<u8>, String> {
    let said = |why: String| format!("{rtype} record: {why}");
    let mut tokens = text::tokens(rtype, typed).map_err(said)?.into_iter();
    let mut wire = Vec::new();
    for field in fields(rtype) {
        field.read_text(&mut tokens, &mut wire).map_err(said)?;
    }
    if let Some(rest) = tokens.next() {
        return Err(said(format!("nothing may follow, but '{}' does", rest.raw.escape_debug())));
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err(said("it is longer than 65,535 octets".to_owned()));
    }
    Ok(wire)
}

/// The canonical presentation, from the octets of a record's data with its names uncompressed.
pub(crate) fn rdata_from_wire(rtype: RecordType, wire: &[u8]) -> Result<String, String> {
    let mut rest = wire;
    let mut parts: Vec<String> = Vec::new();
    for field in fields(rtype) {
        parts.push(field.read_wire(&mut rest).map_err(|why| format!("{rtype} record: {why}"))?);
    }
    if !rest.is_empty() {
        return Err(format!("{rtype} record: {} octets too many", rest.len()));
    }
    Ok(parts.join(" "))
}

/// Types that are only looked at, never written: their numbers, mnemonics and fields.
#[cfg(feature = "world")]
fn seen_fields(number: u16) -> Option<(&'static str, &'static [Field])> {
    use Field::{Base64, Hex, Name, U8, U16, U32};
    Some(match number {
        46 => (
            "RRSIG",
            &[
                U16("type covered"),
                U8("algorithm"),
                U8("labels"),
                U32("original TTL"),
                U32("expiration"),
                U32("inception"),
                U16("key tag"),
                Name("signer"),
                Base64("signature"),
            ],
        ),
        51 => ("NSEC3PARAM", &[U8("algorithm"), U8("flags"), U16("iterations"), Hex("salt")]),
        59 => ("CDS", &[U16("key tag"), U8("algorithm"), U8("digest type"), Hex("digest")]),
        60 => ("CDNSKEY", &[U16("flags"), U8("protocol"), U8("algorithm"), Base64("key")]),
        _ => return None,
    })
}

/// The mnemonic of a type, and its data as text, of whatever type it is: what dr does not know stays as it came (RFC 3597).
#[cfg(feature = "world")]
pub(crate) fn entry_from_wire(number: u16, known: Option<RecordType>, wire: &[u8]) -> (String, String) {
    let as_it_came = || format!("\\# {} {}", wire.len(), data_encoding::HEXLOWER.encode(wire));
    if let Some(rtype) = known {
        return (rtype.to_string(), rdata_from_wire(rtype, wire).unwrap_or_else(|_| as_it_came()));
    }
    let Some((mnemonic, fields)) = seen_fields(number) else {
        let mnemonic = match number {
            47 => "NSEC".to_owned(),
            50 => "NSEC3".to_owned(),
            other => format!("TYPE{other}"),
        };
        return (mnemonic, as_it_came());
    };
    let mut rest = wire;
    let parts: Result<Vec<String>, String> = fields.iter().map(|field| field.read_wire(&mut rest)).collect();
    (mnemonic.to_owned(), parts.map_or_else(|_| as_it_came(), |parts| parts.join(" ")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rtype: RecordType, typed: &str, expected: &str) {
        let canonical = canonical_rdata(rtype, typed);
        assert_eq!(canonical.as_deref(), Ok(expected), "{rtype} {typed}");
        assert_eq!(canonical_rdata(rtype, expected).as_deref(), Ok(expected), "stable: {rtype} {expected}");
    }

    #[test]
    fn what_people_type_becomes_one_form() {
        use RecordType::*;
        check(A, " 192.0.2.1 ", "192.0.2.1");
        check(AAAA, "2001:0DB8:0000::00a1", "2001:db8::a1");
        check(AAAA, "::ffff:192.0.2.1", "::ffff:192.0.2.1");
        check(NS, "NS1.Example.ORG.", "ns1.example.org");
        check(CNAME, "www.example.org", "www.example.org");
        check(MX, "0 .", "0 .");
        check(SRV, "00 5\t5060 SIP.example.org", "0 5 5060 sip.example.org");
        check(
            SOA,
            r"ns1.example.org. Host\.Master.example.org. ( 7 3600 900
            1209600 300 )",
            r"ns1.example.org host\.master.example.org 7 3600 900 1209600 300",
        );
        check(CAA, "0 ISSUE letsencrypt.org", "0 issue \"letsencrypt.org\"");
        check(CAA, "128 iodef \"mailto:a b@example.org\"", "128 iodef \"mailto:a b@example.org\"");
        check(CAA, "0 issue \"\"", "0 issue \"\"");
        check(TXT, "v=spf1 mx -all", "\"v=spf1 mx -all\"");
        check(TXT, "v=DKIM1; k=rsa; p=MIG", "\"v=DKIM1; k=rsa; p=MIG\"");
        check(TXT, r#""a" b "c\"d" "\228\\" "#, r#""a" "b" "c\"d" "\228\\""#);
        check(TXT, "\"\"", "\"\"");
        check(TXT, "ü", "\"\\195\\188\"");
        check(
            DS,
            "60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118",
            "60485 5 1 2bb183af5f22588179a53b0a98631fad1a292118",
        );
        check(SSHFP, "4 2 AB", "4 2 ab");
        check(TLSA, "3 1 1 00ff", "3 1 1 00ff");
        check(DNSKEY, "257 3 13 AQ ID", "257 3 13 AQID");
    }

    #[test]
    fn a_long_text_is_cut_at_255_octets() {
        let typed = "x".repeat(300);
        let expected = format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45));
        check(RecordType::TXT, &typed, &expected);
        assert!(canonical_rdata(RecordType::TXT, &format!("\"{typed}\"")).unwrap_err().contains("255"));
    }

    #[test]
    fn what_is_no_data_is_refused_with_a_reason() {
        use RecordType::*;
        for (rtype, typed, says) in [
            (A, "192.0.2.1 192.0.2.2", "follow"),
            (A, "::1", "IPv4"),
            (A, "", "missing"),
            (MX, "mail.example.org", "preference"),
            (MX, "70000 mail.example.org", "preference"),
            (MX, "10", "missing"),
            (MX, "10 a..b", "label"),
            (NS, "two words", "follow"),
            (NS, "ü.example.org", "ASCII"),
            (TXT, "\"open", "quot"),
            (TXT, "", "missing"),
            (TXT, "\"\\999\"", "\\DDD"),
            (DS, "1 2 3", "missing"),
            (DS, "1 2 3 zz", "hexadecimal"),
            (DNSKEY, "256 3 8 !!", "base64"),
            (CAA, "0 is-sue x", "tag"),
            (CNAME, "a.example.org ; comment", "';'"),
        ] {
            let why = canonical_rdata(rtype, typed).unwrap_err();
            assert!(why.contains(says), "{rtype} {typed:?}: {why}");
        }
    }

    fn any_type() -> impl Strategy<Value = RecordType> {
        use RecordType::*;
        prop::sample::select(vec![A, AAAA, CAA, CNAME, DS, DNSKEY, MX, NS, PTR, SOA, SRV, SSHFP, TLSA, TXT])
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_accepted_is_stable(rtype in any_type(), typed in r#"[ -~"\\\t]{0,60}|.{0,40}"#) {
            if let Ok(canonical) = canonical_rdata(rtype, &typed) {
                prop_assert_eq!(canonical_rdata(rtype, &canonical), Ok(canonical));
            }
        }

        #[test]
        fn no_octets_panic_and_what_is_read_writes_back(rtype in any_type(), wire in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(presentation) = rdata_from_wire(rtype, &wire) {
                let again = rdata_to_wire(rtype, &presentation).unwrap();
                // Names and tags lose their case (RFC 4343); everything else is kept octet for octet.
                let fold = |bytes: &[u8]| bytes.to_ascii_lowercase();
                prop_assert_eq!(fold(&again), fold(&wire), "{}", presentation);
            }
        }
    }
}
