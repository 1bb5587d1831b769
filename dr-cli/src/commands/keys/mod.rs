//! `dr keys`: one function a verb.

mod agent;
mod audit;
mod ca;
mod trust;

use std::path::Path;

use dr_core::keys::{KeyKind, KeyOptions, MirrorBy};
use dr_core::toolkit::{
    InstallOptions, LockOptions, RevokeOptions, RotateOptions, Toolkit, read_certificate_or_key,
    read_public_key,
};
use dr_core::world::Control;
use dr_core::world::ssh::SecretKey;
use dr_core::{Error, ErrorKind, Estate, Period, Plan, Remote, Result, Secret, Timestamp};

use super::{finish, show_and_apply};
use crate::args::{Common, KeyAllow, Keys, MirrorByWord};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Keys) -> Result<u8> {
    let estate = context::estate(common)?.unwrap_or_default();
    match words {
        Keys::Generate { path, .. } if common.dry_run => {
            let public = SecretKey::may_be_saved(&path)?;
            let text = format!("would make {} and {}", path.display(), public.display());
            console.result(&text, &serde_json::json!({ "path": path, "public_path": public }));
            Ok(0)
        }
        Keys::Generate { path, kind, comment, no_passphrase, passphrase_file } => {
            let passphrase = match (no_passphrase, passphrase_file) {
                (true, _) => None,
                (false, Some(file)) => Some(context::secret_file(&file)?),
                (false, None) => Some(asked_twice()?),
            };
            generate(common, console, estate, &path, (kind, &comment), passphrase.as_ref()).await
        }
        Keys::Install { key, remote, password_file, password, allow, replace, file } => {
            let options = InstallOptions { allow: options(allow)?, replace, path: file };
            let secret = match (password_file, password) {
                (Some(file), _) => Some(context::secret_file(&file)?),
                (None, true) => Some(context::ask_secret(&format!("password of {remote}: "))?),
                (None, false) => None,
            };
            install(common, console, estate, &key, &remote, secret, options).await
        }
        Keys::Audit { remotes, file, known, record, html, ca } => {
            let words = audit::Words { remotes, file, known, record, html, ca };
            audit::run(common, console, estate, words).await
        }
        Keys::Trust { remote, dns, update, yes } => {
            trust::run(common, console, estate, &remote, (dns, update), yes).await
        }
        Keys::Sshfp { name, keys } => trust::sshfp(common, console, estate, &name, &keys),
        Keys::Agent(words) => agent::run(common, console, words).await,
        Keys::Ca(words) => ca::run(common, console, estate, words).await,
        Keys::LockDown { remote, account, after } => {
            let (toolkit, control) = (context::toolkit(common, estate)?, console.control());
            let options = LockOptions { accounts: account, after };
            let plan = toolkit.plan_lock_down(&remote, &options, &control).await?;
            show_and_apply(&toolkit, &plan, common, console, &control).await
        }
        Keys::Unlock { remote } => {
            let (toolkit, control) = (context::toolkit(common, estate)?, console.control());
            let plan = toolkit.plan_unlock(&remote, &control).await?;
            show_and_apply(&toolkit, &plan, common, console, &control).await
        }
        Keys::Rotate { old, new, remotes, grace, file } => {
            rotate(common, console, estate, (&old, &new), &remotes, RotateOptions { grace, path: file }).await
        }
        Keys::Revoke { key, key_files_only, after, remotes } => {
            let (toolkit, control) = (context::toolkit(common, estate)?, console.control());
            let (line, options) = (read_certificate_or_key(&key)?, RevokeOptions { key_files_only, after });
            let plan = async || toolkit.plan_key_revocation(&remotes, &line, &options, &control).await;
            plan_and_apply(&toolkit, plan, common, console, &control).await
        }
        Keys::Probe { key, remote } => {
            let toolkit = context::toolkit(common, estate)?;
            let report = toolkit.probe_key(&remote, &public_line(&key)?).await?;
            Ok(console.report(&report))
        }
        Keys::Verify { key, remote } => {
            let toolkit = context::toolkit(&with_private_half(common, &key), estate)?;
            let report = toolkit.verify_key(&remote, &public_line(&key)?).await?;
            Ok(console.report(&report))
        }
    }
}

