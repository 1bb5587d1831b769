//! The verbs by name, with JSON in and out: what every other language stands on, so that all of them offer the same.

mod keys;
mod promote;
mod records;
mod runs;
mod seats;
mod table;
mod transfer;
mod words;

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{MirroredSites, Settings, Toolkit, WorkOffHooks, read_secret_file};
use crate::dns::{KnownNetwork, Server, ZoneSpec, canonical_set};
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
pub use runs::{ApplyPlan, BringBack, FailOver, FailoverStatus, GoOn, ListRuns, Runs};
pub use seats::{
    ListSeats, OrderSeat, SeatHistory, SeatOrder, SeatOrdered, Seats, SeatsTold, list_seats, order_seat,
    seat_history,
};
pub use table::{OPERATIONS, Operation, Shape};
pub use transfer::{TransferZone, ZoneDifference, ZoneTransferred};
pub use words::{
    CheckZone, Done, Generations, MirrorSites, MirrorTrees, Mirrored, RollBack, ToolkitSettings,
};

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
            "discover" => written(&self.discover(&understood(&what(), request)?, control).await?),
            "work_off_hooks" => {
                let request: WorkOffHooks = understood(&what(), request)?;
                let by = asker(request.by.clone());
                written(&self.work_off_hooks(&request, &by, control).await?)
            }
            "transfer_zone" => written(&self.transfer_zone(&understood(&what(), request)?, control).await?),
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
                if let Some(answer) = self.call_runs(operation, request, control).await {
                    return answer;
                }
                if let Some(answer) = seats::call_seats(operation, request).await {
                    return answer;
                }
                let known: Vec<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
                // A name of a megabyte is not repeated.
                let named: String = operation.chars().take(40).collect();
                let what = format!("call '{}'", named.escape_debug());
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
        spec.transfer_key = request.transfer_key.or(spec.transfer_key);
        spec.status.extend(request.status);
        let known = request.networks.into_iter();
        spec.networks.extend(known.map(|(network, whereabouts)| KnownNetwork { network, whereabouts }));
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

/// The longest request: a plan that names a million files has a fifth of that.
const REQUEST_BYTES_MAX: usize = 1 << 30;

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
    not_too_long(what, text)?;
    serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::Usage, format!("understand {what}"), error.to_string()))
}

/// Nothing is read, or copied, that is too long to be a request.
pub(super) fn not_too_long(what: &str, text: &str) -> Result<()> {
    if text.len() <= REQUEST_BYTES_MAX {
        return Ok(());
    }
    let why = format!("it has {} bytes; {REQUEST_BYTES_MAX} is the most", text.len());
    Err(Error::new(ErrorKind::Usage, format!("understand {what}"), why))
}

fn written(answer: &impl Serialize) -> Result<String> {
    serde_json::to_string(answer).map_err(|error| {
        Error::new(ErrorKind::Internal, "write the answer", "it cannot be written as JSON").caused_by(error)
    })
}
