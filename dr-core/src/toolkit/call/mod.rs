//! The verbs by name, with JSON in and out: what every other language stands on, so that all of them offer the same.

mod keys;
mod promote;
mod records;
mod words;

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MirroredSites, Settings, Toolkit, read_secret_file};
use crate::dns::{Server, ZoneSpec, canonical_set};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Location, Remote, server_address};
use crate::world::Control;
use crate::world::ssh::Access;

pub use keys::{
    AddAgentKey, AgentKeys, AskAboutKey, AuditKeys, AuditedKeys, CertifiedKey, CertifyKey, GenerateKey,
    GeneratedKey, HeldByAgent, HeldKeys, InstallCertificate, InstallKey, IssuedBy, IssuedCertificates,
    LockDown, MirrorOnly, RemoveAgentKey, RevokeKey, RotateKey, SshfpOf, SshfpRecords, TrustHost,
    TrustedHost, Unlock,
};
pub use promote::{PromoteSecondary, SecondaryPromoted};
pub use records::{ChangeRecords, RecordsChanged, WantedSet};
pub use words::{
    CheckZone, Done, Generations, MirrorSites, MirrorTrees, Mirrored, RollBack, ToolkitSettings,
};

/// A verb as every language offers it: its name, and the types of its request and its answer (docs/schema).
///
/// ```
/// use dr_core::toolkit::OPERATIONS;
/// assert!(OPERATIONS.iter().any(|operation| operation.name == "check_zone"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its name in all languages.
    pub name: &'static str,
    /// The type of its request.
    pub request: &'static str,
    /// The type of its answer.
    pub answer: &'static str,
    /// What it does.
    pub summary: &'static str,
}

/// Every verb that can be called by name.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        name: "check_zone",
        request: "CheckZone",
        answer: "Report",
        summary: "ask every name server of a zone whether it would send visitors to the right host",
    },
    Operation {
        name: "change_records",
        request: "ChangeRecords",
        answer: "RecordsChanged",
        summary: "change record sets of zones, and wait until every name server shows it",
    },
    Operation {
        name: "promote_secondary",
        request: "PromoteSecondary",
        answer: "SecondaryPromoted",
        summary: "let a secondary name server take the primary's place: checks, configuration, and who follows",
    },
    Operation {
        name: "mirror",
        request: "MirrorTrees",
        answer: "Mirrored",
        summary: "make a tree like another, here or on a host",
    },
    Operation {
        name: "mirror_sites",
        request: "MirrorSites",
        answer: "MirroredSites",
        summary: "mirror the sites of the estate, each from its home to its standby",
    },
    Operation {
        name: "verify_mirror",
        request: "MirrorTrees",
        answer: "Report",
        summary: "read two trees to the last byte and tell what differs",
    },
    Operation {
        name: "generations",
        request: "RollBack",
        answer: "Generations",
        summary: "the former states of a tree that are kept",
    },
    Operation {
        name: "roll_back_mirror",
        request: "RollBack",
        answer: "Generation",
        summary: "make a former state of a tree the live one",
    },
    Operation {
        name: "generate_key",
        request: "GenerateKey",
        answer: "GeneratedKey",
        summary: "make a key pair; nothing is ever overwritten",
    },
    Operation {
        name: "install_key",
        request: "InstallKey",
        answer: "Done",
        summary: "put a public key into an account's authorized_keys, and prove that it opens",
    },
    Operation {
        name: "verify_key",
        request: "AskAboutKey",
        answer: "Report",
        summary: "log in afresh with a key and nothing else",
    },
    Operation {
        name: "probe_key",
        request: "AskAboutKey",
        answer: "Report",
        summary: "ask a host whether it would let a public key in",
    },
    Operation {
        name: "audit_keys",
        request: "AuditKeys",
        answer: "AuditedKeys",
        summary: "who can log in as whom, where, by which key, and what is wrong with that",
    },
    Operation {
        name: "rotate_key",
        request: "RotateKey",
        answer: "Done",
        summary: "put a new key into the place of an old one, everywhere or nowhere",
    },
    Operation {
        name: "revoke_key",
        request: "RevokeKey",
        answer: "Done",
        summary: "take a key, or a certificate, out everywhere",
    },
    Operation {
        name: "lock_down",
        request: "LockDown",
        answer: "Done",
        summary: "switch passwords off on a host, once every account is proved to open by a key",
    },
    Operation {
        name: "unlock",
        request: "Unlock",
        answer: "Done",
        summary: "take what lock_down wrote out again",
    },
    Operation {
        name: "trust_host",
        request: "TrustHost",
        answer: "TrustedHost",
        summary: "show the keys by which a host proves itself, and take up those that were compared",
    },
    Operation {
        name: "sshfp_records",
        request: "SshfpOf",
        answer: "SshfpRecords",
        summary: "the SSHFP records of host keys",
    },
    Operation {
        name: "certify_key",
        request: "CertifyKey",
        answer: "CertifiedKey",
        summary: "sign a certificate for a user's or a host's key",
    },
    Operation {
        name: "issued_certificates",
        request: "IssuedBy",
        answer: "IssuedCertificates",
        summary: "what an authority has signed",
    },
    Operation {
        name: "install_certificate",
        request: "InstallCertificate",
        answer: "Done",
        summary: "bring a host its certificate, or the authority whose users it is to let in",
    },
    Operation {
        name: "list_agent_keys",
        request: "AgentKeys",
        answer: "HeldKeys",
        summary: "the keys that an ssh-agent holds",
    },
    Operation {
        name: "add_agent_key",
        request: "AddAgentKey",
        answer: "HeldKeys",
        summary: "give an ssh-agent a private key",
    },
    Operation {
        name: "remove_agent_key",
        request: "RemoveAgentKey",
        answer: "HeldKeys",
        summary: "let an ssh-agent forget a key",
    },
];

