//! Where the keys of the account that we log in to stand, and whether its host trusts them there.

use super::gather;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{
    AuthorizedKeys, Effective, HostSeen, PublicKey, RevocationList, Software, StrictModes, shell_word,
};
use crate::report::{Finding, Subject, code};
use crate::world::{Control, World};

/// Where they stand as long as nothing else is known.
const USUAL: &str = ".ssh/authorized_keys";

/// The file for a key: the one that holds it, among those that the host's sshd reads for this account; else the first of them below the
/// home directory, else the first. Where sshd cannot be asked, the usual one. Gives its path and its content.
pub(super) async fn of_key(
    world: &World,
    remote: &Remote,
    key: &PublicKey,
    control: &Control,
) -> Result<(String, Option<Vec<u8>>)> {
    let files = files(world, remote, key, control).await?;
    let mut first: Option<(String, Option<Vec<u8>>)> = None;
    for path in files {
        let content = match world.shell.read_file(remote, &path).await {
            Ok(content) => content,
            // What this account may not read it may not change either.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            Err(error) => return Err(error),
        };
        if content.as_ref().is_some_and(|content| AuthorizedKeys::parse(content).has(key)) {
            return Ok((path, content));
        }
        let better = |(held, _): &(String, _)| held.starts_with('/') && !path.starts_with('/');
        if first.as_ref().is_none_or(better) {
            first = Some((path, content));
        }
    }
    first.ok_or_else(|| {
        let why = "this account may read none of the files where its sshd looks for keys";
        Error::new(ErrorKind::PermissionDenied, format!("find the key file of {remote}"), why)
            .hint("only root may write there: log in as root, or name another file with --file")
    })
}

/// The files that the host's sshd reads for this account; those below the home directory relative to it.
async fn files(world: &World, remote: &Remote, key: &PublicKey, control: &Control) -> Result<Vec<String>> {
    let software = world.shell.software(remote).await?;
    if software.openssh().is_none() {
        return Ok(vec![USUAL.to_owned()]);
    }
    let seen = match gather::account(world, remote, control).await {
        Ok((seen, _)) => seen,
        // No shell there, or a key that runs one command: the proof will tell.
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(vec![USUAL.to_owned()]),
        Err(error) => return Err(error),
    };
    let refused = |why: String, hint: &str| {
        Err(Error::new(ErrorKind::Refused, format!("find the key file of {remote}"), why).hint(hint))
    };
    let Some((effective, user)) = seen.accounts.first().and_then(|account| {
        let user = seen.users.iter().find(|user| user.name == account.account)?;
        Some((account.effective.as_ref()?, user))
    }) else {
        return Ok(vec![USUAL.to_owned()]);
    };
    refuse_revoked(world, remote, key, effective).await?;
    let all = effective.key_files(&user.name, user.uid, &user.home);
    if all.is_empty() {
        let why = "its sshd reads no key files: AuthorizedKeysFile none".to_owned();
        let by = effective.value("authorizedkeyscommand").filter(|command| *command != "none");
        let hint = match by {
            Some(_) => {
                "keys come from AuthorizedKeysCommand there: add the key where that program takes them from"
            }
            None => "set AuthorizedKeysFile in its sshd_config, or log in by certificates (dr keys ca)",
        };
        return refused(why, hint);
    }
    let home = format!("{}/", user.home.trim_end_matches('/'));
    let is_pattern = |path: &&String| software.globs_key_files() && path.contains(['*', '?', '[']);
    let named = all.iter().filter(|path| !is_pattern(path));
    let named: Vec<String> = named.map(|path| path.strip_prefix(&home).unwrap_or(path).to_owned()).collect();
    if named.is_empty() {
        return refused(
            format!("its sshd reads key files by patterns only: {}", all.join(" ")),
            "name one that fits with --file",
        );
    }
    Ok(named)
}

