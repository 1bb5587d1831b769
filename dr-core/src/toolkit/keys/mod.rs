//! Keys through the world: make one, bring it to a host, prove that it opens.

mod again;
mod audit;
mod authority;
pub(super) mod bring;
mod gather;
pub(super) mod lock;
mod named;
mod place;
mod revoke;
mod rotate;
mod script;
mod trust;

use std::path::Path;

pub use audit::AuditOptions;
pub use authority::CertifyOptions;
pub use lock::LockOptions;
pub(super) use named::line_or_file;
pub use named::{read_certificate_or_key, read_known_keys, read_public_key};
pub use rotate::{RevokeOptions, RotateOptions};
pub use trust::{HostKeys, ShownHostKey};

use super::Toolkit;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{
    AuthorizedKeys, AuthorizedKeysChange, Change, Content, Existing, KeyKind, KeyOptions, Proof, PublicKey,
};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::report::{Finding, Report, Subject, Unexamined, code};
use crate::run::StepState;
use crate::secret::Secret;
use crate::time::Period;
use crate::world::ssh::SecretKey;
use crate::world::{Control, Login, Swap, World};

/// Who may read an authorized_keys file: its owner. Its directory is made private too.
const MODE: u32 = 0o600;
/// How long a host may take to be reached for the proof of a key.
const PROOF_WITHIN: Period = Period::from_secs(60);

/// How a key is brought to a host. The default lets the key do whatever the account may do.
///
/// ```
/// use dr_core::{keys::KeyOptions, toolkit::InstallOptions};
/// let only_this = InstallOptions {
///     allow: KeyOptions::forced("dr agent --stdio --root /srv/shop"),
///     ..InstallOptions::default()
/// };
/// assert_eq!(only_this.path, None, "wherever the host's sshd looks");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallOptions {
    /// What the key may do there.
    pub allow: KeyOptions,
    /// If the key is there already with other options, they are replaced; without this they stay.
    pub replace: bool,
    /// The file; below the home directory unless it begins with a slash. None for where the host's sshd looks (`AuthorizedKeysFile`).
    pub path: Option<String>,
}

