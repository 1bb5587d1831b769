//! Locking a host down, and opening it again: no change that could lock somebody out is kept unless fresh logins prove the way in.

use super::script::{self, Said};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{
    Content, DROP_IN, MAIN, PasswordsRefused, Proof, PublicKey, SshdChange, Switch, block, rehearsal,
    stray_marks, takes_passwords, who_says_yes, with_block, without_block,
};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::run::StepState;
use crate::time::Period;
use crate::toolkit::Toolkit;
use crate::world::{Control, Login, World};

/// How long a host may take to answer a proof.
const WITHIN: Period = Period::from_secs(30);
/// What a person does whose hand our lines were in.
const STRAY: &str = "nothing was changed, for nobody but you knows which lines there are whose: take out that mark and what switches passwords \
                     off beside it by hand, check it with sshd -t, and reload sshd";
/// So many keys are tried for an account: each refused one counts against us at the host.
const TRIED_KEYS: usize = 5;

/// How a host is locked down.
///
/// ```
/// use dr_core::toolkit::LockOptions;
/// assert_eq!(LockOptions::default().after.as_secs(), 120);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockOptions {
    /// The accounts that must be able to log in by key afterwards, beside the one that is used; the host takes no password for
    /// any account then.
    pub accounts: Vec<crate::estate::Account>,
    /// After how long the host opens itself again, if nobody says that all is well.
    pub after: Period,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self { accounts: vec![], after: Period::from_secs(120) }
    }
}

/// Where passwords are to be switched off, and what that file is and becomes.
struct Place {
    path: &'static str,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
}

impl Toolkit {
    /// What it takes to switch passwords off on a host: every account is proved to open by a key; a dead-man's switch is armed on
    /// the host; the configuration is changed where sshd itself says that it takes effect; fresh logins prove the way in, and that
    /// no password is taken; then the switch is disarmed. Whatever fails takes everything back; if nobody is left to do that, the
    /// host does it itself. The plan is empty if that is done already.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// use dr_core::{toolkit::LockOptions, world::Control};
    /// let host = "root@us.example.net".parse().unwrap();
    /// let plan = toolkit.plan_lock_down(&host, &LockOptions::default(), &Control::silent()).await?;
    /// toolkit.apply(&plan, "ann", &Control::silent()).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Refused` if no key at hand opens one of the accounts, if sshd's configuration is wrong already (with file and line), or if
    /// the change would have no effect (with what stands in its way); `PermissionDenied` without root; `Unsupported` without
    /// OpenSSH; whatever keeps the host from being reached. Nothing was changed then.
    pub async fn plan_lock_down(
        &self,
        remote: &Remote,
        options: &LockOptions,
        control: &Control,
    ) -> Result<Plan> {
        let operation = format!("plan to lock {} down", remote.authority());
        let mut accounts = vec![remote.clone()];
        for account in &options.accounts {
            let account = Remote { user: account.clone(), ..remote.clone() };
            if !accounts.contains(&account) {
                accounts.push(account);
            }
        }
        let world = &self.world;
        let facts = async {
            has_sshd(world, remote).await?;
            let proofs = proofs(world, &accounts).await?;
            let said =
                script::as_root(world, remote, &script::look(&accounts, DROP_IN, MAIN), control).await?;
            let place = place(world, remote, &accounts, &said, control).await?;
            let offers = world.shell.offers(remote).await?;
            let with_password = said.answers.iter().filter_map(|answer| answer.strip_prefix("has-password "));
            let unproven =
                with_password.filter(|name| accounts.iter().all(|account| account.user.as_str() != *name));
            let unproven: Vec<String> = unproven.map(str::to_owned).collect();
            Ok((proofs, place, takes_passwords(&offers), unproven))
        };
        let (proofs, place, open, unproven) = control.run(&operation, facts).await?;
        let at = world.clock.read().wall;
        let name = format!("{:08x}", at.as_micros() & 0xffff_ffff);
        let steps = match place {
            None if !open => vec![],
            Some(place) => steps(remote, &accounts, &proofs, place, &name, options.after, open),
            None => {
                return Err(Error::new(
                    ErrorKind::Refused,
                    operation,
                    "its configuration takes no passwords, and it still does",
                )
                .hint(
                    "sshd has not read its configuration since it was changed: look at it, then reload sshd",
                ));
            }
        };
        let title = match unproven.as_slice() {
            [] => format!("switch passwords off on {}", remote.authority()),
            names => format!(
                "switch passwords off on {}, also for accounts of which no key is proved: {}",
                remote.authority(),
                names.join(", ")
            ),
        };
        Ok(Plan::new(title, at, OnFailure::Undo, steps))
    }

