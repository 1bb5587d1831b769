//! Between our values and those of the wire library: names, types, data, response codes.

pub(in crate::world) use super::exchange::{read_message, why, write_message};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, RecordType as WireType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, Restrict};

use crate::dns::{rdata_from_wire, rdata_to_wire};
use crate::estate::{DnsName, RecordType};

/// The name as the wire library has it.
pub(in crate::world) fn wire_name(name: &DnsName) -> Result<Name, String> {
    let labels = name.as_str().split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
    let mut wire = Name::from_labels(labels).map_err(|why| format!("{name}: {why}"))?;
    wire.set_fqdn(true);
    Ok(wire)
}

/// The name as we have it. The error says that it has characters that no name of ours has.
pub(in crate::world) fn dns_name(name: &Name) -> Result<DnsName, String> {
    if name.is_root() {
        return ".".parse().map_err(|why| format!("{why}"));
    }
    let labels: Vec<_> = name.iter().map(String::from_utf8_lossy).collect();
    // A dot within a label would read as two labels.
    if labels.iter().any(|label| label.contains('.')) {
        return Err(format!("the owner '{name}' has a dot within a label"));
    }
    labels.join(".").parse().map_err(|why| format!("the owner: {why}"))
}

/// The number of the type.
pub(in crate::world) fn wire_type(rtype: RecordType) -> WireType {
    match rtype {
        RecordType::A => WireType::A,
        RecordType::AAAA => WireType::AAAA,
        RecordType::CAA => WireType::CAA,
        RecordType::CNAME => WireType::CNAME,
        RecordType::DS => WireType::DS,
        RecordType::DNSKEY => WireType::DNSKEY,
        RecordType::MX => WireType::MX,
        RecordType::NS => WireType::NS,
        RecordType::PTR => WireType::PTR,
        RecordType::SOA => WireType::SOA,
        RecordType::SRV => WireType::SRV,
        RecordType::SSHFP => WireType::SSHFP,
        RecordType::TLSA => WireType::TLSA,
        RecordType::TXT => WireType::TXT,
    }
}

/// The canonical presentation of a record's data.
pub(in crate::world) fn rdata_text(rtype: RecordType, data: &RData) -> Result<String, String> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    // Canonical form is without compression.
    encoder.set_canonical_form(true);
    data.emit(&mut encoder).map_err(|why| format!("{rtype} record: {why}"))?;
    rdata_from_wire(rtype, &octets)
}

/// The data of a record from its presentation.
pub(in crate::world) fn rdata_value(rtype: RecordType, presentation: &str) -> Result<RData, String> {
    let octets = rdata_to_wire(rtype, presentation)?;
    let length = u16::try_from(octets.len()).map_err(|_| format!("{rtype} record: it is too long"))?;
    RData::read(&mut BinDecoder::new(&octets), wire_type(rtype), Restrict::new(length))
        .map_err(|why| format!("{rtype} record: {why}"))
}

/// The mnemonic of a response code (RFC 6895 section 2.3).
pub(in crate::world) fn mnemonic(rcode: ResponseCode) -> String {
    match rcode {
        // The library's words for these two are not the registry's.
        ResponseCode::NoError => "NOERROR".to_owned(),
        ResponseCode::BADSIG => "BADVERS".to_owned(),
        ResponseCode::Unknown(number) => format!("RCODE{number}"),
        known => format!("{known:?}").to_ascii_uppercase(),
    }
}