/// A key on the host's list of revoked ones opens nothing there, wherever it stands.
async fn refuse_revoked(
    world: &World,
    remote: &Remote,
    key: &PublicKey,
    effective: &Effective,
) -> Result<()> {
    let named = effective.value("revokedkeys").unwrap_or_default();
    for path in named.split_whitespace().filter(|path| *path != "none") {
        // Of what cannot be read, or is no list of the newer kind, the proof will tell.
        let Ok(Some(content)) = world.shell.read_file(remote, path).await else { continue };
        if RevocationList::parse(&content).is_ok_and(|list| list.revokes(key)) {
            let why = format!("it is on the list of revoked keys there, {path}");
            return Err(Error::new(
                ErrorKind::Refused,
                format!("bring {} to {remote}", key.fingerprint()),
                why,
            )
            .hint(
                "nothing was changed; a key that was revoked stays out: make a new one with dr keys generate",
            ));
        }
    }
    Ok(())
}

/// Why the host may not trust the key files of this account, where it lets us look. This only helps to explain.
pub(super) async fn doubts(world: &World, remote: &Remote) -> Vec<Finding> {
    let Ok((seen, remarks)) = gather::account(world, remote, &Control::silent()).await else { return vec![] };
    let software = world.shell.software(remote).await.unwrap_or_default();
    let mut findings = about_modes(&seen, &software, remote);
    for remark in remarks {
        let (code, name, why) = match remark {
            Remark::Mislabelled(said) => (
                code::KEY_FILE_MISLABELLED,
                format!("the key files of {remote}"),
                format!("SELinux is enforced there, and restorecon would change a label: {said}"),
            ),
            Remark::OnNetwork(kind) => (
                code::KEY_FILE_ON_NETWORK,
                format!("the home directory of {remote}"),
                format!(
                    "it is on a file system that comes over the network ({kind}): sshd may be unable to read it before a login"
                ),
            ),
        };
        findings.push(Finding::new(code, Subject::new("file", name), why));
    }
    findings
}

fn about_modes(seen: &HostSeen, software: &Software, remote: &Remote) -> Vec<Finding> {
    let mut findings = vec![];
    for account in &seen.accounts {
        let Some(user) = seen.users.iter().find(|user| user.name == account.account) else { continue };
        let strict = account.effective.as_ref().and_then(|effective| effective.value("strictmodes"));
        if strict == Some("no") {
            continue;
        }
        for file in &account.files {
            let strict = StrictModes::judge(&file.way, user, &file.home, &seen.users, &seen.groups);
            let Some(why) = strict.in_words("keys") else { continue };
            let here = match software.ignores(&strict) {
                Some(_) => "so does this one",
                None => "this one does not",
            };
            let subject = Subject::new("file", format!("{} of {remote}", file.path));
            let finding =
                Finding::new(code::KEY_FILE_TOO_OPEN, subject, format!("{why}; {here}, {}", software.name()));
            findings.push(finding);
        }
    }
    findings
}

/// What else may keep sshd from an account's key files.
pub(super) enum Remark {
    /// What restorecon says of their SELinux labels.
    Mislabelled(String),
    /// The kind of file system that the home directory is on.
    OnNetwork(String),
}

impl Remark {
    /// From what the host's script says.
    pub(super) fn parse(word: &str, rest: &str) -> Option<Self> {
        const NETWORKED: &[&str] =
            &["nfs", "cifs", "smb", "afs", "ceph", "lustre", "9p", "gfs", "fuse.sshfs"];
        match word {
            "label" => Some(Self::Mislabelled(rest.to_owned())),
            "home-on" => {
                NETWORKED.iter().any(|kind| rest.starts_with(kind)).then(|| Self::OnNetwork(rest.to_owned()))
            }
            _ => None,
        }
    }
}

/// Has SELinux label a key file as its policy says, where there is SELinux: a file that was made by a rename keeps the label of where
/// it was made. Whether it matters the proof of the key will tell.
pub(super) async fn label(world: &World, remote: &Remote, path: &str) {
    let script = format!(
        "PATH=$PATH:/usr/sbin:/sbin; cd; selinuxenabled 2>/dev/null && restorecon {dir} {path} 2>/dev/null",
        dir = shell_word(path.rsplit_once('/').map_or(".", |(dir, _)| dir)),
        path = shell_word(path)
    );
    let _ = world.shell.run(remote, &script, &Control::silent()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_over_the_network_are_told() {
        let told = |kind: &str| matches!(Remark::parse("home-on", kind), Some(Remark::OnNetwork(said)) if said == kind);
        assert!(told("nfs") && told("nfs4") && told("cifs") && told("smb2"));
        assert!(!told("ext2/ext3") && !told("xfs") && !told("tmpfs") && !told("UNKNOWN"));
    }
}