    /// What it takes to take our own lines out of sshd's configuration again; nothing else is touched. Whether passwords are then
    /// taken is up to the rest of the configuration.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit) -> dr_core::Result<()> {
    /// # use dr_core::world::Control;
    /// let plan = toolkit.plan_unlock(&"root@us.example.net".parse().unwrap(), &Control::silent()).await?;
    /// assert!(plan.steps.len() < 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Self::plan_lock_down`], without the proofs; `Refused` if nothing is left but lines of ours that somebody changed, with their
    /// numbers: none of those is touched.
    pub async fn plan_unlock(&self, remote: &Remote, control: &Control) -> Result<Plan> {
        has_sshd(&self.world, remote).await?;
        let look = script::look(std::slice::from_ref(remote), DROP_IN, MAIN);
        let said = script::as_root(&self.world, remote, &look, control).await?;
        let (drop_in, main) = files(&said, remote)?;
        let mut steps = vec![];
        let plain = without_block(&main);
        let ours =
            drop_in.is_some_and(|content| content == block().as_bytes()).then(|| (DROP_IN, block(), None));
        let top = (plain != main).then(|| (MAIN, main.clone(), Some(plain)));
        for (path, from, to) in ours.into_iter().chain(top) {
            let change = SshdChange {
                remote: remote.clone(),
                path: path.to_owned(),
                from: Some(Content::new(from.as_bytes())),
                to: to.map(|text: String| Content::new(text.as_bytes())),
                accounts: vec![remote.clone()],
                switch: None,
                took_passwords: None,
                takes_passwords: None,
                revokes: None,
                says: None,
            };
            let title = format!("take our lines out of {path}, and have sshd read it");
            steps.push(Planned::needed(title, Step::ChangeSshd(change)));
        }
        let strays: Vec<String> =
            stray_marks(&main).iter().map(|number| format!("{MAIN}:{number}")).collect();
        let mut title = format!("open {} again", remote.authority());
        if !strays.is_empty() {
            let why = format!("somebody changed the lines of a lock-down at {}", strays.join(" and "));
            if steps.is_empty() {
                return Err(Error::new(ErrorKind::Refused, title, why).hint(STRAY));
            }
            title = format!("{title}, as far as the lines are ours: {why}");
        }
        let at = self.world.clock.read().wall;
        Ok(Plan::new(title, at, OnFailure::Stop, steps))
    }
}

/// Only OpenSSH has a configuration in which passwords can be switched off.
pub(super) async fn has_sshd(world: &World, remote: &Remote) -> Result<()> {
    world.shell.software(remote).await?.has_sshd_config().map_err(|(why, hint)| {
        Error::new(
            ErrorKind::Unsupported,
            format!("change sshd's configuration on {}", remote.authority()),
            why,
        )
        .hint(format!("nothing was changed; {hint}"))
    })
}

/// For every account a key that opens it, by a fresh login each.
pub(super) async fn proofs(world: &World, accounts: &[Remote]) -> Result<Vec<Proof>> {
    let keys = world.shell.keys_at_hand().await?;
    let mut proofs = vec![];
    for account in accounts {
        let mut opens = None;
        for key in keys.iter().take(TRIED_KEYS) {
            if world.shell.prove_key(account, key).await? == Login::Accepted {
                opens = Some(key.clone());
                break;
            }
        }
        let Some(public_key) = opens else {
            let why = match keys.len().min(TRIED_KEYS) {
                0 => format!("there is no key at hand that could open {account}"),
                1 => format!("the only key at hand does not open {account}"),
                tried => format!("none of the {tried} keys at hand opens {account}"),
            };
            return Err(Error::new(ErrorKind::Refused, format!("prove that {account} opens by a key"), why)
                .hint("nothing was changed; install a key with dr keys install, or name the right one with --identity"));
        };
        proofs.push(Proof { remote: account.clone(), public_key, within: WITHIN });
    }
    Ok(proofs)
}

