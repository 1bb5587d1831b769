//! The audit: who can log in as whom, where.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::gather;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{HostSeen, Inventory, Issued};
use crate::render::access_page;
use crate::report::{Finding, Report, Subject, Unexamined, code};
use crate::toolkit::Toolkit;
use crate::world::Control;

/// How an audit is made.
///
/// ```
/// use dr_core::toolkit::AuditOptions;
/// assert!(AuditOptions::default().known.is_empty(), "no key is called unknown");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditOptions {
    /// Fingerprints of the keys that are expected; without any, none is called unknown.
    pub known: Vec<String>,
    /// An earlier inventory as JSON: what is different now is a finding. The new one is written there, unless `keep_record`.
    pub record: Option<PathBuf>,
    /// The record is compared with, and stays as it is.
    pub keep_record: bool,
    /// The private keys of certificate authorities, of which only the registers beside them are read: what has to be renewed is a
    /// finding.
    pub authorities: Vec<PathBuf>,
    /// A page for a browser is written here: one file that needs no other.
    pub page: Option<PathBuf>,
}

impl Toolkit {
    /// Who can log in as whom, on these hosts or on all hosts of the estate, and what is wrong with that. As root every account
    /// of a host is looked at, otherwise the one that is logged in to. Nothing is changed on any host.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// use dr_core::{toolkit::AuditOptions, world::Control};
    /// let (inventory, report) = toolkit.audit_keys(&[], &AuditOptions::default(), &Control::silent()).await?;
    /// for access in &inventory.access {
    ///     println!("{} may log in as {} on {}", access.comment, access.account, access.host);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Usage` if there is no host to look at, `Cancelled`, or the record cannot be read or written. A host that cannot be looked
    /// at is in the report; if there is no other one, and it is there and lets nobody in, that is the error.
    pub async fn audit_keys(
        &self,
        remotes: &[Remote],
        options: &AuditOptions,
        control: &Control,
    ) -> Result<(Inventory, Report)> {
        let hosts = self.hosts_to_audit(remotes)?;
        let mut report = Report::new("audit of who can log in where", self.world.clock.read().wall);
        let looks = hosts.iter().map(|(name, remote)| gather::host(&self.world, name, remote, control));
        let seen =
            control.run("audit the keys", async { Ok(futures_util::future::join_all(looks).await) }).await?;
        let mut known: Vec<HostSeen> = vec![];
        for ((name, _), seen) in hosts.iter().zip(seen) {
            let subject = Subject::new("host", name);
            match seen {
                Ok((host, unseen)) => {
                    for why in unseen {
                        let why = Error::new(ErrorKind::PermissionDenied, format!("look at {name}"), why);
                        report.unexamined.push(Unexamined { subject: subject.clone(), why: why.to_record() });
                    }
                    report.examined.push(subject);
                    known.push(host);
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Unreachable {
                        report.push(Finding::new(code::HOST_UNREACHABLE, subject.clone(), error.message()));
                    }
                    report.unexamined.push(Unexamined { subject, why: error.to_record() });
                }
            }
        }
        // Where nobody lets us in there is nothing to report, but a reason.
        if let (true, true, [refused, ..]) =
            (known.is_empty(), report.findings.is_empty(), &report.unexamined[..])
        {
            return Err(refused.why.clone().into());
        }
        let inventory = Inventory::of(&known, report.at);
        report.unexamined.extend(programs(&inventory));
        self.conclude(inventory, report, options)
    }

    /// What is wrong with one authorized_keys file on this machine.
    ///
    /// ```
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// let dir = tempfile::tempdir().unwrap();
    /// let path = dir.path().join("authorized_keys");
    /// std::fs::write(&path, "rubbish\n").unwrap();
    /// let (inventory, report) = toolkit.audit_key_file(&path, &Default::default()).unwrap();
    /// assert!(inventory.access.is_empty());
    /// assert_eq!(report.findings[0].code, dr_core::report::code::KEY_LINE_BROKEN);
    /// ```
    ///
    /// # Errors
    /// What the disk says.
    pub fn audit_key_file(&self, path: &Path, options: &AuditOptions) -> Result<(Inventory, Report)> {
        let content =
            std::fs::read(path).map_err(|error| Error::io(format!("read {}", path.display()), error))?;
        let at = self.world.clock.read().wall;
        let mut report = Report::new(format!("audit of {}", path.display()), at);
        report.examined.push(Subject::new("file", path.display()));
        let inventory = Inventory::of_file(&path.display().to_string(), &content, at);
        self.conclude(inventory, report, options)
    }

