//! A mirror that goes on: soon after every change, until it is stopped.

use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, ErrorKind, ErrorRecord, Result};
use crate::estate::{Location, SiteId};
use crate::mirror::{Options, Pace, Summary};
use crate::report::Report;
use crate::run::{Event, Outcome};
use crate::time::{Period, Tick, Timestamp};
use crate::toolkit::Toolkit;
use crate::world::{Changes, Control, World};

/// What is mirrored again and again.
///
/// ```
/// use dr_core::toolkit::Watched;
/// let watched = Watched::Site("shop".parse().unwrap());
/// assert_ne!(watched, Watched::Site("blog".parse().unwrap()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watched {
    /// One tree.
    Tree {
        /// Where the files come from. A directory of this machine tells when something changes in it, and so does one on a host by the
        /// agent there; by SFTP it is looked at from time to time.
        source: Location,
        /// Where they go.
        target: Location,
        /// What to leave out and what to allow.
        options: Box<Options>,
    },
    /// A site of the estate, from where it is home.
    Site(SiteId),
}

/// How a mirror goes on.
///
/// ```
/// use dr_core::toolkit::{MirrorWatch, Watched};
/// let watch = MirrorWatch::new(Watched::Site("shop".parse().unwrap()));
/// assert_eq!((watch.quiet.to_string(), watch.scan_every.to_string()), ("500ms".into(), "10m".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorWatch {
    /// What is mirrored.
    pub what: Watched,
    /// For so long nothing must have changed before a round begins, or the tree changes all the time.
    pub quiet: Period,
    /// A round comes at least so often: what no event told of is found then.
    pub scan_every: Period,
    /// The same where nothing tells of changes: by SFTP.
    pub poll_every: Period,
    /// Who asked for it, for the audit.
    pub by: String,
}

impl MirrorWatch {
    /// Half a second of quiet, and a full look every ten minutes, or every minute where nothing tells of changes.
    #[must_use]
    pub fn new(what: Watched) -> Self {
        Self {
            what,
            quiet: Period::from_millis(500),
            scan_every: Period::from_secs(600),
            poll_every: Period::from_secs(60),
            by: "a program".to_owned(),
        }
    }
}

/// One round of a mirror that goes on.
///
/// ```
/// # fn told(round: &dr_core::toolkit::Round) {
/// println!("{} paths created, {} behind at most", round.summary.created, round.lag);
/// # }
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took: Period,
    /// How far the target was behind when the round ended or failed: since the first change that was not across.
    pub lag: Period,
    /// What was brought across.
    pub summary: Summary,
    /// What was found.
    pub report: Report,
    /// Why it failed. It is tried again, after a pause that grows to a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorRecord>,
}

impl Toolkit {
    /// Mirrors, and goes on mirroring soon after every change until it is cancelled; `on_round` is told of each round that brought
    /// something across or failed. Rounds rest at least four times as long as they take.
    ///
    /// A target that is away, full or locked is tried again until it is back; the first round must succeed, so that a mistyped word
    /// shows at once.
    ///
    /// # Errors
    /// What kept the first round from succeeding, as [`Self::plan_mirror`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use dr_core::mirror::RelPath;
    /// use dr_core::toolkit::{MirrorWatch, Toolkit, Watched};
    /// use dr_core::world::{Control, sim::SimWorld};
    /// let (sim, control) = (SimWorld::new(), Control::silent());
    /// let (source, target) = ("root@uk:/var/www".parse().unwrap(), "root@us:/var/www".parse().unwrap());
    /// sim.put_page(&source, &RelPath::new(b"index.html").unwrap(), b"<p>");
    /// let toolkit = Toolkit::new(sim.world(), Default::default());
    /// let watch = MirrorWatch::new(Watched::Tree { source, target, options: Default::default() });
    /// let mut created = 0;
    /// toolkit.watch_mirror(&watch, &control, |round| { created += round.summary.created; control.cancel.cancel(); }).await.unwrap();
    /// assert_eq!(created, 2);
    /// # });
    /// ```
    pub async fn watch_mirror(
        &self,
        watch: &MirrorWatch,
        control: &Control,
        mut on_round: impl FnMut(&Round),
    ) -> Result<()> {
        let mut eyes = Eyes::open(&self.world, &watch.what, control).await;
        let now = || self.world.clock.read().boot;
        let mut pace = Pace::new(watch.quiet.as_duration(), watch.scan_every.as_duration(), now());
        let mut is_first = true;
        loop {
            let wait = pace.due().since(now());
            tokio::select! {
                biased;
                () = control.cancel.cancelled() => return Ok(()),
                () = eyes.see() => {
                    pace.changed(now());
                    tell_lag(&pace, now(), control);
                    continue;
                }
                () = self.world.clock.sleep(wait) => {}
            }
            pace.begun();
            let (at, began) = (self.world.clock.read().wall, now());
            let mut round = std::pin::pin!(self.round(watch, control));
            let (summary, report, done) = loop {
                tokio::select! {
                    biased;
                    done = &mut round => break done,
                    () = eyes.see() => pace.changed(now()),
                }
            };
            let ended = now();
            if control.cancel.is_cancelled() {
                return Ok(());
            }
            if done.is_ok() && eyes.open_again(&self.world, &watch.what, control).await {
                // Nobody saw what happened meanwhile.
                pace.changed(now());
            }
            let idle = if eyes.see_nothing() { watch.poll_every } else { watch.scan_every };
            pace.look_every(idle.as_duration());
            let lag = match &done {
                Ok(()) => pace.done(began, ended),
                Err(_) => {
                    pace.failed(ended);
                    pace.lag(ended)
                }
            };
            tell_lag(&pace, ended, control);
            let is_worth_telling = done.is_err() || !report.findings.is_empty() || summary_moves(&summary);
            let error = match done {
                Err(why) if is_first => return Err(why),
                done => done.err().map(|why| why.to_record()),
            };
            is_first = false;
            if is_worth_telling {
                let took = whole(ended.since(began));
                on_round(&Round { at, took, lag: whole(lag), summary, report, error });
            }
        }
    }

