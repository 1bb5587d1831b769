//! What the primary said to a change.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};

use super::seal::Sent;
use crate::dns::{TsigFault, TsigSigner, ZoneChange};
use crate::error::{Error, ErrorKind};
use crate::world::resolver::wire::mnemonic;

/// What became of a message.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The primary took it.
    Done,
    /// A prerequisite does not hold: the response code.
    Prerequisite { rcode: String },
    /// The primary will not.
    Refused(Refusal),
    /// Nobody can say.
    Unknown(String),
}

/// Why the primary will not.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not know the key.
    Key,
    /// The secrets differ.
    Signature,
    /// The clocks differ, by so many seconds if it says so.
    Clock(Option<u64>),
    /// Another error of TSIG, by its number.
    Tsig(u16),
    /// A response code.
    Code(ResponseCode),
}

/// Reads a response; none if it is not one to our message.
pub(super) fn hear(octets: &[u8], sent: &Sent, signer: Option<&TsigSigner>, now: u64) -> Option<Verdict> {
    let message = match Message::from_vec(octets) {
        Ok(message) => message,
        Err(why) => return Some(Verdict::Unknown(format!("the primary's answer cannot be read: {why}"))),
    };
    let ours = message.metadata.id == sent.id
        && message.metadata.message_type == MessageType::Response
        && message.metadata.op_code == OpCode::Update;
    if !ours {
        return None;
    }
    let signature = signer.map_or(Ok(true), |signer| signer.verifier(&sent.signed).take(octets, now));
    Some(judge(message.metadata.response_code, signature, now))
}

fn judge(rcode: ResponseCode, signature: Result<bool, TsigFault>, now: u64) -> Verdict {
    let trusted = match signature {
        Ok(true) => Ok(()),
        Ok(false) => Err(TsigFault::Missing),
        Err(fault) => match Refusal::of(&fault, now) {
            Some(refusal) => return Verdict::Refused(refusal),
            None => Err(fault),
        },
    };
    match (rcode, trusted) {
        (ResponseCode::NoError, Ok(())) => Verdict::Done,
        (
            ResponseCode::YXDomain | ResponseCode::YXRRSet | ResponseCode::NXRRSet | ResponseCode::NXDomain,
            Ok(()),
        ) => Verdict::Prerequisite { rcode: mnemonic(rcode) },
        // Anyone on the way could have said it; reading back tells.
        (
            ResponseCode::NoError
            | ResponseCode::YXDomain
            | ResponseCode::YXRRSet
            | ResponseCode::NXRRSet
            | ResponseCode::NXDomain,
            Err(why),
        ) => {
            Verdict::Unknown(format!("the primary's answer {} is not to be trusted: {why}", mnemonic(rcode)))
        }
        // Several servers do not sign these.
        _ => Verdict::Refused(Refusal::Code(rcode)),
    }
}

impl Refusal {
    /// What they say of our signature; none if what is wrong is theirs.
    fn of(fault: &TsigFault, now: u64) -> Option<Self> {
        Some(match fault {
            TsigFault::BadKey => Self::Key,
            TsigFault::BadSig => Self::Signature,
            TsigFault::BadTime(server) => Self::Clock(server.map(|server| server.abs_diff(now))),
            TsigFault::Other(number) => Self::Tsig(*number),
            _ => return None,
        })
    }

    /// In words, with what to do about it.
    pub(super) fn into_error(self, change: &ZoneChange, operation: &str) -> Error {
        let key = change.key.as_ref().map_or("", |key| key.as_str());
        let (zone, primary) = (&change.zone, change.primary);
        let (message, hint) = match self {
            Self::Key => (
                format!("the primary does not know the key '{key}' (BADKEY)"),
                "compare the key's name and algorithm with those on the primary".to_owned(),
            ),
            Self::Signature => (
                format!("the primary finds the signature of the key '{key}' wrong (BADSIG)"),
                "the secrets on the two sides differ: copy the primary's again".to_owned(),
            ),
            Self::Clock(apart) => (
                match apart {
                    Some(seconds) => {
                        format!("the primary's clock and this one are {seconds} s apart (BADTIME)")
                    }
                    None => "the primary's clock and this one are too far apart (BADTIME)".to_owned(),
                },
                "run a time daemon on both; RFC 8945 allows 300 s".to_owned(),
            ),
            Self::Tsig(number) => (
                format!("the primary does not accept the signature of the key '{key}' (TSIG error {number})"),
                "its log says more".to_owned(),
            ),
            Self::Code(rcode) => in_words(rcode, key, zone.as_str(), &primary.to_string()),
        };
        Error::new(ErrorKind::Rejected, operation, message).hint(hint)
    }
}

fn in_words(rcode: ResponseCode, key: &str, zone: &str, primary: &str) -> (String, String) {
    let code = mnemonic(rcode);
    let said = |message: &str, hint: String| (format!("the primary {message} ({code})"), hint);
    match rcode {
        ResponseCode::Refused if key.is_empty() => said(
            "refuses a change that is not signed",
            "name the TSIG key that may change the zone".to_owned(),
        ),
        ResponseCode::Refused => said(
            "refuses the change",
            format!("allow the key '{key}' to change {zone} there (BIND: update-policy or allow-update)"),
        ),
        ResponseCode::NotAuth => said(
            "is not the one to change the zone",
            format!("check that {primary} is the primary of {zone}, and that the key '{key}' is for it"),
        ),
        ResponseCode::NotZone => {
            said("says that a name is not in the zone", format!("check the names and the zone {zone}"))
        }
        ResponseCode::ServFail => said(
            "could not store the change",
            "its log says why; BIND must be able to write beside the zone's file".to_owned(),
        ),
        ResponseCode::NotImp => {
            said("does not take dynamic updates", format!("allow them for {zone}, or name another primary"))
        }
        ResponseCode::FormErr => said(
            "does not understand the change",
            "it may not allow a change of this kind; its log says more".to_owned(),
        ),
        _ => said("refuses the change", "its log says more".to_owned()),
    }
}