async fn generate(
    common: &Common,
    console: &Console,
    estate: Estate,
    path: &Path,
    (kind, comment): (KeyKind, &str),
    passphrase: Option<&Secret>,
) -> Result<u8> {
    let toolkit = context::toolkit(common, estate)?;
    let fingerprint = toolkit.generate_key(path, kind, comment, passphrase).await?.fingerprint();
    let text = format!("{} and {}.pub\n{fingerprint}", path.display(), path.display());
    console.result(&text, &serde_json::json!({ "path": path, "fingerprint": fingerprint }));
    Ok(0)
}

async fn install(
    common: &Common,
    console: &Console,
    estate: Estate,
    key: &Path,
    remote: &Remote,
    password: Option<Secret>,
    options: InstallOptions,
) -> Result<u8> {
    let line = public_line(key)?;
    let passwords = password.map(|secret| (remote.clone(), secret)).into_iter().collect();
    // The private half beside the public one proves the installation.
    let common = with_private_half(common, key);
    let toolkit = context::toolkit_with(&common, estate, passwords, context::TsigKeys::new())?;
    let control = console.control();
    let plan = async || toolkit.plan_key_install(remote, &line, &options, &control).await;
    plan_and_apply(&toolkit, plan, &common, console, &control).await
}

async fn rotate(
    common: &Common,
    console: &Console,
    estate: Estate,
    (old, new): (&Path, &Path),
    remotes: &[Remote],
    options: RotateOptions,
) -> Result<u8> {
    let common = with_private_half(&with_private_half(common, new), old);
    let (toolkit, control) = (context::toolkit(&common, estate)?, console.control());
    let (old, new) = (public_line(old)?, public_line(new)?);
    let plan = async || toolkit.plan_key_rotation(remotes, &old, &new, &options, &control).await;
    plan_and_apply(&toolkit, plan, &common, console, &control).await
}

/// Shows the plan, or applies it and shows what became of it; where somebody else is faster, it is planned again.
async fn plan_and_apply(
    toolkit: &Toolkit,
    plan: impl AsyncFn() -> Result<Plan>,
    common: &Common,
    console: &Console,
    control: &Control,
) -> Result<u8> {
    if common.dry_run {
        console.plan(&plan().await?);
        return Ok(0);
    }
    let follow = |plan: &Plan| console.follow(plan);
    let (plan, applied) = toolkit.plan_and_apply(plan, &context::asked_by(), control, follow).await?;
    let Some(applied) = applied else {
        console.plan(&plan);
        return Ok(0);
    };
    Ok(finish(console, &applied, control))
}

/// The same, with the private half that lies beside a public key, if one does.
fn with_private_half(common: &Common, public: &Path) -> Common {
    let mut common = common.clone();
    let private = public.with_extension("");
    if private.exists() && private != public {
        common.beside.push(private);
    }
    common
}

fn options(words: KeyAllow) -> Result<KeyOptions> {
    let by = match words.by {
        MirrorByWord::Agent => MirrorBy::Agent,
        MirrorByWord::Rrsync => MirrorBy::Rrsync,
        MirrorByWord::Sftp => MirrorBy::Sftp,
    };
    let base = match &words.mirror {
        Some(root) => KeyOptions::mirroring(by, root, words.read_only),
        None => KeyOptions { restrict: words.restrict, command: words.command, ..KeyOptions::default() },
    };
    let expires = words.expires.as_deref().map(moment).transpose()?;
    Ok(KeyOptions { from: words.from, expires, permit_open: words.permit_open, ..base })
}

/// A moment as people write it: a date, a time in UTC, or a span from now.
fn moment(text: &str) -> Result<Timestamp> {
    let date = || format!("{text}T00:00:00Z").parse::<Timestamp>().ok();
    let span = || text.parse::<Period>().ok().map(|span| dr_core::toolkit::now() + span.as_duration());
    text.parse().ok().or_else(date).or_else(span).ok_or_else(|| {
        let why = format!("'{}' is no time", text.escape_debug());
        Error::new(ErrorKind::Usage, "read --expires", why)
            .hint("2027-01-31, 2027-01-31T12:00:00Z, or 90d from now")
    })
}

fn public_line(path: &Path) -> Result<String> {
    read_public_key(path).map(|key| key.to_string())
}

fn asked_twice() -> Result<Secret> {
    let first = context::ask_secret("passphrase for the new key: ")?;
    if first == context::ask_secret("the same again: ")? {
        return Ok(first);
    }
    Err(Error::new(ErrorKind::Usage, "generate a key", "the two passphrases differ"))
}

/// What stands in a file of somebody else's must not speak to the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
