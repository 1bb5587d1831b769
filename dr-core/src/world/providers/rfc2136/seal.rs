//! The message of a change in octets, signed if there is a key.

use hickory_proto::op::Message;

use crate::dns::{Signed, TsigSigner};

/// A message as it went out.
pub(super) struct Sent {
    pub(super) id: u16,
    pub(super) signed: Signed,
}

/// Signs the message, if there is a key, and puts it into octets.
pub(super) fn seal(message: &Message, signer: Option<&TsigSigner>, now: u64) -> Result<Sent, String> {
    // Everything else in it was checked before: what cannot be encoded is too long.
    let too_long =
        |why: &dyn std::fmt::Display| format!("it does not fit into one message of 65,535 octets ({why})");
    let octets = message.to_vec().map_err(|why| too_long(&why))?;
    if octets.len() > usize::from(u16::MAX) || message_was_cut(&octets) {
        return Err(too_long(&octets.len()));
    }
    let signed = match signer {
        Some(signer) => signer.sign(&octets, now)?,
        None => Signed { octets, mac: vec![] },
    };
    Ok(Sent { id: message.metadata.id, signed })
}

/// The library leaves out what does not fit, and sets the bit for it.
fn message_was_cut(octets: &[u8]) -> bool {
    octets.get(2).is_none_or(|flags| flags & 0x02 != 0)
}
