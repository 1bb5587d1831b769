//! sshd's list of revoked keys: written and proven before sshd is told of it, and never broken.

use super::rotate::prove;
use super::script;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{
    Content, Effective, MAIN, PublicKey, REVOKED_DROP_IN, REVOKED_LIST, RevocationList, Revoked, Revokes,
    SshdChange, Switch, rehearsal, revoked_block,
};
use crate::plan::{Planned, Step};
use crate::time::{Period, Timestamp};
use crate::world::{Control, World};

/// What becomes of a host's list.
pub(super) struct ListChange {
    path: String,
    from: Option<Vec<u8>>,
    to: Vec<u8>,
    /// Where sshd learns of it: path, content before and after. None if it knows already.
    named: Option<(&'static str, Option<Vec<u8>>, String)>,
    /// What tells the switch from others.
    switch: String,
}

/// What sshd says of its configuration as a whole: as it was asked for root already, or asked by `sudo -n`. None where the account has
/// no way to be root, or where there is no OpenSSH: then there is no list to keep.
pub(super) async fn effective(
    world: &World,
    remote: &Remote,
    asked: Option<Effective>,
    control: &Control,
) -> Result<Option<Effective>> {
    if asked.is_some() {
        return Ok(asked);
    }
    if world.shell.software(remote).await?.openssh().is_none() {
        return Ok(None);
    }
    match script::as_root(world, remote, "ask root\necho 'dr end'\n", control).await {
        Ok(said) => {
            Ok(Some(Effective::parse(&said.text)).filter(|effective| effective.value("hostkey").is_some()))
        }
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What has to change so that the host's list revokes this; none if it does so already.
pub(super) async fn list(
    world: &World,
    remote: &Remote,
    effective: &Effective,
    revoked: &Revoked,
    at: Timestamp,
) -> Result<Option<ListChange>> {
    let operation = || format!("read the list of revoked keys of {}", remote.authority());
    let named = effective.value("revokedkeys").filter(|value| *value != "none");
    // Of several (since OpenSSH 10.3) one is enough.
    let path = named.and_then(|value| value.split_ascii_whitespace().next()).unwrap_or(REVOKED_LIST);
    let from = world.shell.read_file(remote, path).await?;
    let bytes = from.as_deref().unwrap_or_default();
    let text = !RevocationList::claims(bytes);
    let mut list = RevocationList::parse(bytes).map_err(|why| {
        if text {
            return Error::new(ErrorKind::Unsupported, operation(), format!("{path} is a list of text lines: {why}"))
                .hint(format!("make it a KRL: ssh-keygen -k -f {path}.new {path}, then rename it; or --key-files-only"));
        }
        Error::new(ErrorKind::Refused, operation(), format!("{path} is broken: {why}"))
            .hint("sshd refuses every key while it is: repair it, or take RevokedKeys out of sshd_config, from a console")
    })?;
    let new = list.add(revoked).map_err(|why| Error::new(ErrorKind::Usage, operation(), why))?;
    let named = match named {
        Some(_) => None,
        None => Some(place(world, remote, REVOKED_DROP_IN, &revoked_block()).await?),
    };
    if !new && named.is_none() {
        return Ok(None);
    }
    let to = if new { list.to_bytes(list.version() + 1, at) } else { bytes.to_vec() };
    let switch = format!("{:08x}", at.as_micros() & 0xffff_ffff);
    Ok(Some(ListChange { path: path.to_owned(), from, to, named, switch }))
}

/// Where sshd is to learn of something, and that file before and after: in a drop-in where those are read, after what stands there
/// already, else at the top of the main file.
pub(super) async fn place(
    world: &World,
    remote: &Remote,
    drop_in: &'static str,
    lines: &str,
) -> Result<(&'static str, Option<Vec<u8>>, String)> {
    let main = world.shell.read_file(remote, MAIN).await?.unwrap_or_default();
    let text = String::from_utf8_lossy(&main).into_owned();
    if rehearsal(&text, &[], "").is_none() {
        return Ok((MAIN, Some(main), format!("{lines}{text}")));
    }
    let before = world.shell.read_file(remote, drop_in).await?;
    let mut after = before.as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
    if !after.contains(lines) {
        after.push_str(lines);
    }
    Ok((drop_in, before, after))
}

/// The list first, proven; then, under a dead-man's switch, the configuration that names it.
pub(super) fn steps(
    remote: &Remote,
    change: ListChange,
    revoked: &Revoked,
    other: &PublicKey,
    after: Period,
) -> Vec<Planned> {
    let ListChange { path, from, to, named, switch } = change;
    let content = |bytes: Option<&[u8]>| bytes.map(Content::new);
    let revokes =
        Revokes { list: path.clone(), gone: vec![revoked.to_string()], kept: vec![other.to_string()] };
    let base = SshdChange {
        remote: remote.clone(),
        path: path.clone(),
        from: content(from.as_deref()),
        to: content(Some(&to)),
        accounts: vec![remote.clone()],
        switch: None,
        took_passwords: None,
        takes_passwords: None,
        revokes: Some(revokes),
        says: None,
    };
    let mut steps = vec![];
    if from.as_deref() != Some(to.as_slice()) {
        let title = format!("put it on the list of revoked keys, {path}");
        steps.push(Planned::needed(title, Step::ChangeSshd(base.clone())));
        steps.push(prove(remote, other, ", with that list"));
    }
    let Some((at, before, with_it)) = named else { return steps };
    let arm = Switch {
        remote: remote.clone(),
        name: switch.clone(),
        path: at.to_owned(),
        restore: content(before.as_deref()),
        after,
        arm: true,
    };
    let disarm = arm.inverse();
    let name_it = SshdChange {
        path: at.to_owned(),
        from: content(before.as_deref()),
        to: content(Some(with_it.as_bytes())),
        switch: Some(switch),
        ..base
    };
    steps.push(Planned::needed("arm the dead-man's switch", Step::SetSwitch(arm)));
    steps.push(Planned::needed(format!("have sshd read that list, by {at}"), Step::ChangeSshd(name_it)));
    steps.push(prove(remote, other, ", now that sshd reads the list"));
    steps.push(Planned::needed("disarm the dead-man's switch", Step::SetSwitch(disarm)));
    steps.push(prove(remote, other, ", now that the switch is off"));
    steps
}