impl Toolkit {
    /// A toolkit over the real world, from [`ToolkitSettings`] in JSON; an empty text stands for none.
    ///
    /// ```
    /// use dr_core::toolkit::Toolkit;
    /// assert!(Toolkit::open_json("").is_ok());
    /// let error = Toolkit::open_json(r#"{"estate": {"polici": {}}}"#).unwrap_err();
    /// assert!(error.to_string().ends_with("polici: unknown key; did you mean 'policy'?"));
    /// ```
    pub fn open_json(settings: &str) -> Result<Self> {
        let words: ToolkitSettings = match settings {
            "" => ToolkitSettings::default(),
            text => understood("the settings", text)?,
        };
        let estate = match &words.estate {
            Some(estate) => crate::Estate::from_json(&estate.to_string())?,
            None => crate::Estate::default(),
        };
        let read = |(remote, file): (Remote, PathBuf)| Ok((remote, read_secret_file(&file)?));
        let access = Access {
            passwords: words.password_files.into_iter().map(read).collect::<Result<_>>()?,
            identities: words.identities,
            known_hosts: words.known_hosts,
            use_agent: words.agent,
            ..Access::default()
        };
        let journal = words.journal.unwrap_or_default();
        Self::open(Settings { estate, journal, access, agents: words.agents, ..Settings::default() })
    }

    /// Calls a verb by its name in [`OPERATIONS`]: a request in JSON goes in, an answer in JSON comes out.
    ///
    /// ```
    /// use dr_core::toolkit::{Toolkit, blocking};
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    /// let control = Control::silent();
    /// let error = blocking(toolkit.call_json("chek_zone", "{}", &control), &control, || true).unwrap_err();
    /// assert!(error.advice().unwrap().starts_with("there are check_zone, change_records, "));
    /// ```
    pub async fn call_json(&self, operation: &str, request: &str, control: &Control) -> Result<String> {
        let what = || format!("the request of {operation}");
        match operation {
            "check_zone" => {
                let spec = self.zone_spec(understood(&what(), request)?)?;
                written(&self.check_zone(&spec, control).await?)
            }
            "change_records" => written(&self.change_records(understood(&what(), request)?, control).await?),
            "promote_secondary" => {
                written(&self.promote_secondary(understood(&what(), request)?, control).await?)
            }
            "mirror" => written(&self.mirror_trees(understood(&what(), request)?, control).await?),
            "mirror_sites" => written(&self.mirror_named(understood(&what(), request)?, control).await?),
            "verify_mirror" => {
                let request: MirrorTrees = understood(&what(), request)?;
                let (source, target) = (place(&request.source)?, place(&request.target)?);
                let options = request.options(self.estate.policy.max_delete);
                written(&self.verify_mirror(&source, &target, &options, control).await?)
            }
            "generations" => {
                let request: RollBack = understood(&what(), request)?;
                let generations = self.generations(&place(&request.target)?, control).await?;
                written(&Generations { generations })
            }
            "roll_back_mirror" => {
                let request: RollBack = understood(&what(), request)?;
                written(&self.roll_back_mirror(&place(&request.target)?, request.to, control).await?)
            }
            _ => {
                if let Some(answer) = self.call_keys(operation, request, control).await {
                    return answer;
                }
                let known: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
                let what = format!("call '{}'", operation.escape_debug());
                Err(Error::new(ErrorKind::Usage, what, "there is no such operation")
                    .hint(format!("there are {}", known.join(", "))))
            }
        }
    }

