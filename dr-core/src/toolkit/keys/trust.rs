//! Host keys: shown, compared with what is known and with the DNS, and taken up by a person.

use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dns::{Answer, Question, Transport};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, RecordKey, RecordType, Remote};
use crate::keys::{PublicKey, Signed, Sshfp, SshfpSeen, Verdict};
use crate::report::{Finding, Report, Subject, Unexamined, code};
use crate::toolkit::{SshfpRecords, Toolkit};
use crate::world::{Control, HostKeyShown};

/// How long a name server may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The keys of a host, beside what the DNS says of them.
///
/// ```
/// assert!(dr_core::toolkit::HostKeys::default().to_take_up().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostKeys {
    /// Each was proved by a key exchange, or by the host's signature after a login.
    pub keys: Vec<HostKeyShown>,
    /// The host is known, and vouches for all of them.
    pub vouched: bool,
    /// The SSHFP records of the host's name; none where no name server was asked, or none answered.
    pub records: Option<Vec<Sshfp>>,
    /// What is known of the signatures of these records.
    pub signed: Option<Signed>,
}

impl HostKeys {
    /// Those that a person may say yes to: nothing is known of them and nothing speaks against them, or the host vouches for them.
    #[must_use]
    pub fn to_take_up(&self) -> Vec<PublicKey> {
        let open = |shown: &&HostKeyShown| if self.vouched { shown.may_follow() } else { shown.is_new() };
        self.keys.iter().filter(open).map(|shown| shown.key.clone()).collect()
    }

    /// Each key as it is told to people and programs.
    #[must_use]
    pub fn shown(&self) -> Vec<ShownHostKey> {
        let open = self.to_take_up();
        let agrees = |key: &PublicKey| {
            self.records.as_ref().map(|records| records.iter().any(|record| record.is_of(key)))
        };
        let told = |HostKeyShown { key, verdict, pinned }: &HostKeyShown| ShownHostKey {
            key: key.to_string(),
            algorithm: key.algorithm().to_owned(),
            bits: key.bits(),
            fingerprint: key.fingerprint(),
            standing: standing(verdict, *pinned),
            is_new: open.contains(key),
            in_dns: agrees(key),
        };
        self.keys.iter().map(told).collect()
    }
}

/// A host's key as it is told to people and programs.
///
/// ```
/// # fn shown(key: &dr_core::toolkit::ShownHostKey) -> String {
/// format!("{} {}: {}", key.algorithm, key.fingerprint, key.standing)
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownHostKey {
    /// As it stands in a `.pub` file.
    pub key: String,
    /// Its kind, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its size.
    pub bits: u32,
    /// `SHA256:` and the rest, as ssh-keygen shows it: what is compared on the host's console.
    pub fingerprint: String,
    /// What is known of it, in words.
    pub standing: String,
    /// It may be taken up, once somebody says that it is right.
    pub is_new: bool,
    /// Whether an SSHFP record agrees; none where no name server answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_dns: Option<bool>,
}

fn standing(verdict: &Verdict, pinned: Option<bool>) -> String {
    match (verdict, pinned) {
        (Verdict::Revoked(place), _) => format!("revoked in {place}"),
        (_, Some(true)) => "pinned".to_owned(),
        (_, Some(false)) => "not pinned".to_owned(),
        (Verdict::Known(place), None) => format!("known from {place}"),
        (Verdict::Changed(place), None) => format!("another one of its kind is in {place}"),
        (Verdict::Unknown, None) => "new".to_owned(),
    }
}

