//! The message of a change in octets, signed if there is a key.

use hickory_proto::op::Message;

use crate::dns::{Signed, TsigSigner};

/// What one message holds: its length goes before it in two octets.
const MOST: usize = u16::MAX as usize;

/// A message as it went out.
pub(super) struct Sent {
    pub(super) id: u16,
    pub(super) signed: Signed,
}

/// Signs the message, if there is a key, and puts it into octets.
pub(super) fn seal(message: &Message, signer: Option<&TsigSigner>, now: u64) -> Result<Sent, String> {
    let octets = octets(message, 0)?;
    let signed = match signer {
        Some(signer) => signer.sign(&octets, now)?,
        None => Signed { octets, mac: vec![] },
    };
    Ok(Sent { id: message.metadata.id, signed })
}

/// The message with room for a signature of so many octets; the error says that it is too long.
pub(super) fn octets(message: &Message, signature: usize) -> Result<Vec<u8>, String> {
    // Everything else in it was checked before: what cannot be encoded is too long.
    let too_long =
        |why: &dyn std::fmt::Display| format!("it does not fit into one message of 65,535 octets ({why})");
    let octets = message.to_vec().map_err(|why| too_long(&why))?;
    let length = octets.len().saturating_add(signature);
    if length > MOST || message_was_cut(&octets) {
        return Err(too_long(&format!("{length} with its signature")));
    }
    Ok(octets)
}

/// The library leaves out what does not fit, and sets the bit for it.
fn message_was_cut(octets: &[u8]) -> bool {
    octets.get(2).is_none_or(|flags| flags & 0x02 != 0)
}
