//! Certificates brought to hosts: a host's own, and the authority whose users it lets in.

use super::lock::{has_sshd, proofs};
use super::{name, revoke, script};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{
    Bearer, CERTIFICATES_DROP_IN, Certificate, Content, Effective, HostProof, PublicKey, SshdChange, Switch,
    authorities,
};
use crate::plan::{OnFailure, Plan, Planned, Step};
use crate::run::StepState;
use crate::time::{Period, Timestamp};
use crate::toolkit::Toolkit;
use crate::world::{Control, World};

/// Where the authorities go, if sshd names no file of them yet.
const AUTHORITIES: &str = "/etc/ssh/dr_user_ca.pub";
/// How long a host may take to prove itself.
const WITHIN: Period = Period::from_secs(30);

/// A file that sshd reads, and the line by which it learns of it; none if it knows already.
struct Brought {
    path: String,
    from: Option<Vec<u8>>,
    to: Vec<u8>,
    line: Option<String>,
    /// The authority by which the host must prove itself in the end.
    authority: Option<String>,
    what: String,
}

impl Toolkit {
    /// What it takes that a host shows a certificate, or that it lets in whom an authority has certified: `line` is the host's
    /// certificate, or the authority's public key. The file is written beside the host's key (an authority is added to those that sshd
    /// trusts), and sshd is told of it (`HostCertificate`, `TrustedUserCAKeys`), both under a dead-man's switch as for a lock-down: fresh
    /// logins prove that a key still opens, and that the host proves itself by the certificate alone. Whatever fails is taken back. The
    /// plan is empty if all of that is so already.
    ///
    /// ```no_run
    /// # async fn example(toolkit: dr_core::toolkit::Toolkit, certificate: &str) -> dr_core::Result<()> {
    /// # use dr_core::{Period, world::Control};
    /// let (host, silent) = ("root@us.example.net".parse().unwrap(), Control::silent());
    /// let plan = toolkit.plan_certificate_install(&host, certificate, Period::from_secs(120), &silent).await?;
    /// toolkit.apply(&plan, "ann", &silent).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Usage` if that is neither; `Refused` if the certificate is not for a key of that host, not for the name by which it is reached,
    /// or past its time, or if no key at hand opens the host; `PermissionDenied` without root, `Unsupported` without OpenSSH. Nothing
    /// was changed then.
    pub async fn plan_certificate_install(
        &self,
        remote: &Remote,
        line: &str,
        after: Period,
        control: &Control,
    ) -> Result<Plan> {
        let operation = format!("plan to bring a certificate to {}", remote.authority());
        let at = self.world.clock.read().wall;
        let facts = async {
            has_sshd(&self.world, remote).await?;
            let said = script::as_root(&self.world, remote, script::HOST_KEYS, control).await?;
            let effective = Effective::parse(&said.text);
            let brought = match line.parse::<Certificate>() {
                Ok(certificate) => {
                    let keys = said.answers.iter().filter_map(|answer| answer.strip_prefix("key "));
                    self.host_certificate(remote, &certificate, keys, &effective, at).await?
                }
                Err(_) => self.user_authority(remote, line, &effective).await?,
            };
            let named = match &brought.line {
                Some(line) => {
                    let lines = format!("# dr keys ca install\n{line}\n");
                    Some(revoke::place(&self.world, remote, CERTIFICATES_DROP_IN, &lines).await?)
                }
                None => None,
            };
            let proof = proofs(&self.world, std::slice::from_ref(remote)).await?.remove(0);
            Ok((brought, named, proof))
        };
        let (brought, named, proof) = control.run(&operation, facts).await?;
        let title = format!("{} on {}", brought.what, remote.authority());
        let mut steps = vec![];
        let login = |when: &str| {
            let key: Option<PublicKey> = proof.public_key.parse().ok();
            let key = key.as_ref().map_or_else(String::new, name);
            let title = format!("log in to {remote} afresh with {key} and nothing else{when}");
            Planned::needed(title, Step::ProveKey(proof.clone()))
        };
        let prefix = format!("{:08x}", at.as_micros() & 0xffff_ffff);
        let content = |bytes: &[u8]| Content::new(bytes);
        if brought.from.as_deref() != Some(brought.to.as_slice()) {
            let file = Guarded {
                remote,
                switch: format!("{prefix}-file"),
                path: &brought.path,
                from: brought.from.as_deref().map(content),
                to: content(&brought.to),
                says: vec![],
                after,
            };
            let already = brought.authority.as_deref().filter(|_| named.is_none());
            steps.extend(file.steps(format!("write {}", brought.path), &login, already));
        }
        if let (Some((path, before, text)), Some(line)) = (named, &brought.line) {
            let config = Guarded {
                remote,
                switch: prefix,
                path,
                from: before.as_deref().map(content),
                to: content(text.as_bytes()),
                says: vec![line.clone()],
                after,
            };
            let title = format!("have sshd read it: '{line}' in {path}");
            steps.extend(config.steps(title, &login, brought.authority.as_deref()));
        }
        if !steps.is_empty() {
            steps.insert(0, login(""));
        }
        Ok(Plan::new(title, at, OnFailure::Undo, steps))
    }

