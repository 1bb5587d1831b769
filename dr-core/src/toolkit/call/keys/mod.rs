//! The verbs of keys by name.

mod held;
mod words;

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::words::Done;
use super::{understood, written};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::server_address;
use crate::keys::{KeyOptions, PublicKey};
use crate::report::{Report, Verdict};
use crate::secret::Secret;
use crate::toolkit::keys::line_or_file;
use crate::toolkit::{
    AuditOptions, CertifyOptions, InstallOptions, LockOptions, RevokeOptions, RotateOptions, Toolkit,
    read_known_keys, read_secret_file,
};
use crate::world::Control;
use crate::world::ssh::{AgentTerms, SecretKey, SshAgent};

pub use held::{
    AddAgentKey, AgentKeys, CertifiedKey, CertifyKey, HeldByAgent, HeldKeys, InstallCertificate, IssuedBy,
    IssuedCertificates, RemoveAgentKey,
};
pub use words::{
    AskAboutKey, AuditKeys, AuditedKeys, GenerateKey, GeneratedKey, InstallKey, LockDown, MirrorOnly,
    RevokeKey, RotateKey, SshfpOf, SshfpRecords, TrustHost, TrustedHost, Unlock,
};

impl Toolkit {
    /// Calls a verb of keys; none if it is no verb of theirs.
    pub(super) async fn call_keys(
        &self,
        operation: &str,
        request: &str,
        control: &Control,
    ) -> Option<Result<String>> {
        Some(match operation {
            "generate_key" => answered(operation, request, async |asked| self.generated(asked).await).await,
            "install_key" => {
                answered(operation, request, async |asked| self.installed(asked, control).await).await
            }
            "verify_key" => {
                answered(operation, request, async |asked| self.asked_about(asked, true, control).await).await
            }
            "probe_key" => {
                answered(operation, request, async |asked| self.asked_about(asked, false, control).await)
                    .await
            }
            "audit_keys" => {
                answered(operation, request, async |asked| self.audited(asked, control).await).await
            }
            "rotate_key" => {
                answered(operation, request, async |asked| self.rotated(asked, control).await).await
            }
            "revoke_key" => {
                answered(operation, request, async |asked| self.revoked(asked, control).await).await
            }
            "lock_down" => {
                answered(operation, request, async |asked| self.locked_down(asked, control).await).await
            }
            "unlock" => answered(operation, request, async |asked| self.unlocked(asked, control).await).await,
            "trust_host" => {
                answered(operation, request, async |asked| self.trusted(asked, control).await).await
            }
            "sshfp_records" => {
                answered(operation, request, async |asked: SshfpOf| self.records(&asked)).await
            }
            "certify_key" => answered(operation, request, async |asked| self.certified(asked).await).await,
            "issued_certificates" => {
                answered(operation, request, async |asked: IssuedBy| self.issued(&asked)).await
            }
            "install_certificate" => {
                answered(operation, request, async |asked| self.certificate_installed(asked, control).await)
                    .await
            }
            "list_agent_keys" => answered(operation, request, async |asked| listed(asked).await).await,
            "add_agent_key" => answered(operation, request, async |asked| added(asked).await).await,
            "remove_agent_key" => answered(operation, request, async |asked| removed(asked).await).await,
            _ => return None,
        })
    }

    async fn generated(&self, asked: GenerateKey) -> Result<GeneratedKey> {
        let GenerateKey { path, kind, comment, passphrase_file, no_passphrase, dry_run } = asked;
        if passphrase_file.is_some() == no_passphrase {
            let why = "it has to be said whether the key is encrypted";
            return Err(Error::new(ErrorKind::Usage, "generate a key", why)
                .hint("name a passphrase_file, or say no_passphrase; not both"));
        }
        let passphrase = secret(passphrase_file.as_deref())?;
        let public_path = SecretKey::may_be_saved(&path)?;
        let key = match dry_run {
            true => None,
            false => Some(self.generate_key(&path, kind, &comment, passphrase.as_ref()).await?),
        };
        Ok(GeneratedKey {
            path,
            public_path,
            fingerprint: key.as_ref().map(PublicKey::fingerprint),
            public_key: key.map(|key| key.to_string()),
        })
    }

