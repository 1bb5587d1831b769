//! Keys that go: one that makes place for another, and one that must open nothing any more.

use super::{PROOF_WITHIN, gather, name, place, revoke};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{AuthorizedKeys, AuthorizedKeysChange, Content, Proof, PublicKey, Revoked};
use crate::plan::{OnFailure, Pause, Plan, Planned, Step};
use crate::time::Period;
use crate::toolkit::Toolkit;
use crate::world::{Control, Login, World};

/// How a key makes place for another.
///
/// ```
/// use dr_core::toolkit::RotateOptions;
/// assert_eq!(RotateOptions::default().path, None, "wherever the hosts' sshds look");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotateOptions {
    /// How long both keys open, so that whoever uses the old one can change over; zero for not at all.
    pub grace: Period,
    /// The file; below the home directory unless it begins with a slash. None for the one that holds the old key, among those where
    /// the host's sshd looks (`AuthorizedKeysFile`).
    pub path: Option<String>,
}

/// How a key is revoked.
///
/// ```
/// assert!(!dr_core::toolkit::RevokeOptions::default().key_files_only);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeOptions {
    /// sshd's list of revoked keys (`RevokedKeys`) is left alone.
    pub key_files_only: bool,
    /// Where sshd is told of its list: after how long the host forgets it again, if nobody says that all is well.
    pub after: Period,
}

impl Default for RevokeOptions {
    fn default() -> Self {
        Self { key_files_only: false, after: Period::from_secs(120) }
    }
}

/// One file in which a key stands, read through an account.
struct Place {
    remote: Remote,
    path: String,
    /// Whom the file lets in.
    account: Remote,
    content: Vec<u8>,
}

impl Toolkit {
    /// What it takes to put a new key into the place of an old one on these accounts, or on those of all hosts of the estate:
    /// everywhere the new one is added, with the old one's options, and proved by a fresh login; after the grace time the old one is
    /// removed, the new one proved again, and the host asked that it refuses the old one. If anything fails, every file becomes
    /// again what it was. Accounts that the old key does not open are left alone.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit, old: &str, new: &str) -> dr_core::Result<()> {
    /// use dr_core::{toolkit::RotateOptions, world::Control};
    /// let plan = toolkit.plan_key_rotation(&[], old, new, &RotateOptions::default(), &Control::silent()).await?;
    /// toolkit.apply(&plan, "ann", &Control::silent()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Usage` if one of them is no public key, both are the same, or there is no account to look at; `Refused` if the private half of
    /// the new key is not at hand, so that it could not be proved; `NotFound` if the old key opens none of the accounts; whatever
    /// keeps one of them from being read: a rotation is for all of them or none.
    pub async fn plan_key_rotation(
        &self,
        remotes: &[Remote],
        old: &str,
        new: &str,
        options: &RotateOptions,
        control: &Control,
    ) -> Result<Plan> {
        let operation = "plan to rotate a key";
        let usage = |why: String| Error::new(ErrorKind::Usage, operation, why);
        let (old, new): (PublicKey, PublicKey) = (old.parse().map_err(usage)?, new.parse().map_err(usage)?);
        if old == new {
            return Err(usage("the old key and the new one are the same".to_owned()));
        }
        at_hand(&self.world, &new).await?;
        let accounts = self.hosts_to_audit(remotes)?;
        let mut places = vec![];
        for (_, remote) in accounts {
            let read = async {
                match &options.path {
                    Some(path) => Ok((path.clone(), self.world.shell.read_file(&remote, path).await?)),
                    None => place::of_key(&self.world, &remote, &old, control).await,
                }
            };
            let (path, content) = control.run(operation, read).await?;
            let content = content.unwrap_or_default();
            if AuthorizedKeys::parse(&content).has(&old) {
                places.push(Place { account: remote.clone(), remote, path, content });
            }
        }
        if places.is_empty() {
            let why = format!("none of the accounts lets {} in", name(&old));
            return Err(
                Error::new(ErrorKind::NotFound, operation, why).hint("dr keys audit shows where it stands")
            );
        }
        let title = format!("put {} into the place of {}", name(&new), name(&old));
        let at = self.world.clock.read().wall;
        Ok(Plan::new(title, at, OnFailure::Undo, rotation(&places, &old, &new, options.grace)))
    }