    async fn host_certificate(
        &self,
        remote: &Remote,
        certificate: &Certificate,
        keys: impl Iterator<Item = &str>,
        effective: &Effective,
        at: Timestamp,
    ) -> Result<Brought> {
        let refused = |why: String, hint: &str| {
            Err(Error::new(ErrorKind::Refused, format!("bring a certificate to {}", remote.authority()), why)
                .hint(format!("nothing was changed; {hint}")))
        };
        if certificate.bearer() != Bearer::Host {
            return refused(
                "it is a user's: it stays with the user's key".to_owned(),
                "to let its bearer in, bring the authority's public key to the host",
            );
        }
        if let Err(why) = certificate.stands_for_host(&remote.host, at) {
            return refused(why, "sign one with dr keys ca host, for the name that is used here too");
        }
        let mut paths = keys.filter_map(|row| row.split_once(' '));
        let holder =
            paths.find(|(_, line)| line.parse::<PublicKey>().is_ok_and(|key| key == *certificate.key()));
        let Some((key_path, _)) = holder else {
            return refused(
                "none of the keys of its sshd is the one that is certified".to_owned(),
                "sign the host's own: /etc/ssh/ssh_host_ed25519_key.pub",
            );
        };
        let path = format!("{key_path}-cert.pub");
        let shown = effective.value("hostcertificate").unwrap_or_default();
        let is_named = shown.split_ascii_whitespace().any(|held| held == path);
        Ok(Brought {
            from: self.world.shell.read_file(remote, &path).await?,
            to: format!("{certificate}\n").into_bytes(),
            // No HostKey line: the first of them would take all other keys away.
            line: (!is_named).then(|| format!("HostCertificate {path}")),
            authority: Some(certificate.authority().clone().with_comment("").to_string()),
            what: format!("show the certificate '{}'", certificate.id().escape_debug()),
            path,
        })
    }

    async fn user_authority(&self, remote: &Remote, line: &str, effective: &Effective) -> Result<Brought> {
        let operation = format!("bring an authority to {}", remote.authority());
        let authority: PublicKey =
            line.parse().map_err(|why: String| Error::new(ErrorKind::Usage, operation.clone(), why))?;
        let named = effective.value("trustedusercakeys").filter(|value| *value != "none");
        let path = named.unwrap_or(AUTHORITIES).to_owned();
        let from = self.world.shell.read_file(remote, &path).await?;
        let mut to = from.clone().unwrap_or_default();
        let (trusted, broken) = authorities(&to);
        if let Some(broken) = broken {
            let why = format!("sshd cannot read line {} of {path}, and reads no further", broken.line);
            return Err(Error::new(ErrorKind::Refused, operation, why)
                .hint("nothing was changed; correct that line or take it out, what stands below it counts again then"));
        }
        if !trusted.iter().any(|(_, key)| *key == authority) {
            if !(to.is_empty() || to.ends_with(b"\n")) {
                to.push(b'\n');
            }
            to.extend_from_slice(format!("{authority}\n").as_bytes());
        }
        let line = named.is_none().then(|| format!("TrustedUserCAKeys {path}"));
        Ok(Brought {
            path,
            from,
            to,
            line,
            authority: None,
            what: format!("let in whom {} certifies", name(&authority)),
        })
    }
}

/// A change of one file, under a switch of its own.
struct Guarded<'a> {
    remote: &'a Remote,
    switch: String,
    path: &'a str,
    from: Option<Content>,
    to: Content,
    says: Vec<String>,
    after: Period,
}

impl Guarded<'_> {
    fn steps(self, title: String, login: &dyn Fn(&str) -> Planned, authority: Option<&str>) -> Vec<Planned> {
        let Guarded { remote, switch, path, from, to, says, after } = self;
        let arm = Switch {
            remote: remote.clone(),
            name: switch.clone(),
            path: path.to_owned(),
            restore: from.clone(),
            after,
            arm: true,
        };
        let disarm = arm.inverse();
        let change = SshdChange {
            remote: remote.clone(),
            path: path.to_owned(),
            from,
            to: Some(to),
            accounts: vec![remote.clone()],
            switch: Some(switch),
            took_passwords: None,
            takes_passwords: None,
            revokes: None,
            says: Some(says),
        };
        let mut steps = vec![
            Planned::needed("arm the dead-man's switch", Step::SetSwitch(arm)),
            Planned::needed(title, Step::ChangeSshd(change)),
            login(", with that"),
        ];
        let host = authority.map(|authority| HostProof {
            remote: remote.clone(),
            authority: authority.to_owned(),
            within: WITHIN,
        });
        let prove = |when: &str| {
            let title =
                format!("see that {} proves itself by that certificate alone{when}", remote.authority());
            host.clone().map(|proof| Planned::needed(title, Step::ProveHost(proof)))
        };
        steps.extend(prove(""));
        steps.push(Planned::needed("disarm the dead-man's switch", Step::SetSwitch(disarm)));
        // It may have fired at the last moment.
        steps.push(login(", now that the switch is off"));
        steps.extend(prove(", now that the switch is off"));
        steps
    }
}

/// That it does not is an error, so that it is not asked again and again.
pub(in crate::toolkit) async fn observe_host(world: &World, step: &HostProof) -> Result<StepState> {
    world.shell.prove_host(&step.remote, &step.authority).await?;
    Ok(StepState::To)
}