/// The drop-in's content if there is one, and the main file.
fn files(said: &Said, remote: &Remote) -> Result<(Option<Vec<u8>>, String)> {
    let operation = || format!("read sshd's configuration on {}", remote.authority());
    if said.answer("broken").is_some() {
        return Err(Error::new(
            ErrorKind::Refused,
            operation(),
            format!("sshd does not accept it: {}", said.first_complaint()),
        )
        .hint(
            "nothing was changed; correct that line first: an sshd that is restarted now would not come back",
        ));
    }
    let decoded = |text: &str| data_encoding::BASE64.decode(text.as_bytes()).ok();
    let main = said.answer("main").and_then(decoded).and_then(|bytes| String::from_utf8(bytes).ok());
    match (main, said.answer("end")) {
        (Some(main), Some(_)) => Ok((said.answer("drop-in").and_then(decoded), main)),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            operation(),
            format!("{MAIN} cannot be read as text: {}", said.first_complaint()),
        )),
    }
}

/// The place where switching passwords off takes effect, as sshd itself says of a copy of its configuration. None if it is off
/// already by our lines.
async fn place(
    world: &World,
    remote: &Remote,
    accounts: &[Remote],
    said: &Said,
    control: &Control,
) -> Result<Option<Place>> {
    let (drop_in, main) = files(said, remote)?;
    let refused = |why: String, hint: &str| {
        Err(Error::new(ErrorKind::Refused, format!("switch passwords off on {}", remote.authority()), why)
            .hint(hint))
    };
    if let Some(unknown) = said.answer("unknown") {
        return refused(format!("there is no account {unknown}"), "correct --account; nothing was changed");
    }
    let ours = block();
    if drop_in.as_deref().is_some_and(|content| content != ours.as_bytes()) {
        return refused(
            format!("{DROP_IN} was changed by somebody else"),
            "look at that file; if it is of no use, remove it and try again",
        );
    }
    let listed: Vec<String> = said
        .answers
        .iter()
        .filter_map(|answer| answer.strip_prefix("file /etc/ssh/sshd_config.d/"))
        .filter(|name| name.ends_with(".conf") && !name.starts_with('.'))
        .map(|name| format!("/etc/ssh/sshd_config.d/{name}"))
        .collect();
    let top = with_block(&main);
    if (drop_in.is_some() || top == main)
        && rehearse(world, remote, accounts, &main, control).await?.is_empty()
    {
        return Ok(None);
    }
    if let Some(text) = rehearsal(&main, &listed, "@DR@").filter(|_| drop_in.is_none())
        && rehearse(world, remote, accounts, &text, control).await?.is_empty()
    {
        return Ok(Some(Place { path: DROP_IN, from: None, to: Some(ours.into_bytes()) }));
    }
    // An older sshd includes nothing, or something earlier decides: then at the top of the main file.
    let standing = rehearse(world, remote, accounts, &top, control).await?;
    if standing.is_empty() {
        return Ok(Some(Place { path: MAIN, from: Some(main.into_bytes()), to: Some(top.into_bytes()) }));
    }
    let why = format!("it would have no effect: sshd would still say '{}'", standing.join("', '"));
    let lines = who_says_yes(&sources(said));
    let hint = format!(
        "nothing was changed; a Match block decides there. Take out what says so: {}",
        lines.join("; ")
    );
    refused(why, &hint)
}

/// The files that were printed, with their names.
fn sources(said: &Said) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = vec![];
    for line in said.text.lines() {
        if let Some(path) = line.strip_prefix("dr file ") {
            files.push((path.to_owned(), String::new()));
        } else if let (Some(line), Some((_, content))) = (line.strip_prefix(' '), files.last_mut()) {
            content.push_str(line);
            content.push('\n');
        }
    }
    files
}

/// What sshd would still take for some account: empty if nothing.
async fn rehearse(
    world: &World,
    remote: &Remote,
    accounts: &[Remote],
    main: &str,
    control: &Control,
) -> Result<Vec<String>> {
    let base64 = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    let script = script::rehearse(accounts, &base64(main), &base64(&block()));
    let said = script::as_root(world, remote, &script, control).await?;
    if said.answer("end").is_none() {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("rehearse on {}", remote.authority()),
            said.first_complaint(),
        ));
    }
    let open = said.answers.iter().filter_map(|answer| answer.strip_prefix("open "));
    Ok(open.map(|text| text.replacen(' ', ": ", 1)).collect())
}

