//! What a seat asks for, done on a real host.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::hear::PeerAsk;
use super::history::History;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Epoch, HostId, Services, SiteId};
use crate::failover::{
    Charter, Guard, GuardName, HeldBack, Kept, Lease, Phase, Role, Signed, Stage, Standing, Statement, Swap,
    Times, Until,
};
use crate::report::code;
use crate::run::{Outcome, RunId};
use crate::toolkit::seats::{Deeds, News};
use crate::toolkit::{FailoverOptions, Toolkit};
use crate::world::seat_file::{SeatFile, replace_durably};
use crate::world::ssh::{SecretKey, sign};
use crate::world::talk::Neighbour;
use crate::world::warden::{Charge, Warden};
use crate::world::{Cancel, Control};

/// How long the command may take that says whether this host could serve.
const CHECK_WITHIN: Duration = Duration::from_secs(10);

/// One site on this host.
pub(super) struct Hands {
    pub(super) toolkit: Toolkit,
    pub(super) charter: Charter,
    pub(super) services: Services,
    pub(super) file: SeatFile,
    /// What mirrors that want to land here are judged by.
    pub(super) standing: PathBuf,
    /// What people are told by who come without this agent.
    pub(super) held: PathBuf,
    pub(super) directory: PathBuf,
    pub(super) warden: Warden,
    pub(super) other: Option<Arc<Neighbour>>,
    pub(super) key: Arc<SecretKey>,
    pub(super) history: Arc<History>,
    /// What a move rests on, for whoever asks the journal afterwards.
    pub(super) grounds: Mutex<(Vec<Guard>, Option<String>)>,
}

impl Hands {
    fn charge(&self, epoch: Epoch) -> Charge {
        Charge {
            site: self.charter.site.clone(),
            epoch,
            until: None,
            services: self.services.clone(),
            within: Times::from(self.charter.terms).stop,
        }
    }

    /// What the command says that knows whether this host could serve; none if there is none.
    async fn could_serve(&self) -> Option<Guard> {
        let (program, arguments) = self.services.check.split_first()?;
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env("DR_SITE", self.charter.site.as_str()).kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        let (passed, said) = match tokio::time::timeout(CHECK_WITHIN, command.output()).await {
            Ok(Ok(output)) if output.status.success() => (true, "it could serve".to_owned()),
            Ok(Ok(output)) => {
                let said =
                    String::from_utf8_lossy(&output.stderr).trim().chars().take(400).collect::<String>();
                (false, format!("it could not serve: {} {said}", output.status))
            }
            Ok(Err(why)) => (false, why.to_string()),
            Err(_) => (false, format!("no answer in {} s", CHECK_WITHIN.as_secs())),
        };
        Some(Guard {
            name: GuardName::StandbyHealthy,
            passed,
            explanation: format!("{}: {program} says: {said}", self.charter.me),
            code: code::FAILOVER_STANDBY_UNHEALTHY,
            evidence: std::collections::BTreeMap::new(),
        })
    }

    fn grounds(&self) -> MutexGuard<'_, (Vec<Guard>, Option<String>)> {
        self.grounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn by(&self) -> String {
        format!("the seat of {}", self.charter.me)
    }
}

/// What a host says of itself to mirrors. One that has something to put aside lets none land, of whatever epoch.
fn for_mirrors(kept: &Kept) -> Standing {
    let Standing { role, epoch } = kept.standing;
    let closed = role == Role::Standby && !kept.reconciled;
    Standing { role, epoch: if closed { epoch.next() } else { epoch } }
}

/// Tells whoever comes without this agent that the site is held back here, or that it is no more.
fn leave_word(path: &Path, kept: &Kept) -> Result<()> {
    let operation = "leave word that a site is held back";
    let said = match HeldBack::of(kept) {
        Some(held) => replace_durably(path, &held.to_bytes()),
        None => std::fs::remove_file(path),
    };
    match said {
        Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(Error::io(operation, why)),
        _ => Ok(()),
    }
}