    /// What it takes that a key, or a certificate, opens nothing any more on these hosts, or on all hosts of the estate: as root every
    /// account's key files are looked through, otherwise those of the account that is logged in to. As root it is also put on sshd's
    /// list of revoked keys (`RevokedKeys`), which is proven there before sshd's configuration names it. Another key is proved on every
    /// host first and afterwards, so that the last working key is never removed; then every host is asked that it refuses the key.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit, stolen: &str) -> dr_core::Result<()> {
    /// # use dr_core::world::Control;
    /// let options = dr_core::toolkit::RevokeOptions::default();
    /// let plan = toolkit.plan_key_revocation(&[], stolen, &options, &Control::silent()).await?;
    /// toolkit.apply(&plan, "ann", &Control::silent()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Usage` if that is neither public key nor certificate; `Refused` if no other key at hand opens a host where it stands, or if the
    /// host's list of revoked keys is broken already; `Unsupported` if that list is one of text lines; `NotFound` if it stands nowhere; whatever keeps a host from being looked through: name the others to go on without it.
    pub async fn plan_key_revocation(
        &self,
        remotes: &[Remote],
        revoked: &str,
        options: &RevokeOptions,
        control: &Control,
    ) -> Result<Plan> {
        let operation = "plan to revoke a key";
        let revoked: Revoked =
            revoked.parse().map_err(|why: String| Error::new(ErrorKind::Usage, operation, why))?;
        let key = revoked.key();
        // Where only a certificate goes, its key stays where it stands.
        let stands =
            |content: &[u8]| matches!(revoked, Revoked::Key(_)) && AuthorizedKeys::parse(content).has(key);
        let at = self.world.clock.read().wall;
        let hosts = self.hosts_to_audit(remotes)?;
        let mut steps = vec![];
        for (host, remote) in &hosts {
            let seen = control.run(operation, gather::host(&self.world, host, remote, control)).await?.0;
            let list = if options.key_files_only {
                None
            } else {
                let read = async {
                    let of_account = seen.accounts.iter().find_map(|account| account.effective.clone());
                    match revoke::effective(&self.world, remote, of_account, control).await? {
                        Some(effective) => revoke::list(&self.world, remote, &effective, &revoked, at).await,
                        None => Ok(None),
                    }
                };
                control.run(operation, read).await?
            };
            let mut places = vec![];
            for account in seen.accounts {
                let Ok(user) = account.account.parse() else { continue };
                let account_there = Remote { user, ..remote.clone() };
                let with_it = account.files.into_iter().filter(|file| stands(&file.content));
                places.extend(with_it.map(|file| Place {
                    remote: remote.clone(),
                    path: file.path,
                    account: account_there.clone(),
                    content: file.content,
                }));
            }
            if !places.is_empty() || list.is_some() {
                let other = control.run(operation, another(&self.world, remote, key)).await?;
                steps.push(prove(remote, &other, ""));
                if let Some(list) = list {
                    steps.extend(revoke::steps(remote, list, &revoked, &other, options.after));
                }
                steps.extend(revocation(remote, &places, key, &other));
            }
        }
        if steps.is_empty() {
            let why = format!("{} stands in no key file that was looked through", name(key));
            return Err(Error::new(ErrorKind::NotFound, operation, why)
                .hint("nothing has to be done; dr keys audit says what could not be looked at"));
        }
        let title = match &revoked {
            Revoked::Key(key) => format!("revoke {}", name(key)),
            Revoked::Certificate(one) => {
                format!("revoke the certificate {} '{}'", one.serial(), one.id().escape_debug())
            }
        };
        Ok(Plan::new(title, at, OnFailure::Undo, steps))
    }
}