fn steps(
    remote: &Remote,
    accounts: &[Remote],
    proofs: &[Proof],
    place: Place,
    name: &str,
    after: Period,
    open: bool,
) -> Vec<Planned> {
    let content = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(Content::new);
    let prove = |when: &str, proof: &Proof| {
        let key: Option<PublicKey> = proof.public_key.parse().ok();
        let key = key.map_or_else(String::new, |key| super::name(&key));
        let title = format!("log in to {} afresh with {key} and nothing else{when}", proof.remote);
        Planned::needed(title, Step::ProveKey(proof.clone()))
    };
    let arm = Switch {
        remote: remote.clone(),
        name: name.to_owned(),
        path: place.path.to_owned(),
        restore: content(&place.from),
        after,
        arm: true,
    };
    let change = SshdChange {
        remote: remote.clone(),
        path: place.path.to_owned(),
        from: content(&place.from),
        to: content(&place.to),
        accounts: accounts.to_vec(),
        switch: Some(name.to_owned()),
        took_passwords: Some(open),
        takes_passwords: Some(false),
        revokes: None,
        says: None,
    };
    let refused = PasswordsRefused { accounts: accounts.to_vec(), within: WITHIN };
    let disarm = arm.inverse();
    let mut steps: Vec<Planned> = proofs.iter().map(|proof| prove("", proof)).collect();
    steps.push(Planned::needed("arm the dead-man's switch", Step::SetSwitch(arm)));
    steps.push(Planned::needed(format!("switch passwords off in {}", place.path), Step::ChangeSshd(change)));
    steps.extend(proofs.iter().map(|proof| prove(", now that passwords are off", proof)));
    let look = || Step::ProvePasswordsRefused(refused.clone());
    steps.push(Planned::needed("see that no password is taken", look()));
    steps.push(Planned::needed("disarm the dead-man's switch", Step::SetSwitch(disarm)));
    // It may have fired at the last moment.
    steps.push(Planned::needed("see that no password is taken, now that the switch is off", look()));
    steps
}

pub(in crate::toolkit) async fn observe_switch(
    world: &World,
    step: &Switch,
    control: &Control,
) -> Result<StepState> {
    let said = script::as_root(world, &step.remote, &script::switch_state(&step.name), control).await?;
    let armed = said.answer("armed").is_some();
    Ok(if armed == step.arm { StepState::To } else { StepState::From })
}

pub(in crate::toolkit) async fn act_switch(world: &World, step: &Switch, control: &Control) -> Result<()> {
    let restore = base64(step.restore.as_ref());
    let script = if step.arm { script::arm(step, &restore) } else { script::disarm(step) };
    let said = script::as_root(world, &step.remote, &script, control).await?;
    if said.answer("busy").is_some() {
        let why = "another one is armed on that host: somebody else is locking it down";
        return Err(Error::new(ErrorKind::Locked, "arm the dead-man's switch", why)
            .hint("wait until that is over, or until it fires; nothing was changed"));
    }
    if step.arm && said.answer("armed").is_none() {
        let why = format!("it does not run: {}", said.first_complaint());
        return Err(Error::new(ErrorKind::Unsupported, "arm the dead-man's switch", why)
            .hint("the host needs a shell, setsid or systemd-run, and /run; nothing was changed"));
    }
    Ok(())
}

pub(in crate::toolkit) async fn observe_sshd(
    world: &World,
    step: &SshdChange,
    control: &Control,
) -> Result<StepState> {
    let (from, to) = (base64(step.from.as_ref()), base64(step.to.as_ref()));
    let said = script::as_root(world, &step.remote, &script::state(step, &from, &to), control).await?;
    if said.answer("from").is_some() {
        return Ok(StepState::From);
    }
    if said.answer("to").is_none() {
        return Ok(StepState::Other(format!("somebody else changed {}", step.path)));
    }
    // The file is one thing, what sshd has read of it another.
    if let (true, Some(name)) = (step.is_marked(), &step.switch) {
        let said = script::as_root(world, &step.remote, &script::was_read(name), control).await?;
        return Ok(if said.answer("read").is_some() { StepState::To } else { StepState::Partial });
    }
    let (Some(takes), Some(account)) = (step.takes_passwords, step.accounts.first()) else {
        return Ok(StepState::To);
    };
    let offers = world.shell.offers(account).await?;
    Ok(if takes_passwords(&offers) == takes { StepState::To } else { StepState::Partial })
}

