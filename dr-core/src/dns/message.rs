//! Messages as they came (RFC 1035 section 4.1): where each record begins, and its data without compression. Bounded by the message itself.

use std::ops::Range;

use super::rdata::name_from_wire;

/// A name has at most so many octets (RFC 1035 section 3.1).
const NAME_OCTETS: usize = 255;
const HEADER_OCTETS: usize = 12;

/// A message, walked through once: every record is where its length says.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) octets: &'a [u8],
    pub(super) question: Option<Asked>,
    pub(super) answers: Vec<Record>,
    /// The last record of the additional section.
    pub(super) last: Option<Record>,
}

/// A question.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) name: Vec<u8>,
    pub(super) rtype: u16,
}

/// A record: its owner without compression and in lower case, and where its data are.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) begins: usize,
    pub(super) owner: Vec<u8>,
    pub(super) rtype: u16,
    pub(super) class: u16,
    pub(super) ttl: u32,
    pub(super) data: Range<usize>,
}

impl<'a> Message<'a> {
    /// Reads it to its last octet. The error says what is wrong with it.
    pub(super) fn read(octets: &'a [u8]) -> Result<Self, String> {
        if octets.len() < HEADER_OCTETS {
            return Err(format!("{} octets are no message", octets.len()));
        }
        let count = |at: usize| number16(octets, at).map(usize::from);
        let (questions, answers) = (count(4)?, count(6)?);
        let (authorities, additionals) = (count(8)?, count(10)?);
        let mut at = HEADER_OCTETS;
        let mut question = None;
        for _ in 0..questions {
            let (name, after) = name_at(octets, at)?;
            let asked = Asked { name, rtype: number16(octets, after)? };
            number16(octets, after + 2)?;
            at = after + 4;
            question = question.or(Some(asked));
        }
        let (mut kept, mut last) = (vec![], None);
        for number in 0..answers + authorities + additionals {
            let record = Record::read(octets, at)?;
            at = record.data.end;
            if number < answers {
                kept.push(record);
            } else if number >= answers + authorities {
                last = Some(record);
            }
        }
        if at != octets.len() {
            return Err(format!("{} octets are behind its last record", octets.len() - at));
        }
        Ok(Self { octets, question, answers: kept, last })
    }

    pub(super) fn id(&self) -> [u8; 2] {
        [self.octets[0], self.octets[1]]
    }

    pub(super) fn is_response(&self) -> bool {
        self.octets[2] & 0x80 != 0
    }

    /// The response code of the header.
    pub(super) fn rcode(&self) -> u8 {
        self.octets[3] & 0x0f
    }
}

impl Record {
    fn read(octets: &[u8], begins: usize) -> Result<Self, String> {
        let (owner, at) = name_at(octets, begins)?;
        let (rtype, class) = (number16(octets, at)?, number16(octets, at + 2)?);
        let ttl = u32::from(number16(octets, at + 4)?) << 16 | u32::from(number16(octets, at + 6)?);
        let data = at + 10..at + 10 + usize::from(number16(octets, at + 8)?);
        if data.end > octets.len() {
            return Err("a record ends behind the message".to_owned());
        }
        Ok(Self { begins, owner, rtype, class, ttl, data })
    }

    /// The data with every name in them whole and in lower case, where the type is one whose names may be compressed (RFC 3597
    /// section 4) or whose names count without regard to case; as they came otherwise.
    pub(super) fn plain_data(&self, octets: &[u8]) -> Result<Vec<u8>, String> {
        let raw = octets.get(self.data.clone()).ok_or("a record ends behind the message")?;
        // How many octets stand before the names, how many names there are.
        let (before, names) = match self.rtype {
            2 | 5 | 12 => (0, 1),
            6 => (0, 2),
            15 => (2, 1),
            33 => (6, 1),
            _ => return Ok(raw.to_vec()),
        };
        let mut plain = raw.get(..before).ok_or("a record is too short")?.to_vec();
        let mut at = self.data.start + before;
        for _ in 0..names {
            let (name, after) = name_at(octets, at)?;
            plain.extend(name);
            at = after;
        }
        plain.extend(octets.get(at..self.data.end).ok_or("a name goes on behind its record")?);
        Ok(plain)
    }
}

/// The name at an offset, without compression and in lower case, and where what follows it begins. Pointers lead back only, so that none
/// goes round in a circle.
pub(super) fn name_at(octets: &[u8], begins: usize) -> Result<(Vec<u8>, usize), String> {
    let cut = || "a name ends behind the message".to_owned();
    let (mut name, mut at, mut after, mut bound) = (vec![], begins, None, begins);
    loop {
        let length = *octets.get(at).ok_or_else(cut)?;
        match length >> 6 {
            0 => {
                let label = octets.get(at..=at + usize::from(length)).ok_or_else(cut)?;
                name.extend(label.iter().map(u8::to_ascii_lowercase));
                if name.len() > NAME_OCTETS {
                    return Err("a name is longer than 255 octets".to_owned());
                }
                at += label.len();
                if length == 0 {
                    return Ok((name, after.unwrap_or(at)));
                }
            }
            3 => {
                let low = *octets.get(at + 1).ok_or_else(cut)?;
                let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                if target >= bound {
                    return Err("a name points ahead".to_owned());
                }
                after = after.or(Some(at + 2));
                (at, bound) = (target, target);
            }
            _ => return Err("a label is of no known kind".to_owned()),
        }
    }
}

/// A name in octets as text, letters in lower case, without the final dot.
pub(super) fn name_text(wire: &[u8]) -> Result<String, String> {
    name_from_wire(&mut &*wire)
}

pub(super) fn number16(octets: &[u8], at: usize) -> Result<u16, String> {
    match octets.get(at..at.saturating_add(2)) {
        Some([high, low]) => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err("it ends in the middle".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_with_pointers() {
        // At 0: example.org, at 13: www and a pointer to 0, at 19: a pointer to itself, at 21: a pointer ahead.
        let octets = b"\x07eXample\x03org\x00\x03www\xc0\x00\xc0\x13\xc0\x1e\x80";
        let text = |at| name_at(octets, at).map(|(name, after)| (name_text(&name).unwrap(), after));
        assert_eq!(text(0), Ok(("example.org".to_owned(), 13)));
        assert_eq!(text(13), Ok(("www.example.org".to_owned(), 19)));
        for at in [19, 21, 23, 24, 400] {
            assert!(text(at).is_err(), "{at}");
        }
        let long = [&[63; 64][..], &[63; 64], &[63; 64], &[63; 64], &[0]].concat();
        assert!(name_at(&long, 0).unwrap_err().contains("255"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..300), counts in any::<[u8; 8]>()) {
            let _ = Message::read(&octets);
            let mut whole = vec![0, 1, 0x84, 0];
            whole.extend(counts.map(|count| count % 3));
            whole.extend(octets);
            if let Ok(message) = Message::read(&whole) {
                for record in &message.answers {
                    let _ = record.plain_data(&whole);
                }
            }
        }
    }
}
