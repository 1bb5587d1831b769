//! How one agent reaches another.

use super::coding::{Coded, Malformed, Reader, Writer, malformed};
use super::pack::Item;
use crate::estate::Remote;
use crate::mirror::Passed;

/// No host shows more keys than these.
const HOST_KEYS_MAX: u64 = 64;

/// Where an agent can be joined that has a tree open: by whoever can log in there and knows its token.
///
/// ```
/// use dr_core::mirror::wire::{Coded, Door, Reader, Writer};
/// let door = Door {
///     remote: "root@us.example.net".parse().unwrap(),
///     root: b"/var/www".to_vec(),
///     command: "exec dr agent --stdio".into(),
///     token: vec![7; 32],
///     host_keys: vec![],
/// };
/// let mut to = Writer::new();
/// door.put(&mut to);
/// assert_eq!(Door::take(&mut Reader::new(to.into_bytes())).unwrap(), door);
/// assert!(!format!("{door:?}").contains("7, 7"), "who knows the token is let in");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Door {
    /// The account on its host.
    pub remote: Remote,
    /// The tree there.
    pub root: Vec<u8>,
    /// The command line that starts an agent there.
    pub command: String,
    /// Names the agent that has the tree.
    pub token: Vec<u8>,
    /// The keys that the host must show, each as it stands in a `.pub` file; without any, known_hosts decides.
    pub host_keys: Vec<String>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("remote", &self.remote).finish_non_exhaustive()
    }
}

impl Coded for Door {
    fn put(&self, to: &mut Writer) {
        self.remote.to_string().put(to);
        to.string(&self.root);
        self.command.put(to);
        to.string(&self.token);
        to.number(self.host_keys.len() as u64);
        self.host_keys.iter().for_each(|key| key.put(to));
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let remote = from.text()?.parse().or_else(|_| malformed("no account on a host"))?;
        let (root, command) = (from.string()?.to_vec(), from.text()?);
        let token = from.string()?.to_vec();
        let count = from.number()?;
        if count > HOST_KEYS_MAX {
            return malformed("a host has too many keys");
        }
        let host_keys = (0..count).map(|_| from.text()).collect::<Result<_, _>>()?;
        Ok(Self { remote, root, command, token, host_keys })
    }
}

impl Coded for Passed {
    fn put(&self, to: &mut Writer) {
        self.sent_bytes.put(to);
        self.copied_bytes.put(to);
        self.lands.put(to);
        to.number(self.newer.len() as u64);
        for (path, entry) in &self.newer {
            path.put(to);
            entry.put(to);
        }
    }
    fn take(from: &mut Reader) -> Result<Self, Malformed> {
        let (sent_bytes, copied_bytes) = (from.number()?, from.number()?);
        let (lands, count) = (Coded::take(from)?, from.number()?);
        let mut newer = vec![];
        // It ends with the frame, whatever was said.
        for _ in 0..count {
            newer.push((Coded::take(from)?, Coded::take(from)?));
        }
        Ok(Self { sent_bytes, copied_bytes, lands, newer })
    }
}

impl Item for Passed {
    const KIND: u8 = 20;
}