pub(in crate::toolkit) async fn act_sshd(world: &World, step: &SshdChange, control: &Control) -> Result<()> {
    let (from, to) = (base64(step.from.as_ref()), base64(step.to.as_ref()));
    let said = script::as_root(world, &step.remote, &script::change(step, &from, &to), control).await?;
    if said.answer("done").is_some() {
        return Ok(());
    }
    let operation = format!("change {} on {}", step.path, step.remote.authority());
    let failed = |kind, why: String, hint: &str| Err(Error::new(kind, operation.clone(), why).hint(hint));
    let complaint = said.first_complaint();
    if let Some(open) = said.answer("open") {
        let why = format!("it has no effect: sshd still says '{open}'");
        return failed(
            ErrorKind::Refused,
            why,
            "it was put back before sshd read it; somebody changed the configuration meanwhile",
        );
    }
    match said.answers.first().map(String::as_str) {
        Some("broken") if step.switch.is_some() => failed(
            ErrorKind::Refused,
            format!("sshd does not accept its configuration as it is: {complaint}"),
            "nothing was changed; correct that line first",
        ),
        Some("broken") => failed(
            ErrorKind::Refused,
            format!("the file is as it was, but sshd does not accept its configuration: {complaint}"),
            "correct that line, then reload sshd; until then it goes on as it is",
        ),
        Some("broken-by-it") => failed(
            ErrorKind::Unsupported,
            format!("sshd does not accept it: {complaint}"),
            "it was put back before sshd read it",
        ),
        Some("unarmed") => failed(
            ErrorKind::Refused,
            "the dead-man's switch is not armed (any more)".to_owned(),
            "nothing was changed; plan again",
        ),
        Some("conflict") => failed(
            ErrorKind::Conflict,
            "it is no longer what it was when this was planned".to_owned(),
            "somebody else changed it; nothing was overwritten: plan again",
        ),
        Some("busy") => failed(
            ErrorKind::Locked,
            "somebody else has been changing sshd's files there for a minute".to_owned(),
            "nothing was changed; wait until that is over, then try again",
        ),
        Some("no-keygen") => failed(
            ErrorKind::Unsupported,
            "there is no ssh-keygen to prove the list of revoked keys with".to_owned(),
            "nothing was changed; install openssh-client there",
        ),
        Some(answer) if answer.starts_with("list-wrong") => failed(
            ErrorKind::Refused,
            format!("the list of revoked keys does not say what it must ({answer}): {complaint}"),
            "nothing was changed: sshd would refuse keys that it must not, or all of them",
        ),
        Some("no-reload") => failed(
            ErrorKind::Unsupported,
            format!("sshd cannot be made to read it: {complaint}"),
            "it runs neither under systemd nor with a PidFile; reload it by hand",
        ),
        _ => failed(ErrorKind::Io, complaint, "look at the disk of the host"),
    }
}

/// A host that still takes a password is an error, so that it is not asked again and again.
pub(in crate::toolkit) async fn observe_passwords(
    world: &World,
    step: &PasswordsRefused,
) -> Result<StepState> {
    for account in &step.accounts {
        let offers = world.shell.offers(account).await?;
        if takes_passwords(&offers) {
            let why = format!("the host still takes one: it offers {}", offers.join(", "));
            return Err(Error::new(
                ErrorKind::Rejected,
                format!("see that {account} takes no password"),
                why,
            ));
        }
    }
    Ok(StepState::To)
}

/// As the scripts take it; nothing for a file that is not there, and a word that is no base64 for one with nothing in it.
fn base64(content: Option<&Content>) -> String {
    let text = |content: &Content| {
        if content.base64.is_empty() { "empty" } else { content.base64.as_str() }.to_owned()
    };
    content.map(text).unwrap_or_default()
}