impl Toolkit {
    /// Makes a new key: the private half in a new file that only its owner can read, encrypted if there is a
    /// passphrase, and the public half beside it as `PATH.pub`. Gives the public half.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use dr_core::{toolkit::Toolkit, world::sim::SimWorld};
    /// # let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// # let dir = tempfile::tempdir().unwrap();
    /// use dr_core::keys::KeyKind;
    /// let key = toolkit.generate_key(&dir.path().join("id_mirror"), KeyKind::Ed25519, "mirror@uk", None).await.unwrap();
    /// assert_eq!(key.comment(), "mirror@uk");
    /// # });
    /// ```
    ///
    /// # Errors
    /// As [`SecretKey::generate_kind`] and [`SecretKey::save_new`]: `AlreadyExists` if either file does; nothing is overwritten.
    pub async fn generate_key(
        &self,
        path: &Path,
        kind: KeyKind,
        comment: &str,
        passphrase: Option<&Secret>,
    ) -> Result<PublicKey> {
        let (path, comment, passphrase) = (path.to_owned(), comment.to_owned(), passphrase.cloned());
        let made = tokio::task::spawn_blocking(move || {
            let key = SecretKey::generate_kind(kind, &comment)?;
            key.save_new(&path, passphrase.as_ref())?;
            Ok(key.public().clone())
        });
        made.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "generate a key", "the thread that made it died").caused_by(error)
        })?
    }

    /// What it takes to let a key into an account: the file changed by compare-and-set, then a fresh login that proves the key.
    /// The plan is empty if the key is there and opens. If the proof fails, the file becomes again what it was.
    ///
    /// The private half is found by the public one among what the connections were given; where it is not at hand the plan has
    /// no proof, and its title says so.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// use dr_core::{toolkit::InstallOptions, world::Control};
    /// let host = "root@us.example.net".parse().unwrap();
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mirror@uk";
    /// let (options, control) = (InstallOptions::default(), Control::silent());
    /// let plan = toolkit.plan_key_install(&host, key, &options, &control).await.unwrap();
    /// assert!(plan.steps[0].title.starts_with("add SHA256:T7SvZ2cslqpPj6nKzitCBHHlpVF3r3MvLwmFL0fk0IE (mirror@uk) to "));
    /// toolkit.apply(&plan, "ann", &control).await.unwrap();
    /// assert!(toolkit.plan_key_install(&host, key, &options, &control).await.unwrap().is_empty());
    /// # });
    /// ```
    ///
    /// # Errors
    /// `Usage` if that is no public key or the options cannot be written down; whatever keeps the account from being reached
    /// and its file from being read.
    pub async fn plan_key_install(
        &self,
        remote: &Remote,
        public_key: &str,
        options: &InstallOptions,
        control: &Control,
    ) -> Result<Plan> {
        let operation = format!("plan to install a key on {remote}");
        let usage = |why: String| Error::new(ErrorKind::Usage, operation.as_str(), why);
        let key: PublicKey = public_key.parse().map_err(usage)?;
        options.allow.check().map_err(usage)?;
        let facts = async {
            if options.allow != KeyOptions::default() {
                self.world.shell.software(remote).await?.understands(&options.allow).map_err(|why| {
                    Error::new(ErrorKind::Unsupported, operation.as_str(), why)
                        .hint("nothing was changed; install it without that option, or update the host")
                })?;
            }
            let (path, now) = match &options.path {
                Some(path) => (path.clone(), self.world.shell.read_file(remote, path).await?),
                None => place::of_key(&self.world, remote, &key, control).await?,
            };
            let opens = match self.world.shell.prove_key(remote, &key.to_string()).await {
                Ok(login) => Some(login == Login::Accepted),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
            Ok((path, now, opens))
        };
        let (path, now, opens) = control.run(&operation, facts).await?;
        let at = self.world.clock.read().wall;
        Ok(install_plan((remote, &path), &key, options, now.as_deref(), opens, at))
    }

    /// Whether an account lets a key in, by a fresh login with that key and nothing else. If it does not, and the account can
    /// be reached in another way, the report says what may be wrong with the modes of its files.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mirror@uk";
    /// let report = toolkit.verify_key(&"root@us.example.net".parse().unwrap(), key).await.unwrap();
    /// assert_eq!(report.findings[0].code, dr_core::report::code::KEY_NOT_ACCEPTED);
    /// # });
    /// ```
    ///
    /// # Errors
    /// `Usage` if that is no public key, `NotFound` if its private half is not at hand, `HostKey` if the host is not known to
    /// be the right one. That the host cannot be reached, or refuses the key, is a finding.
    pub async fn verify_key(&self, remote: &Remote, public_key: &str) -> Result<Report> {
        self.ask_host(remote, public_key, true).await
    }

    /// Whether a host would let this public key in, without its private half: nobody logs in with it. What [`Self::verify_key`]
    /// reports is reported here, and the same errors but `NotFound`; and `Unsupported` where the host says yes to every key.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ mirror@uk";
    /// let report = toolkit.probe_key(&"root@us.example.net".parse().unwrap(), key).await.unwrap();
    /// assert_eq!(report.findings[0].code, dr_core::report::code::KEY_NOT_ACCEPTED);
    /// # });
    /// ```
    pub async fn probe_key(&self, remote: &Remote, public_key: &str) -> Result<Report> {
        self.ask_host(remote, public_key, false).await
    }

    async fn ask_host(&self, remote: &Remote, public_key: &str, prove: bool) -> Result<Report> {
        let verb = if prove { "verify" } else { "ask about" };
        let usage = |why: String| Error::new(ErrorKind::Usage, format!("{verb} a key on {remote}"), why);
        let key: PublicKey = public_key.parse().map_err(usage)?;
        let mut report =
            Report::new(format!("{verb} {} on {remote}", name(&key)), self.world.clock.read().wall);
        let account = Subject::new("account", remote);
        let shell = &self.world.shell;
        let answer = if prove {
            shell.prove_key(remote, &key.to_string()).await
        } else {
            shell.probe_key(remote, &key.to_string()).await
        };
        match answer {
            Ok(Login::Accepted) => report.examined.push(account),
            Ok(Login::Refused { offers }) => {
                let message = format!("it refused the key {}", name(&key));
                report.push(
                    Finding::new(code::KEY_NOT_ACCEPTED, account.clone(), message)
                        .with("key", key.fingerprint())
                        .with("offers", offers.join(", ")),
                );
                report.examined.push(account);
                report.findings.extend(place::doubts(&self.world, remote).await);
            }
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                report.push(Finding::new(code::HOST_UNREACHABLE, account.clone(), error.message()));
                report.unexamined.push(Unexamined { subject: account, why: error.to_record() });
            }
            Err(error) => return Err(error),
        }
        Ok(report)
    }
}

fn install_plan(
    (remote, path): (&Remote, &str),
    key: &PublicKey,
    options: &InstallOptions,
    now: Option<&[u8]>,
    opens: Option<bool>,
    at: crate::time::Timestamp,
) -> Plan {
    let file = AuthorizedKeys::parse(now.unwrap_or_default());
    let existing = if options.replace { Existing::Replace } else { Existing::Keep };
    let wanted = file.with_key(key, &options.allow, existing).to_bytes();
    let mut steps = vec![];
    if now != Some(wanted.as_slice()) {
        let (verb, place) = if file.has(key) { ("set the options of", "in") } else { ("add", "to") };
        let change = AuthorizedKeysChange {
            remote: remote.clone(),
            path: path.to_owned(),
            from: now.map(Content::new),
            to: Some(Content::new(&wanted)),
        };
        let title = format!("{verb} {} {place} {path} of {remote}", name(key));
        steps.push(Planned::needed(title, Step::ChangeAuthorizedKeys(change)));
    }
    if opens.is_some() && (opens == Some(false) || !steps.is_empty()) {
        let proof = Proof { remote: remote.clone(), public_key: key.to_string(), within: PROOF_WITHIN };
        let title = format!("log in to {remote} afresh with {} and nothing else", name(key));
        steps.push(Planned::needed(title, Step::ProveKey(proof)));
    }
    let unproven = if opens.is_none() { " (unproven: its private half is not at hand)" } else { "" };
    Plan::new(format!("install {} on {remote}{unproven}", name(key)), at, OnFailure::Undo, steps)
}