    async fn round(&self, watch: &MirrorWatch, control: &Control) -> (Summary, Report, Result<()>) {
        let mut report = Report::new("mirror", self.world.clock.read().wall);
        let planned = match &watch.what {
            Watched::Tree { source, target, options } => {
                self.plan_mirror(source, target, options, None, control).await
            }
            Watched::Site(site) => self.plan_mirror_site(site, control).await,
        };
        let planned = match planned {
            Ok(planned) => planned,
            Err(why) => return (Summary::default(), report, Err(why)),
        };
        let summary = planned.summary;
        report.absorb(planned.report.clone());
        if planned.plan.is_empty() {
            self.agree_mirror(&planned, control).await;
            return (summary, report, Ok(()));
        }
        let applied = self.apply(&planned.plan, &watch.by, control).await;
        self.agree_mirror(&planned, control).await;
        match applied {
            Err(why) => (Summary::default(), report, Err(why)),
            Ok(applied) => {
                report.absorb(applied.report);
                let failed = applied.lines.into_iter().rev().find_map(|line| match line.event {
                    Event::StepFailed { error, .. } => {
                        Some(Error::new(error.kind, error.operation, error.message))
                    }
                    _ => None,
                });
                let done = match applied.outcome {
                    Outcome::New | Outcome::NewDegraded => Ok(()),
                    _ => Err(failed
                        .unwrap_or_else(|| Error::new(ErrorKind::OutcomeUnknown, "mirror", "it stopped"))),
                };
                (summary, report, done)
            }
        }
    }
}

fn summary_moves(summary: &Summary) -> bool {
    summary.created + summary.updated + summary.metadata_only + summary.deleted > 0
}

/// What tells of changes in the source.
enum Eyes {
    Open(Changes),
    /// They saw once, or could not be opened: it is worth another try.
    Lost,
    /// Nothing ever tells.
    Blind,
}

impl Eyes {
    async fn open(world: &World, what: &Watched, control: &Control) -> Self {
        let Watched::Tree { source, options, .. } = what else { return Self::Blind };
        let dim = |why: &str| {
            let message = format!("changes in {source} do not all show, full looks find them: {why}");
            control.emit(&Event::Note { message });
        };
        let watched = async { world.endpoints.open(source, control).await?.watch(&options.exclude).await };
        match watched.await {
            Ok(None) => Self::Blind,
            Ok(Some(changes)) => {
                if changes.is_dim {
                    dim("the kernel watches no more directories; raise fs.inotify.max_user_watches (sysctl)");
                }
                Self::Open(changes)
            }
            // A host that is away is told of by the round.
            Err(why) if why.kind() == ErrorKind::Unreachable => Self::Lost,
            Err(why) => {
                dim(&why.to_string());
                Self::Blind
            }
        }
    }

    /// Whether they see, and did not before.
    async fn open_again(&mut self, world: &World, what: &Watched, control: &Control) -> bool {
        if matches!(self, Self::Lost) {
            *self = Self::open(world, what, control).await;
            return matches!(self, Self::Open(_));
        }
        false
    }

    fn see_nothing(&self) -> bool {
        !matches!(self, Self::Open(_))
    }

    /// Waits until something changes. What happens once nothing tells any more may be a change, too.
    async fn see(&mut self) {
        let Self::Open(changes) = self else { return std::future::pending().await };
        if !changes.next().await {
            *self = Self::Lost;
        }
    }
}

fn tell_lag(pace: &Pace, now: Tick, control: &Control) {
    let lag = u64::try_from(pace.lag(now).as_millis()).unwrap_or(u64::MAX);
    control.emit(&Event::Progress { phase: "behind".into(), done: lag, total: None, unit: "ms".into() });
}

fn whole(span: Duration) -> Period {
    Period::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}