impl Toolkit {
    /// Shows the keys that a host has, and what speaks against them: another key is known or pinned for it, the key is revoked, or
    /// the SSHFP records that this name server gives do not agree. That they are signed (DNSSEC) is taken from a resolver on this
    /// machine only. Nobody logs in, and nothing is believed.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// # use dr_core::world::Control;
    /// let host = "root@us.example.net".parse().unwrap();
    /// let (seen, report) = toolkit.host_keys(&host, None, &Control::silent()).await?;
    /// for shown in seen.keys {
    ///     println!("{} {}", shown.key.algorithm(), shown.key.fingerprint());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The host cannot be reached, or has no key of a kind that can be checked here (RSA cannot). That the name server says nothing is in
    /// the report.
    pub async fn host_keys(
        &self,
        remote: &Remote,
        name_server: Option<SocketAddr>,
        control: &Control,
    ) -> Result<(HostKeys, Report)> {
        let operation = format!("look at the host keys of {}", remote.authority());
        let keys = control.run(&operation, self.world.shell.host_keys(remote)).await?;
        let mut report = Report::new(operation, self.world.clock.read().wall);
        let subject = Subject::new("host", remote.known_hosts_name());
        for HostKeyShown { key, verdict, pinned } in &keys {
            let what = format!("{} {}", key.algorithm(), key.fingerprint());
            let (code, why) = match (verdict, pinned) {
                (Verdict::Revoked(place), _) => {
                    (code::HOST_KEY_REVOKED, format!("{what} is revoked in {place}"))
                }
                (_, Some(false)) if pins_kind(&keys, key) => continue,
                (_, Some(false)) => (code::HOST_KEY_CHANGED, format!("{what} is none of the pinned ones")),
                (Verdict::Changed(_), None) if knows_another(&keys) => continue,
                (Verdict::Changed(place), None) => {
                    (code::HOST_KEY_CHANGED, format!("{what} is not the one in {place}"))
                }
                _ => continue,
            };
            report.push(Finding::new(code, subject.clone(), why).with("key", key.fingerprint()));
        }
        report.examined.push(subject.clone());
        let (mut records, mut signed) = (None, None);
        if let Some(server) = name_server {
            match self.published(server, remote).await {
                Ok((found, says_so)) => {
                    signed = (!found.is_empty()).then(|| Signed::by_word_of(server, says_so));
                    records = Some(found);
                }
                Err(why) => report.unexamined.push(Unexamined { subject, why: why.to_record() }),
            }
        }
        let moves = remote.host.parse::<DnsName>().is_ok_and(|name| self.moves(&name));
        let seen = SshfpSeen {
            name: remote.host.clone(),
            records: records.clone().unwrap_or_default(),
            keys: keys.iter().map(|shown| shown.key.clone()).collect(),
            signed,
            moves,
        };
        report.findings.extend(seen.findings());
        Ok((HostKeys { keys, vouched: false, records, signed }, report.judged(&self.estate.policy.severity)))
    }

    /// The SSHFP records of these host keys, to be published under a name of this host alone.
    ///
    /// ```
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ".parse().unwrap();
    /// let records = toolkit.sshfp_records(&"us.example.net".parse().unwrap(), &[key]).unwrap();
    /// assert_eq!(records.records.len(), 1);
    /// ```
    ///
    /// # Errors
    /// As [`SshfpRecords::of`]; `Refused` too for a name of a site of the estate: it moves to another host at a failover.
    pub fn sshfp_records(&self, name: &DnsName, keys: &[PublicKey]) -> Result<SshfpRecords> {
        if self.moves(name) {
            let why = "the name belongs to a site, and leads to another host after a failover";
            return Err(Error::new(ErrorKind::Refused, format!("render the SSHFP records of {name}"), why)
                .hint("publish them under the host's own name, and give the hosts certificates for this one: dr keys ca host"));
        }
        SshfpRecords::of(name.clone(), keys)
    }

    fn moves(&self, name: &DnsName) -> bool {
        self.estate.sites.values().any(|site| site.names.contains(name))
    }

