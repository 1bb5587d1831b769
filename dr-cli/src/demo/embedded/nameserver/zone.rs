//! A zone as a value: parsed, compared, transferred and saved as a whole.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use hickory_proto::{
    rr::{LowerName, Name, RData, Record, RecordType, RrKey, rdata::SOA},
    serialize::txt::Parser,
};
use hickory_server::{
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, ZoneHandler, ZoneType},
};

/// All records of a zone. It always has its SOA record.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    origin: Name,
    pub(super) soa: SOA,
    pub(super) soa_ttl: u32,
    /// Everything but the SOA record; no set is empty.
    pub(super) rrsets: BTreeMap<RrKey, Vec<Record>>,
}

impl PartialEq for Zone {
    /// With the times to live, which the equality of [`Record`] leaves out.
    fn eq(&self, other: &Self) -> bool {
        let ttls = |zone: &Self| zone.rrsets.values().flatten().map(|record| record.ttl).collect::<Vec<_>>();
        self.soa == other.soa
            && self.soa_ttl == other.soa_ttl
            && self.rrsets == other.rrsets
            && ttls(self) == ttls(other)
    }
}

impl Zone {
    /// Reads a zone file (RFC 1035, section 5).
    pub(super) fn parse(origin: &Name, text: &str) -> io::Result<Self> {
        let parser = Parser::new(text, None, Some(origin.clone()));
        let (_, sets) = parser.parse().map_err(|error| invalid(format!("zone {origin}: {error}")))?;
        let records = sets.into_values().flat_map(|set| set.into_parts().records);
        Self::from_records(origin, records).map_err(invalid)
    }

    /// A zone of these records, of which one must be the SOA of `origin` and none outside of it.
    pub(super) fn from_records(
        origin: &Name,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Self, String> {
        let apex = LowerName::from(origin);
        let mut soa = None;
        let mut rrsets: BTreeMap<RrKey, Vec<Record>> = BTreeMap::new();
        for record in records {
            let name = LowerName::from(&record.name);
            if !apex.zone_of(&name) {
                return Err(format!("zone {origin}: the record of {name} is not in it"));
            }
            match &record.data {
                RData::SOA(data) if name == apex => soa = Some((data.clone(), record.ttl)),
                RData::SOA(_) => return Err(format!("zone {origin}: {name} has an SOA record of its own")),
                _ => {
                    let set = rrsets.entry(RrKey::new(name, record.record_type())).or_default();
                    if !set.iter().any(|known| known.data == record.data) {
                        set.push(record);
                    }
                }
            }
        }
        let (soa, soa_ttl) = soa.ok_or_else(|| format!("zone {origin}: it has no SOA record"))?;
        Ok(Self { origin: origin.clone(), soa, soa_ttl, rrsets })
    }

    pub(super) fn origin(&self) -> LowerName {
        LowerName::from(&self.origin)
    }

    pub(super) fn serial(&self) -> u32 {
        self.soa.serial
    }

    pub(super) fn soa_record(&self) -> Record {
        Record::from_rdata(self.origin.clone(), self.soa_ttl, RData::SOA(self.soa.clone()))
    }

    /// The records of one name and type.
    pub(super) fn rrset(&self, name: &LowerName, kind: RecordType) -> Vec<Record> {
        if kind == RecordType::SOA && *name == self.origin() {
            return vec![self.soa_record()];
        }
        self.rrsets.get(&RrKey::new(name.clone(), kind)).cloned().unwrap_or_default()
    }

    pub(super) fn has_name(&self, name: &LowerName) -> bool {
        *name == self.origin() || self.rrsets.keys().any(|key| key.name() == name)
    }

    /// All records, the SOA first.
    pub(super) fn records(&self) -> Vec<Record> {
        std::iter::once(self.soa_record()).chain(self.rrsets.values().flatten().cloned()).collect()
    }

    /// What answers queries about it. Transfers are answered elsewhere: in as many messages as it takes.
    pub(super) fn handler(&self) -> Arc<dyn ZoneHandler> {
        let mut handler =
            <InMemoryZoneHandler>::empty(self.origin.clone(), ZoneType::Primary, AxfrPolicy::Deny, None);
        for record in self.records() {
            handler.upsert_mut(record, self.serial());
        }
        Arc::new(handler)
    }

    /// Keeps it in `file`, wholly or not at all. Without fsync: a name server of the demo has to survive its own
    /// sudden death, not the machine's.
    pub(super) fn save(&self, file: &Path) -> io::Result<()> {
        let temporary = file.with_extension("new");
        fs::write(&temporary, serde_json::to_vec(&self.records())?)?;
        fs::rename(temporary, file)
    }

    /// What was saved in `file`, if anything was.
    pub(super) fn load(origin: &Name, file: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            outcome => outcome?,
        };
        let records: Vec<Record> = serde_json::from_slice(&bytes)
            .map_err(|error| invalid(format!("{} is no saved zone: {error}", file.display())))?;
        Self::from_records(origin, records).map(Some).map_err(invalid)
    }
}

/// Whether serial `candidate` comes after `known` (RFC 1982).
pub(super) fn is_newer(candidate: u32, known: u32) -> bool {
    candidate != known && candidate.wrapping_sub(known) < 1 << 31
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
pub(super) mod tests {
    use std::str::FromStr;

    use super::*;

    pub(in super::super) const TEXT: &str = r#"
$TTL 300
@       IN SOA ns1 hostmaster ( 7 3600 600 86400 60 )
        IN NS  ns1
        IN NS  ns2.elsewhere.example.
        IN MX  10 mail
        IN TXT "v=spf1 a mx -all" "two \"quoted\" ; parts"
        IN CAA 0 issue "letsencrypt.org"
ns1     IN A   127.0.0.11
www 30  IN A   127.0.0.2
        IN AAAA 2001:db8::2
mail    IN CNAME www
_sip._tcp IN SRV 1 2 5060 www
"#;

    pub(in super::super) fn zone() -> Zone {
        Zone::parse(&Name::from_str("example.org.").unwrap(), TEXT).unwrap()
    }

    #[test]
    fn a_zone_is_the_same_after_saving_and_transferring() {
        let zone = zone();
        assert_eq!(zone.serial(), 7);
        assert_eq!(zone.records().len(), 11);
        let www = LowerName::from_str("WWW.example.org.").unwrap();
        assert_eq!(zone.rrset(&www, RecordType::A).first().unwrap().ttl, 30);

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("example.org.zone");
        assert_eq!(Zone::load(&zone.origin, &file).unwrap(), None);
        zone.save(&file).unwrap();
        assert_eq!(Zone::load(&zone.origin, &file).unwrap(), Some(zone.clone()));
        fs::write(&file, "[").unwrap();
        assert!(Zone::load(&zone.origin, &file).is_err());
        assert_eq!(Zone::from_records(&zone.origin, zone.records()), Ok(zone));
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        let origin = Name::from_str("example.org.").unwrap();
        for text in
            ["www IN A 127.0.0.1", "@ IN SOA", "@ IN SOA a b 1 2 3 4 5\nother.example. IN A 127.0.0.1"]
        {
            assert!(Zone::parse(&origin, text).is_err(), "{text}");
        }
    }

    #[test]
    fn serials_wrap() {
        for (candidate, known, expected) in [
            (2, 1, true),
            (1, 1, false),
            (1, 2, false),
            (0, u32::MAX, true),
            (u32::MAX, 0, false),
            (1 << 31, 0, false),
        ] {
            assert_eq!(is_newer(candidate, known), expected, "{candidate} {known}");
        }
    }
}