/// A key that could not be proved afterwards must not take the place of one that works.
async fn at_hand(world: &World, new: &PublicKey) -> Result<()> {
    let keys = world.shell.keys_at_hand().await?;
    if keys.iter().filter_map(|key| key.parse::<PublicKey>().ok()).any(|key| key == *new) {
        return Ok(());
    }
    let why = format!("the private half of {} is not at hand, so it could not be proved", name(new));
    Err(Error::new(ErrorKind::Refused, "plan to rotate a key", why)
        .hint("name its file with --identity, or load it into the ssh-agent"))
}

/// A key at hand that opens the account and is not the one that goes.
async fn another(world: &World, remote: &Remote, key: &PublicKey) -> Result<PublicKey> {
    let keys = world.shell.keys_at_hand().await?;
    let others = keys.iter().filter_map(|other| other.parse::<PublicKey>().ok()).filter(|other| other != key);
    for other in others.take(5) {
        if world.shell.prove_key(remote, &other.to_string()).await? == Login::Accepted {
            return Ok(other);
        }
    }
    let why = format!("no other key at hand opens {remote}: it would be the last working one");
    Err(Error::new(ErrorKind::Refused, format!("revoke {}", name(key)), why).hint(
        "install another key first with dr keys install, or name it with --identity; nothing was changed",
    ))
}

fn rotation(places: &[Place], old: &PublicKey, new: &PublicKey, grace: Period) -> Vec<Planned> {
    let with = |place: &Place| AuthorizedKeys::parse(&place.content).with_successor(old, new);
    let mut steps = vec![];
    for place in places {
        let after = with(place).to_bytes();
        if after != place.content {
            let title = format!("add {} to {} of {}", name(new), place.path, place.account);
            steps.push(change(place, &place.content, &after, title));
        }
        steps.push(prove(&place.account, new, ""));
    }
    if grace.as_secs() > 0 {
        let why = "whoever uses the old key changes over".to_owned();
        steps
            .push(Planned::needed("let both keys open for a while", Step::Pause(Pause { span: grace, why })));
    }
    for place in places {
        let (both, only) = (with(place), with(place).without_key(old));
        let title = format!("remove {} from {} of {}", name(old), place.path, place.account);
        steps.push(change(place, &both.to_bytes(), &only.to_bytes(), title));
        steps.push(prove(&place.account, new, ", now that the old key is gone"));
        steps.push(refuse(&place.account, old));
    }
    steps
}

fn revocation(remote: &Remote, places: &[Place], key: &PublicKey, other: &PublicKey) -> Vec<Planned> {
    let mut steps = vec![];
    for place in places {
        let after = AuthorizedKeys::parse(&place.content).without_key(key).to_bytes();
        let title = format!("remove {} from {} of {}", name(key), place.path, place.account);
        steps.push(change(place, &place.content, &after, title));
    }
    steps.push(prove(remote, other, ", now that the other is gone"));
    let mut asked: Vec<&Remote> = vec![];
    for place in places {
        if !asked.contains(&&place.account) {
            asked.push(&place.account);
            steps.push(refuse(&place.account, key));
        }
    }
    steps
}

fn change(place: &Place, from: &[u8], to: &[u8], title: String) -> Planned {
    let change = AuthorizedKeysChange {
        remote: place.remote.clone(),
        path: place.path.clone(),
        from: Some(Content::new(from)),
        to: Some(Content::new(to)),
    };
    Planned::needed(title, Step::ChangeAuthorizedKeys(change))
}

pub(super) fn prove(account: &Remote, key: &PublicKey, when: &str) -> Planned {
    let proof = Proof { remote: account.clone(), public_key: key.to_string(), within: PROOF_WITHIN };
    let title = format!("log in to {account} afresh with {} and nothing else{when}", name(key));
    Planned::needed(title, Step::ProveKey(proof))
}

fn refuse(account: &Remote, key: &PublicKey) -> Planned {
    let proof = Proof { remote: account.clone(), public_key: key.to_string(), within: PROOF_WITHIN };
    Planned::needed(format!("see that {account} refuses {}", name(key)), Step::ProveKeyRefused(proof))
}