    /// The host keys for which a host that is known already vouches: after a login it announces them and proves to hold each, signing the
    /// number of this session with it (`hostkeys-00@openssh.com`). So a host's next key is known before the last one goes. Gives all of
    /// them with what is known of each; those [`HostKeys::to_take_up`] can be handed to [`Self::trust_host`].
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// # use dr_core::world::Control;
    /// let host = "root@us.example.net".parse().unwrap();
    /// let (seen, _) = toolkit.announced_host_keys(&host, &Control::silent()).await?;
    /// println!("{} to be taken up", seen.to_take_up().len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As a login; `HostKey` if the host does not prove what it announces; `Unsupported` if it announces nothing.
    pub async fn announced_host_keys(
        &self,
        remote: &Remote,
        control: &Control,
    ) -> Result<(HostKeys, Report)> {
        let operation = format!("have {} vouch for its host keys", remote.authority());
        let keys = control.run(&operation, self.world.shell.announced_host_keys(remote)).await?;
        if keys.is_empty() {
            return Err(Error::new(ErrorKind::Unsupported, operation, "it announces no host keys")
                .hint("only OpenSSH does; compare them on its console: dr keys trust without --update"));
        }
        let mut report = Report::new(operation, self.world.clock.read().wall);
        report.examined.push(Subject::new("host", remote.known_hosts_name()));
        Ok((HostKeys { keys, vouched: true, ..HostKeys::default() }, report))
    }

    /// The SSHFP records of the host's name, and whether the server says that it has validated them.
    async fn published(&self, server: SocketAddr, remote: &Remote) -> Result<(Vec<Sshfp>, bool)> {
        let operation = || format!("ask {server} for the SSHFP records of {}", remote.host);
        let name: DnsName = remote.host.parse().map_err(|_| {
            Error::new(ErrorKind::Usage, operation(), "an address has none").hint("name the host by its name")
        })?;
        let key = RecordKey::new(name, RecordType::SSHFP);
        let question = Question { key, transport: Transport::Udp, recursive: true };
        let (answer, says_so) =
            self.world.resolver.ask_whether_signed(server, &question, ANSWER_WITHIN).await;
        match answer {
            Answer::Records { set, .. } => {
                let read = |data: &String| {
                    data.parse().map_err(|why: String| Error::new(ErrorKind::Corrupt, operation(), why))
                };
                Ok((set.rdata.iter().map(read).collect::<Result<_>>()?, says_so))
            }
            Answer::NoData { .. } | Answer::NxDomain { .. } => Ok((vec![], says_so)),
            other => Err(Error::new(ErrorKind::Unreachable, operation(), other.in_words())),
        }
    }

    /// Writes host keys into a known_hosts file: lines are added, none is touched. This is a person's yes: compare the fingerprints on the
    /// host's console first.
    ///
    /// ```
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// let dir = tempfile::tempdir().unwrap();
    /// let file = dir.path().join("known_hosts");
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    /// toolkit.trust_host(&"root@us".parse().unwrap(), &[key.parse().unwrap()], &file).unwrap();
    /// assert_eq!(std::fs::read_to_string(file).unwrap(), format!("us {key}\n"));
    /// ```
    ///
    /// # Errors
    /// What the disk says.
    pub fn trust_host(&self, remote: &Remote, keys: &[PublicKey], known_hosts: &Path) -> Result<()> {
        let failed = |error| Error::io(format!("add lines to {}", known_hosts.display()), error);
        let mut file = std::fs::OpenOptions::new();
        let mut file = file.append(true).create(true).mode(0o600).open(known_hosts).map_err(failed)?;
        let before = std::fs::read(known_hosts).map_err(failed)?;
        let name = remote.known_hosts_name();
        // A last line without its end would swallow the first of ours.
        let mut lines =
            if before.last().is_none_or(|byte| *byte == b'\n') { String::new() } else { "\n".to_owned() };
        lines.extend(keys.iter().map(|key| format!("{name} {}\n", key.clone().with_comment(""))));
        file.write_all(lines.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)
    }
}

/// Whether another of these keys is pinned: then this one is only not pinned as well.
fn pins_kind(keys: &[HostKeyShown], key: &PublicKey) -> bool {
    keys.iter().any(|shown| shown.pinned == Some(true) && shown.key != *key)
}

/// Whether another of these keys is the one that is known: then this one is only of another kind.
fn knows_another(keys: &[HostKeyShown]) -> bool {
    keys.iter().any(|shown| matches!(shown.verdict, Verdict::Known(_)))
}