    fn zone_spec(&self, request: CheckZone) -> Result<ZoneSpec> {
        let operation = format!("check zone {}", request.zone);
        let usage = |why: String| Error::new(ErrorKind::Usage, operation.clone(), why);
        let mut spec = if request.servers.is_empty() {
            ZoneSpec::from_estate(&self.estate, &request.zone)?
        } else {
            ZoneSpec::new(request.zone, named_servers(&request.servers).map_err(usage)?)
        };
        spec.depth = request.depth;
        spec.parents.extend(named_servers(&request.parents).map_err(usage)?);
        if let Some(resolver) = request.resolver {
            spec.resolver = Some(server_address(&resolver).map_err(usage)?);
        }
        spec.senders.extend(request.senders);
        spec.issuers.extend(request.issuers);
        if let Some(primary) = request.primary {
            spec.primary = Some(server_address(&primary).map_err(usage)?);
        }
        if let Some(standby) = request.standby_primary {
            spec.standby_primary = Some(spec.server_called(&standby).map_err(usage)?.address);
        }
        if let Some(moving) = request.moving {
            spec.moving = moving;
        }
        spec.records.extend(request.records);
        for set in &request.expect {
            spec.expect.push(canonical_set(set, &operation)?);
        }
        Ok(spec)
    }

    async fn mirror_trees(&self, request: MirrorTrees, control: &Control) -> Result<Mirrored> {
        let (source, target) = (place(&request.source)?, place(&request.target)?);
        let options = request.options(self.estate.policy.max_delete);
        let planned = match request.dry_run {
            true => self.rehearse_mirror(&source, &target, &options, None, control).await?,
            false => self.plan_mirror(&source, &target, &options, None, control).await?,
        };
        let changed = !planned.plan.is_empty();
        let mut mirrored = Mirrored {
            changed,
            summary: planned.summary,
            report: planned.report.clone(),
            run: None,
            outcome: None,
            plan: None,
            guards: planned.guards.clone(),
        };
        if request.dry_run {
            mirrored.plan = Some(planned.plan);
        } else if !changed {
            self.agree_mirror(&planned, control).await;
        } else {
            let by = asker(request.by);
            let applied = self.apply(&planned.plan, &by, control).await?;
            mirrored.run = Some(applied.run);
            mirrored.outcome = Some(applied.outcome);
            mirrored.report.absorb(applied.report);
        }
        Ok(mirrored)
    }

    async fn mirror_named(&self, request: MirrorSites, control: &Control) -> Result<MirroredSites> {
        let sites = request.sites.unwrap_or_else(|| self.estate.mirrored_sites(request.every));
        if let Some(unknown) = sites.iter().find(|site| !self.estate.sites.contains_key(site)) {
            let why = "the estate has no such site";
            return Err(Error::new(ErrorKind::NotFound, format!("mirror site {unknown}"), why));
        }
        if request.dry_run {
            return Ok(self.rehearse_mirror_sites(&sites, control).await);
        }
        let by = asker(request.by);
        Ok(self.mirror_sites(&sites, &by, control).await)
    }
}

/// Who asked: for the journal.
fn asker(named: Option<String>) -> String {
    named.unwrap_or_else(|| "a program".to_owned())
}

fn named_servers(texts: &[String]) -> Result<Vec<Server>, String> {
    texts.iter().map(|text| text.parse()).collect()
}

fn place(text: &str) -> Result<Location> {
    text.parse().map_err(|why: String| Error::new(ErrorKind::Usage, "mirror a tree", why))
}

fn understood<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Usage, format!("understand {what}"), error.to_string()))
}

fn written(answer: &impl Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(|error| {
        Error::new(ErrorKind::Internal, "write the answer", "it cannot be written as JSON").caused_by(error)
    })
}