    fn conclude(
        &self,
        inventory: Inventory,
        mut report: Report,
        options: &AuditOptions,
    ) -> Result<(Inventory, Report)> {
        report.findings.extend(inventory.findings(&options.known));
        for authority in &options.authorities {
            let issued = self.issued_certificates(authority)?;
            report.findings.extend(Issued::findings(&issued, report.at));
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        report.figures.insert("keys".to_owned(), count(inventory.access.len()));
        report.figures.insert("files".to_owned(), count(inventory.files.len()));
        if let Some(path) = &options.record {
            let earlier = read_record(path)?.unwrap_or_default();
            report.findings.extend(inventory.changes_since(&earlier));
            if !options.keep_record {
                write_record(path, &inventory.with_the_rest_of(&earlier))?;
            }
        }
        let report = report.judged(&self.estate.policy.severity);
        if let Some(path) = &options.page {
            std::fs::write(path, access_page(&inventory, &report))
                .map_err(|why| Error::io(format!("write {}", path.display()), why))?;
        }
        Ok((inventory, report))
    }

    pub(super) fn hosts_to_audit(&self, remotes: &[Remote]) -> Result<Vec<(String, Remote)>> {
        let called = |remote: &Remote| {
            let host = self
                .estate
                .hosts
                .iter()
                .find(|(_, host)| (&host.ssh.host, host.ssh.port) == (&remote.host, remote.port));
            host.map_or_else(|| remote.known_hosts_name(), |(id, _)| id.to_string())
        };
        let hosts: Vec<(String, Remote)> = if remotes.is_empty() {
            self.estate.hosts.iter().map(|(id, host)| (id.to_string(), host.ssh.clone())).collect()
        } else {
            remotes.iter().map(|remote| (called(remote), remote.clone())).collect()
        };
        if hosts.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "look after keys", "there is no host to look at")
                .hint("name accounts as user@host, or an estate with hosts in it"));
        }
        Ok(hosts)
    }
}

/// What sshd asks programs for: it is said, and none of them is run.
fn programs(inventory: &Inventory) -> Vec<Unexamined> {
    let mut asked: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    for login in &inventory.accounts {
        for (command, what) in [
            (&login.keys_command, "the keys"),
            (&login.principals_command, "the names that certificates must bear"),
        ] {
            let Some(command) = command else { continue };
            asked.entry((&login.host, command, what)).or_default().push(&login.account);
        }
    }
    let row = |((host, command, what), accounts): ((&str, &str, &str), Vec<&str>)| {
        let why = format!("sshd asks {command} for {what} of {}; it was not run", accounts.join(", "));
        let why = Error::new(ErrorKind::Unsupported, format!("list {what}"), why).to_record();
        Unexamined { subject: Subject::new("host", host), why }
    };
    asked.into_iter().map(row).collect()
}

fn read_record(path: &Path) -> Result<Option<Inventory>> {
    let operation = || format!("read the earlier inventory {}", path.display());
    match std::fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|why| {
            Error::new(ErrorKind::Corrupt, operation(), why.to_string())
                .hint("it is no inventory of dr keys audit; name another file, or remove it and begin anew")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(operation(), error)),
    }
}

/// Whole or not at all: written beside, and renamed.
fn write_record(path: &Path, inventory: &Inventory) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(format!("write the inventory {}", path.display()), error);
    let text = serde_json::to_vec(inventory).map_err(|error| failed(error.into()))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text).map_err(failed)?;
    std::fs::rename(&beside, path).map_err(failed)
}