    async fn installed(&self, asked: InstallKey, control: &Control) -> Result<Done> {
        let InstallKey { key, remote, mut allow, mirror, replace, file, dry_run, by } = asked;
        if let Some(tree) = mirror {
            if allow.command.is_some() {
                let why = "it can mirror, or run a command, not both";
                return Err(Error::new(ErrorKind::Usage, "install a key", why));
            }
            let only = KeyOptions::mirroring(tree.by, &tree.root, tree.read_only);
            (allow.restrict, allow.command) = (only.restrict, only.command);
        }
        let options = InstallOptions { allow, replace, path: file };
        let line = line_or_file(&key)?;
        let plan = async || self.plan_key_install(&remote, &line, &options, control).await;
        self.carry_out_again(plan, dry_run, by, control).await
    }

    async fn asked_about(&self, asked: AskAboutKey, prove: bool, control: &Control) -> Result<Report> {
        let line = line_or_file(&asked.key)?;
        if prove {
            control.run("verify a key", self.verify_key(&asked.remote, &line)).await
        } else {
            control.run("ask about a key", self.probe_key(&asked.remote, &line)).await
        }
    }

    async fn audited(&self, asked: AuditKeys, control: &Control) -> Result<AuditedKeys> {
        let AuditKeys { remotes, file, known, record, html, authorities, dry_run } = asked;
        let options = AuditOptions {
            known: known.as_deref().map(read_known_keys).transpose()?.unwrap_or_default(),
            record,
            keep_record: dry_run,
            authorities,
            page: html.filter(|_| !dry_run),
        };
        let (inventory, report) = match file {
            Some(_) if !remotes.is_empty() => {
                let why = "a file is on this machine, and accounts are on hosts: name one or the other";
                return Err(Error::new(ErrorKind::Usage, "audit keys", why));
            }
            Some(file) => self.audit_key_file(&file, &options)?,
            None => self.audit_keys(&remotes, &options, control).await?,
        };
        Ok(AuditedKeys { inventory, report })
    }

    async fn rotated(&self, asked: RotateKey, control: &Control) -> Result<Done> {
        let RotateKey { old, new, remotes, grace, file, dry_run, by } = asked;
        let (old, new) = (line_or_file(&old)?, line_or_file(&new)?);
        let options = RotateOptions { grace, path: file };
        let plan = async || self.plan_key_rotation(&remotes, &old, &new, &options, control).await;
        self.carry_out_again(plan, dry_run, by, control).await
    }

    async fn revoked(&self, asked: RevokeKey, control: &Control) -> Result<Done> {
        let RevokeKey { key, remotes, key_files_only, after, dry_run, by } = asked;
        let usual = RevokeOptions::default();
        let options = RevokeOptions { key_files_only, after: after.unwrap_or(usual.after) };
        let line = line_or_file(&key)?;
        let plan = async || self.plan_key_revocation(&remotes, &line, &options, control).await;
        self.carry_out_again(plan, dry_run, by, control).await
    }

    async fn locked_down(&self, asked: LockDown, control: &Control) -> Result<Done> {
        let LockDown { remote, accounts, after, dry_run, by } = asked;
        let options = LockOptions { accounts, after: after.unwrap_or_else(|| LockOptions::default().after) };
        let plan = self.plan_lock_down(&remote, &options, control).await?;
        self.carry_out(plan, dry_run, by, control).await
    }

    async fn unlocked(&self, asked: Unlock, control: &Control) -> Result<Done> {
        let plan = self.plan_unlock(&asked.remote, control).await?;
        self.carry_out(plan, asked.dry_run, asked.by, control).await
    }

    async fn certificate_installed(&self, asked: InstallCertificate, control: &Control) -> Result<Done> {
        let InstallCertificate { certificate, remote, after, dry_run, by } = asked;
        let (line, after) =
            (line_or_file(&certificate)?, after.unwrap_or_else(|| LockOptions::default().after));
        let plan = self.plan_certificate_install(&remote, &line, after, control).await?;
        self.carry_out(plan, dry_run, by, control).await
    }

