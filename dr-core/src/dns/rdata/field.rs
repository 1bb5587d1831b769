//! One field of a record's data, in both forms.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::vec::IntoIter;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};

use super::text::{Token, escape, name_from_wire, name_to_wire, unescape};

/// What a field holds; the text names it in messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    U8(&'static str),
    U16(&'static str),
    U32(&'static str),
    Ip4,
    Ip6,
    Name(&'static str),
    /// Everything that is left, in hexadecimal.
    Hex(&'static str),
    /// Everything that is left, in base64.
    Base64(&'static str),
    /// One or more character strings, each with its length before it.
    Strings,
    /// The tag of a CAA record, its length before it (RFC 8659 section 4.1).
    Tag,
    /// Everything that is left, as one string.
    Value,
}

impl Field {
    fn name(self) -> &'static str {
        match self {
            Self::U8(name)
            | Self::U16(name)
            | Self::U32(name)
            | Self::Name(name)
            | Self::Hex(name)
            | Self::Base64(name) => name,
            Self::Ip4 => "IPv4 address",
            Self::Ip6 => "IPv6 address",
            Self::Strings => "text",
            Self::Tag => "tag",
            Self::Value => "value",
        }
    }

    /// Takes this field off the tokens and appends its octets.
    pub(super) fn read_text(self, tokens: &mut IntoIter<Token>, wire: &mut Vec<u8>) -> Result<(), String> {
        let name = self.name();
        let first = tokens.next().ok_or_else(|| format!("the {name} is missing"))?;
        match self {
            Self::U8(_) => wire.push(number::<u8>(name, &first.raw, u8::MAX)?),
            Self::U16(_) => wire.extend(number::<u16>(name, &first.raw, u16::MAX)?.to_be_bytes()),
            Self::U32(_) => wire.extend(number::<u32>(name, &first.raw, u32::MAX)?.to_be_bytes()),
            Self::Ip4 => wire.extend(address::<Ipv4Addr>(name, &first.raw)?.octets()),
            Self::Ip6 => wire.extend(address::<Ipv6Addr>(name, &first.raw)?.octets()),
            Self::Name(_) => wire.extend(name_to_wire(&first.raw)?),
            Self::Hex(_) => {
                let digits = joined(first, tokens);
                let octets = HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
                wire.extend(octets.map_err(|_| format!("the {name} is not hexadecimal"))?);
            }
            Self::Base64(_) => {
                let digits = joined(first, tokens);
                let octets = BASE64.decode(digits.as_bytes());
                wire.extend(octets.map_err(|_| format!("the {name} is not base64"))?);
            }
            Self::Strings => {
                push_string(&unescape(&first.raw)?, wire)?;
                for token in tokens {
                    push_string(&unescape(&token.raw)?, wire)?;
                }
            }
            Self::Tag => {
                let tag = first.raw.to_ascii_lowercase();
                let fine = !tag.is_empty() && tag.bytes().all(|octet| octet.is_ascii_alphanumeric());
                if first.quoted || !fine {
                    return Err("the tag is one word of letters and digits such as issue".to_owned());
                }
                push_string(tag.as_bytes(), wire)?;
            }
            Self::Value => wire.extend(unescape(&first.raw)?),
        }
        Ok(())
    }

    /// Takes this field off the octets, as canonical text.
    pub(super) fn read_wire(self, rest: &mut &[u8]) -> Result<String, String> {
        let cut = || format!("the {} is cut off", self.name());
        match self {
            Self::U8(_) => take(rest).map(|[octet]| octet.to_string()).ok_or_else(cut),
            Self::U16(_) => take(rest).map(|octets| u16::from_be_bytes(octets).to_string()).ok_or_else(cut),
            Self::U32(_) => take(rest).map(|octets| u32::from_be_bytes(octets).to_string()).ok_or_else(cut),
            Self::Ip4 => take::<4>(rest).map(|octets| Ipv4Addr::from(octets).to_string()).ok_or_else(cut),
            Self::Ip6 => take::<16>(rest).map(|octets| Ipv6Addr::from(octets).to_string()).ok_or_else(cut),
            Self::Name(_) => name_from_wire(rest),
            Self::Hex(_) if rest.is_empty() => Err(cut()),
            Self::Hex(_) => Ok(HEXLOWER.encode(std::mem::take(rest))),
            Self::Base64(_) if rest.is_empty() => Err(cut()),
            Self::Base64(_) => Ok(BASE64.encode(std::mem::take(rest))),
            Self::Strings => {
                let mut strings = vec![quoted(take_string(rest).ok_or_else(cut)?)];
                while !rest.is_empty() {
                    strings.push(quoted(take_string(rest).ok_or_else(cut)?));
                }
                Ok(strings.join(" "))
            }
            Self::Tag => {
                let tag = take_string(rest).ok_or_else(cut)?.to_ascii_lowercase();
                let fine = !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric);
                if fine { Ok(escape(&tag, b"")) } else { Err("the tag is no word".to_owned()) }
            }
            Self::Value => Ok(quoted(std::mem::take(rest))),
        }
    }
}

fn number<N: FromStr>(name: &str, raw: &str, most: impl std::fmt::Display) -> Result<N, String> {
    // Rust's integers accept a sign; DNS has none.
    let digits = raw.bytes().all(|octet| octet.is_ascii_digit());
    let wrong = || format!("the {name} is a number from 0 to {most}, not '{}'", raw.escape_debug());
    raw.parse().ok().filter(|_| digits).ok_or_else(wrong)
}

fn address<A: FromStr>(name: &str, raw: &str) -> Result<A, String> {
    raw.parse().map_err(|_| format!("'{}' is no {name}", raw.escape_debug()))
}

/// Digests and keys may be typed in several pieces.
fn joined(first: Token, rest: &mut IntoIter<Token>) -> String {
    rest.fold(first.raw, |so_far, token| so_far + &token.raw)
}

fn push_string(octets: &[u8], wire: &mut Vec<u8>) -> Result<(), String> {
    let length = u8::try_from(octets.len())
        .map_err(|_| "a string is longer than 255 octets; write it as several".to_owned())?;
    wire.push(length);
    wire.extend(octets);
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [length] = take(rest)?;
    let (taken, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(taken)
}

fn quoted(octets: &[u8]) -> String {
    format!("\"{}\"", escape(octets, b""))
}