#[async_trait]
impl Deeds for Hands {
    async fn remember(&self, kept: &Kept) -> Result<()> {
        let (file, standing, kept) = (self.file.clone(), self.standing.clone(), kept.clone());
        let held = self.held.clone();
        let operation = "keep what a seat knows";
        let written = tokio::task::spawn_blocking(move || {
            // The fence first where it gets stricter; where it gets looser, what it rests on is durable first.
            let bytes = for_mirrors(&kept).to_bytes();
            let fence = || {
                leave_word(&held, &kept)?;
                replace_durably(&standing, &bytes).map_err(|why| Error::io(operation, why))
            };
            if kept.reconciled {
                file.write(&kept)?;
                return fence();
            }
            fence()?;
            file.write(&kept)
        });
        written.await.map_err(|why| Error::new(ErrorKind::Internal, operation, why.to_string()))?
    }

    async fn lease(&self) -> Result<Option<Lease>> {
        self.toolkit.world.coordinator.lease(&self.charter.site).await
    }

    async fn swap_lease(&self, from: Option<&Lease>, to: &Lease) -> Result<Swap> {
        self.toolkit.world.coordinator.swap_lease(&self.charter.site, from, to).await
    }

    async fn serve(&self, epoch: Epoch, until: Until) -> Result<()> {
        self.warden.serve(&self.charge(epoch), until).await
    }

    async fn stand_down(&self) -> Result<()> {
        self.warden.stop(&self.charge(Epoch(0))).await
    }

    async fn guards(&self) -> Result<Vec<Guard>> {
        let (toolkit, site) = (self.toolkit.clone(), self.charter.site.clone());
        let asked = beside(move |control| async move { toolkit.failover_guards(&site, &control).await });
        let (asked, could_serve) = tokio::join!(asked, self.could_serve());
        let mut guards = asked?;
        // These the seat works out itself, from what it knows now.
        let own = [GuardName::HoldDown, GuardName::Quorum, GuardName::Maintenance];
        guards.retain(|guard| !own.contains(&guard.name));
        if let Some(guard) = could_serve {
            guards.retain(|other| other.name != GuardName::StandbyHealthy);
            guards.push(guard);
        }
        if !guards.iter().any(|guard| guard.name == GuardName::MirrorFresh) {
            guards.push(Guard {
                name: GuardName::MirrorFresh,
                passed: true,
                explanation: "the site is not mirrored by dr".to_owned(),
                code: code::FAILOVER_MIRROR_STALE,
                evidence: std::collections::BTreeMap::new(),
            });
        }
        self.grounds().0.clone_from(&guards);
        Ok(guards)
    }

    async fn ask_to_step_down(&self, epoch: Epoch) -> Result<()> {
        let Charter { site, me, other, .. } = &self.charter;
        let neighbour = self.other.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("ask {other} to stop"),
                "nothing says how its agent is reached",
            )
        })?;
        let nonce = super::hear::nonce()?;
        let statement = Statement::StepDown { site: site.clone(), host: me.clone(), epoch };
        let told = vec![signed(&self.key, statement, &nonce)?];
        let ask = PeerAsk { nonce, told, ..PeerAsk::default() };
        neighbour.ask(&ask.to_line(), self.charter.terms.answer().as_duration()).await.map(drop)
    }

    async fn mirror_last(&self, _epoch: Epoch) -> Result<bool> {
        let (toolkit, site, by) = (self.toolkit.clone(), self.charter.site.clone(), self.by());
        beside(move |control| async move { toolkit.mirror_last(&site, &by, &control).await }).await
    }

    async fn apply(&self, epoch: Epoch, _from: &HostId) -> Result<bool> {
        let (toolkit, by) = (self.toolkit.clone(), self.by());
        let (site, me) = (self.charter.site.clone(), self.charter.me.clone());
        let (guards, why) = self.grounds().clone();
        let applied = beside(move |control| async move {
            match begun(&toolkit, &site, epoch).await? {
                Some(run) => toolkit.resume(run, &by, &control).await,
                None => {
                    let mut plan = toolkit.plan_taken(&site, &me, epoch, &control).await?;
                    if let Some(grounds) = &mut plan.grounds {
                        (grounds.guards, grounds.why) = (guards, why);
                    }
                    toolkit.apply(&plan, &by, &control).await
                }
            }
        });
        let applied = applied.await?;
        let done = matches!(applied.outcome, Outcome::New | Outcome::NewDegraded);
        if !done {
            let said: Vec<String> =
                applied.report.findings.iter().map(|finding| finding.message.clone()).collect();
            self.tell(News::Trouble { doing: "carry out the plan".to_owned(), why: said.join("; ") });
        }
        Ok(done)
    }

    /// Everything of the site is copied aside, whatever of it the new home has too: what is missing there can be told at leisure.
    async fn put_aside(&self, epoch: Epoch) -> Result<()> {
        let aside =
            self.directory.join("aside").join(self.charter.site.as_str()).join(format!("epoch-{epoch}"));
        if aside.exists() {
            return Ok(());
        }
        let operation = format!("put aside what {} alone has", self.charter.me);
        let failed = |why| Error::io(&*operation, why);
        let begun = aside.with_extension("new");
        tokio::fs::create_dir_all(&begun).await.map_err(failed)?;
        let site = self.toolkit.estate.sites.get(&self.charter.site);
        for (number, tree) in site.iter().flat_map(|site| &site.trees).enumerate() {
            let is_standby = site.is_some_and(|site| site.standby == self.charter.me);
            let path = if is_standby { tree.standby_path() } else { &tree.path };
            if Path::new(path).exists() {
                copy(path, &begun.join(number.to_string()), &operation).await?;
            }
        }
        tokio::fs::rename(&begun, &aside).await.map_err(failed)
    }

    async fn rehearse(&self, _epoch: Epoch) -> Result<()> {
        let options =
            FailoverOptions { from: Some(self.charter.other.clone()), ..FailoverOptions::default() };
        let (toolkit, site) = (self.toolkit.clone(), self.charter.site.clone());
        let plan =
            beside(move |control| async move { toolkit.plan_failover(&site, &options, &control).await });
        let plan = plan.await?;
        let steps: Vec<&str> = plan.steps.iter().map(|step| step.title.as_str()).collect();
        self.history.note(&self.charter.site, format!("rehearsed: {}", steps.join("; ")));
        Ok(())
    }

    fn tell(&self, news: News) {
        if let News::Phase { phase: Phase::Executing { stage: Stage::Raising }, said } = &news {
            self.grounds().1 = Some(said.clone());
        }
        self.history.tell(&self.charter.site, news);
    }
}