    async fn trusted(&self, asked: TrustHost, control: &Control) -> Result<TrustedHost> {
        let TrustHost { remote, dns, update, accept, known_hosts, dry_run } = asked;
        let operation = || format!("trust {}", remote.authority());
        let server = dns.as_deref().map(server_address).transpose();
        let server = server.map_err(|why| Error::new(ErrorKind::Usage, operation(), why))?;
        let (seen, report) = if update {
            self.announced_host_keys(&remote, control).await?
        } else {
            self.host_keys(&remote, server, control).await?
        };
        if !accept.is_empty() && report.verdict() == Verdict::Failed {
            let why = report.findings.first().map_or("", |finding| finding.message.as_str());
            return Err(Error::new(
                ErrorKind::Refused,
                operation(),
                format!("something speaks against it: {why}"),
            )
            .hint("nothing was added; compare the fingerprints on its console"));
        }
        let shows =
            |fingerprint: &&String| seen.keys.iter().any(|one| one.key.fingerprint() == **fingerprint);
        if let Some(unseen) = accept.iter().find(|fingerprint| !shows(fingerprint)) {
            let why = format!("it has no key {}", unseen.escape_debug());
            return Err(Error::new(ErrorKind::Refused, operation(), why).hint("nothing was added"));
        }
        // What is known already needs no second line.
        let mut new = seen.to_take_up();
        new.retain(|key| accept.contains(&key.fingerprint()));
        if !new.is_empty() && !dry_run {
            let file = known_hosts.ok_or_else(|| {
                Error::new(
                    ErrorKind::Usage,
                    operation(),
                    "known_hosts, to which its keys are added, is missing",
                )
            })?;
            self.trust_host(&remote, &new, &file)?;
        }
        Ok(TrustedHost {
            host: remote.known_hosts_name(),
            keys: seen.shown(),
            signed: seen.signed,
            added: new.into_iter().map(|key| key.with_comment("").to_string()).collect(),
            report,
        })
    }

    async fn certified(&self, asked: CertifyKey) -> Result<CertifiedKey> {
        let usual = CertifyOptions::new(asked.bearer, asked.names);
        let options = CertifyOptions {
            good_for: asked.good_for.unwrap_or(usual.good_for),
            id: asked.id,
            from: asked.from,
            command: asked.command,
            permits: asked.permits,
            by_agent: asked.agent,
            ..usual
        };
        if asked.dry_run {
            let terms = self.may_certify_key(&asked.key, &options)?;
            let until = terms.at + terms.good_for;
            return Ok(CertifiedKey {
                names: terms.names,
                id: terms.id,
                until,
                path: None,
                certificate: None,
                serial: None,
                trusted_by: None,
            });
        }
        let passphrase = secret(asked.passphrase_file.as_deref())?;
        let (certificate, path) =
            self.certify_key(&asked.authority, passphrase.as_ref(), &asked.key, &options).await?;
        Ok(CertifiedKey {
            names: certificate.names().to_vec(),
            id: certificate.id().to_owned(),
            until: certificate.before().unwrap_or_default(),
            path: Some(path),
            serial: Some(certificate.serial()),
            trusted_by: Some(certificate.trusted_by()),
            certificate: Some(certificate.to_string()),
        })
    }

    fn records(&self, asked: &SshfpOf) -> Result<SshfpRecords> {
        let read = |key: &String| line_or_file(key)?.parse::<PublicKey>().map_err(no_public_key);
        self.sshfp_records(&asked.name, &asked.keys.iter().map(read).collect::<Result<Vec<_>>>()?)
    }

    fn issued(&self, asked: &IssuedBy) -> Result<IssuedCertificates> {
        Ok(IssuedCertificates { issued: self.issued_certificates(&asked.authority)? })
    }
}

/// The request read, the verb called, the answer written.
async fn answered<Q: DeserializeOwned, A: Serialize>(
    operation: &str,
    request: &str,
    verb: impl AsyncFnOnce(Q) -> Result<A>,
) -> Result<String> {
    written(&verb(understood(&format!("the request of {operation}"), request)?).await?)
}

fn secret(file: Option<&Path>) -> Result<Option<Secret>> {
    file.map(read_secret_file).transpose()
}

async fn listed(asked: AgentKeys) -> Result<HeldKeys> {
    held(&mut SshAgent::open(&asked.agent).await?).await
}

async fn added(asked: AddAgentKey) -> Result<HeldKeys> {
    let mut agent = SshAgent::open(&asked.agent).await?;
    let key = SecretKey::load(&asked.key, secret(asked.passphrase_file.as_deref())?.as_ref())?;
    let lifetime = asked.lifetime.map(|span| span.as_duration());
    if !asked.dry_run {
        agent.add(&key, &AgentTerms { lifetime, confirm: asked.confirm }).await?;
    }
    held(&mut agent).await
}

async fn removed(asked: RemoveAgentKey) -> Result<HeldKeys> {
    let key: PublicKey = line_or_file(&asked.key)?.parse().map_err(no_public_key)?;
    let mut agent = SshAgent::open(&asked.agent).await?;
    if !asked.dry_run {
        agent.remove(&key).await?;
    }
    held(&mut agent).await
}

async fn held(agent: &mut SshAgent) -> Result<HeldKeys> {
    Ok(HeldKeys { keys: agent.list().await?.iter().map(HeldByAgent::from).collect() })
}

fn no_public_key(why: String) -> Error {
    Error::new(ErrorKind::Usage, "read a public key", why)
}