/// A key for the eye: its fingerprint, and its comment if it has one.
fn name(key: &PublicKey) -> String {
    match key.comment() {
        "" => key.fingerprint(),
        comment => format!("{} ({comment})", key.fingerprint()),
    }
}

pub(super) async fn observe_file(world: &World, step: &AuthorizedKeysChange) -> Result<StepState> {
    let now = world.shell.read_file(&step.remote, &step.path).await?;
    let (from, to) = (bytes(step, step.from.as_ref())?, bytes(step, step.to.as_ref())?);
    let change = Change { from: from.as_deref(), to: to.as_deref() };
    Ok(if change.is_done_in(now.as_deref()) {
        StepState::To
    } else if change.onto(now.as_deref()).is_some() {
        StepState::From
    } else {
        let keys = AuthorizedKeys::parse(now.as_deref().unwrap_or_default()).entries().count();
        StepState::Other(format!("somebody else changed {}: it lets {keys} keys in now", step.path))
    })
}

/// How often the file is read afresh when others write it between our look at it and our lock.
const LOOKS: u32 = 32;

pub(super) async fn act(world: &World, step: &AuthorizedKeysChange) -> Result<()> {
    let (from, to) = (bytes(step, step.from.as_ref())?, bytes(step, step.to.as_ref())?);
    let change = Change { from: from.as_deref(), to: to.as_deref() };
    let taken = |times| {
        let why = match times {
            0 => format!("somebody else changed in {} what this was to change", step.path),
            _ => format!("others changed {} each of {times} times that it was read", step.path),
        };
        let operation = format!("change {} on {}", step.path, step.remote);
        Error::new(ErrorKind::Conflict, operation, why)
            .hint("nothing was overwritten; see who changed it, then make a new plan")
    };
    let (mut now, mut wanted) = (from.clone(), to.clone());
    for _ in 0..LOOKS {
        let swap = Swap::new(now.as_deref(), wanted.as_deref(), MODE);
        match world.shell.replace_file(&step.remote, &step.path, swap).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error),
            Ok(()) if wanted.is_none() => return Ok(()),
            Ok(()) => {
                place::label(world, &step.remote, &step.path).await;
                return Ok(());
            }
        }
        // Whoever had the lock meanwhile changed other lines, or ours.
        now = world.shell.read_file(&step.remote, &step.path).await?;
        wanted = match change.onto(now.as_deref()) {
            _ if change.is_done_in(now.as_deref()) => now.clone(),
            Some(wanted) => wanted,
            None => return Err(taken(0)),
        };
    }
    Err(taken(LOOKS))
}

/// A refusal is an error, so that the key is not offered again and again: a host takes that for an attack.
pub(super) async fn observe_proof(world: &World, step: &Proof) -> Result<StepState> {
    match world.shell.prove_key(&step.remote, &step.public_key).await? {
        Login::Accepted => Ok(StepState::To),
        Login::Refused { offers } => {
            let open: Vec<String> = place::doubts(world, &step.remote)
                .await
                .iter()
                .map(|f| format!("; {}: {}", f.subject.name, f.message))
                .collect();
            let why = format!("the host refused it and takes {}{}", offers.join(", "), open.concat());
            Err(Error::new(ErrorKind::Authentication, format!("log in to {} with the key", step.remote), why).hint(
                "on the host, sshd's log says why: often the mode or owner of the home directory, ~/.ssh or authorized_keys, or what stands before the key (from=, \
                 expiry-time=)",
            ))
        }
    }
}

/// A host that still lets it in is an error too, for the same reason.
pub(super) async fn observe_refusal(world: &World, step: &Proof) -> Result<StepState> {
    match world.shell.probe_key(&step.remote, &step.public_key).await? {
        Login::Refused { .. } => Ok(StepState::To),
        Login::Accepted => Err(Error::new(
            ErrorKind::Rejected,
            format!("see that {} refuses the key", step.remote),
            "the host still lets it in",
        )
        .hint("it stands in another file, or a certificate authority vouches for it: dr keys audit")),
    }
}

fn bytes(step: &AuthorizedKeysChange, content: Option<&Content>) -> Result<Option<Vec<u8>>> {
    let Some(content) = content else { return Ok(None) };
    content.bytes().map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            format!("change {} on {}", step.path, step.remote),
            "the plan does not match its digest",
        )
        .hint("make the plan again")
    })
}