/// The run of this epoch's plan that was begun and has not ended.
async fn begun(toolkit: &Toolkit, site: &SiteId, epoch: Epoch) -> Result<Option<RunId>> {
    let (beginning, ending) = (format!("bring the visitors of {site} "), format!(": epoch {epoch}"));
    let found = toolkit.runs().await?.into_iter().find(|run| {
        let waits = matches!(run.outcome, None | Some(Outcome::Stopped));
        waits && run.title.starts_with(&beginning) && run.title.ends_with(&ending)
    });
    Ok(found.map(|run| run.run))
}

/// Cancels when it is dropped.
struct GivenUp(Cancel);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Does something long on a thread of its own, where its future need not move between threads. Given up by whoever waits for it, it is
/// cancelled: a run stops before its next effect, and can be resumed.
async fn beside<T, F>(work: impl FnOnce(Control) -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let (control, here) = (Control::silent(), tokio::runtime::Handle::current());
    let _given_up = GivenUp(control.cancel.clone());
    let done = tokio::task::spawn_blocking(move || here.block_on(work(control))).await;
    done.map_err(|why| Error::new(ErrorKind::Internal, "work for a seat", why.to_string()))?
}

/// Copies a tree with everything that it has, and makes it durable.
async fn copy(path: &str, to: &Path, operation: &str) -> Result<()> {
    let failed = |why| Error::io(operation, why);
    let mut command = tokio::process::Command::new("cp");
    command.args(["-a", "--reflink=auto", "-T", "--", path]).arg(to).kill_on_drop(true);
    let copied = command.output().await.map_err(failed)?;
    if !copied.status.success() {
        let why = String::from_utf8_lossy(&copied.stderr).trim().to_owned();
        return Err(Error::new(ErrorKind::Io, operation, why).hint("look at the space that is left"));
    }
    let synced = tokio::process::Command::new("sync").arg("-f").arg(to).status();
    match tokio::time::timeout(Duration::from_secs(600), synced).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        _ => Err(Error::new(ErrorKind::Io, operation, "it cannot be made durable")),
    }
}

/// A statement with this host's or observer's signature, for whoever asked with this nonce.
pub(super) fn signed(key: &SecretKey, statement: Statement, nonce: &str) -> Result<Signed> {
    let signature = data_encoding::BASE64.encode(&sign(key, &statement.signed_bytes(nonce))?);
    Ok(Signed { statement, signature })
}
