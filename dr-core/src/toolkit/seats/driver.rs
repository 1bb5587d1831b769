//! One seat, driven.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::services::{May, Wanted, attend};
use super::work::{Work, Works};
use super::{Deeds, News};
use crate::estate::Epoch;
use crate::failover::{Action, Charter, Held, Input, Kept, Lease, Mark, Order, Seat, Swap, step};
use crate::time::Tick;
use crate::world::{Cancel, Clock, Reading};

/// So many things may wait to be told; whoever has more to say waits.
const QUEUE: usize = 64;
/// No two wakings are closer together than this, whatever the seat says.
const REST_MIN: Duration = Duration::from_millis(1);

/// What a driver is told.
pub(super) enum Told {
    Input(Input),
    /// A person's word, and where to say why it is not followed.
    Order(Order, oneshot::Sender<Result<String, String>>),
    /// The services have stopped, as they were told by this number.
    Stopped(u64),
}

/// What a seat looks like from outside.
///
/// ```
/// use dr_core::{Tick, failover::{Kept, Mark, Seat}, toolkit::Shown};
/// let seat = Seat::start(Kept::default(), Mark(1), Tick::default());
/// let shown = Shown { at: Tick::default(), seat, report: None, said: "nothing yet".into() };
/// assert!(shown.report.is_none(), "that it has stopped is said only when it has");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When, by the clock of the host.
    pub at: Tick,
    /// The seat.
    pub seat: Seat,
    /// What the other host may be told: only once the services have stopped.
    pub report: Option<Input>,
    /// Where it stands, in words.
    pub said: String,
}

/// How others talk to a driver: [`Driver::new`] gives it.
///
/// ```
/// # use dr_core::toolkit::SeatHandle;
/// fn phase_of(handle: &SeatHandle) -> dr_core::failover::Phase {
///     handle.shown().seat.told
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SeatHandle {
    told: mpsc::Sender<Told>,
    shown: watch::Receiver<Shown>,
}

impl SeatHandle {
    /// Tells it something. Lost if the driver has ended.
    pub async fn tell(&self, input: Input) {
        let _ = self.told.send(Told::Input(input)).await;
    }

    /// Gives an order: what the seat says then, or why it is not followed. Some orders are followed later, and may be refused then:
    /// [`News::Refused`] tells.
    pub async fn order(&self, order: Order) -> Result<String, String> {
        let (send, receive) = oneshot::channel();
        let gone = || "the seat is not kept any more".to_owned();
        self.told.send(Told::Order(order, send)).await.map_err(|_| gone())?;
        receive.await.map_err(|_| gone())?
    }

    /// What it looks like now.
    #[must_use]
    pub fn shown(&self) -> Shown {
        self.shown.borrow().clone()
    }

    /// Waits until it looks otherwise; false if the driver has ended.
    pub async fn changed(&mut self) -> bool {
        self.shown.changed().await.is_ok()
    }
}

/// Drives one seat.
///
/// ```
/// # use std::sync::Arc;
/// # use dr_core::failover::{Charter, Kept, Mark};
/// # use dr_core::toolkit::{Deeds, Driver};
/// # use dr_core::world::{Cancel, clock::SystemClock};
/// async fn keep(charter: Charter, deeds: Arc<dyn Deeds>, cancel: &Cancel) {
///     let (driver, handle) = Driver::new(charter, Kept::default(), Mark(7), Arc::new(SystemClock::new()), deeds);
///     println!("{}", handle.shown().said);
///     driver.run(cancel).await;
/// }
/// ```
pub struct Driver {
    charter: Charter,
    clock: Arc<dyn Clock>,
    deeds: Arc<dyn Deeds>,
    seat: Seat,
    /// The clocks when they were looked at last.
    read: Reading,
    told: mpsc::Receiver<Told>,
    sender: mpsc::Sender<Told>,
    wanted: watch::Sender<Wanted>,
    /// The number by which the services were told to stop, when they last had.
    stopped: watch::Sender<u64>,
    shown: watch::Sender<Shown>,
    works: Works,
    /// The epoch of the lease, and since when it is known here.
    epoch: Option<(Epoch, Tick)>,
    /// When the coordinator answered last.
    answered: Option<Tick>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Driver({} on {})", self.charter.site, self.charter.me)
    }
}

impl Driver {
    /// A driver for a seat that begins with what an earlier process kept. `mark` is drawn at random, once for each process.
    #[must_use]
    pub fn new(
        charter: Charter,
        kept: Kept,
        mark: Mark,
        clock: Arc<dyn Clock>,
        deeds: Arc<dyn Deeds>,
    ) -> (Self, SeatHandle) {
        let read = clock.read();
        let seat = Seat::start(kept, mark, read.boot);
        let (sender, told) = mpsc::channel(QUEUE);
        let said = seat.explain(&charter, read.boot);
        let (shown, seen) = watch::channel(Shown { at: read.boot, seat: seat.clone(), report: None, said });
        let (wanted, stopped) = (watch::Sender::new((0, May::Untold)), watch::Sender::new(0));
        let handle = SeatHandle { told: sender.clone(), shown: seen };
        let (works, epoch, answered) = (Works::default(), None, None);
        (
            Self {
                charter,
                clock,
                deeds,
                seat,
                read,
                told,
                sender,
                wanted,
                stopped,
                shown,
                works,
                epoch,
                answered,
            },
            handle,
        )
    }

    /// Drives it until it is cancelled. Dropped, everything that is under way is given up, as by a crash: the services stop at the
    /// time they were told.
    pub async fn run(mut self, cancel: &Cancel) {
        let (wanted, told) = (self.wanted.subscribe(), self.sender.clone());
        self.works.also(attend(self.deeds.clone(), self.clock.clone(), wanted, told));
        self.take(Told::Input(Input::Wake)).await;
        loop {
            let rest = self.seat.wakes_at(&self.charter).since(self.clock.read().boot);
            let told = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                told = self.told.recv() => told,
                () = self.clock.sleep(rest.max(REST_MIN)) => Some(Told::Input(Input::Wake)),
            };
            let Some(told) = told else { return };
            self.take(told).await;
        }
    }

    async fn take(&mut self, told: Told) {
        let now = self.clock.read();
        let jumped = now.disturbance_since(&self.read).is_some_and(|found| found.jumped_us != 0);
        self.read = now;
        if jumped {
            self.step(Input::ClockJumped).await;
        }
        match told {
            Told::Input(Input::Vote { asked, .. }) if !self.may_be_up(asked) => {}
            // What they say while nobody knows who holds the site is not acted upon.
            Told::Input(Input::Guards { .. }) if self.is_silent() => {}
            Told::Input(input) => {
                if matches!(&input, Input::Read { found: Some(_), .. }) {
                    self.note_answer();
                }
                self.step(input).await;
            }
            Told::Order(order, answer) => {
                let refused = self.step(Input::Order(order)).await;
                let said = self.seat.explain(&self.charter, self.clock.read().boot);
                // Whoever asked may be gone.
                let _ = answer.send(if refused.is_empty() { Ok(said) } else { Err(refused.join("; ")) });
            }
            Told::Stopped(number) => {
                self.stopped.send_replace(number);
            }
        }
        self.works.keep_wanted(&self.seat);
        self.show();
    }

    /// Whether the services of a home have had the time to come up when a vote was asked for: at the beginning of an epoch they are
    /// seen down because they are being started, and a site that was just handed over must not be taken back for that.
    fn may_be_up(&self, asked: Tick) -> bool {
        let grace = self.charter.terms.take().as_duration();
        self.epoch.is_some_and(|(_, since)| asked.0 >= since.0.saturating_add(grace))
    }

    /// Whether the coordinator has not answered for so long that a home has stopped for that alone.
    fn is_silent(&self) -> bool {
        let now = self.clock.read().boot;
        self.answered.is_some_and(|last| now.since(last) > self.charter.terms.hold().as_duration())
    }

    /// When it answers again, the home has the time to come up again, too: what was said of it meanwhile is forgotten.
    fn note_answer(&mut self) {
        let now = self.clock.read().boot;
        if self.is_silent() {
            self.seat.votes.clear();
            if let Some((_, since)) = &mut self.epoch {
                *since = now;
            }
        }
        self.answered = Some(now);
    }

    fn note_epoch(&mut self) {
        let now = self.seat.lease().map(|lease| lease.epoch);
        if let Some(epoch) = now.filter(|epoch| self.epoch.is_none_or(|(known, _)| known != *epoch)) {
            self.epoch = Some((epoch, self.clock.read().boot));
        }
    }

    /// Tells the seat, and does what it asks for. Gives what it refuses.
    async fn step(&mut self, input: Input) -> Vec<String> {
        let mut refused = vec![];
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let (seat, actions) = step(self.seat.clone(), &self.charter, self.clock.read().boot, input);
            self.seat = seat;
            self.note_epoch();
            for action in actions {
                match action {
                    Action::Remember(kept) => match self.deeds.remember(&kept).await {
                        Ok(()) => next = Some(Input::Remembered(true)),
                        Err(why) => {
                            self.trouble("write down what must be remembered", &why);
                            next = Some(Input::Remembered(false));
                            // What is not durable is followed by nothing.
                            break;
                        }
                    },
                    Action::Refuse(why) => {
                        self.deeds.tell(News::Refused { why: why.clone() });
                        refused.push(why);
                    }
                    action => self.act(action),
                }
            }
        }
        refused
    }

    fn act(&mut self, action: Action) {
        let deeds = self.deeds.clone();
        match action {
            // Those are done above, in their order.
            Action::Remember(_) | Action::Refuse(_) => {}
            Action::Read { turn } => {
                self.answer(async move { Input::Read { turn, found: deeds.lease().await.ok().map(Held) } });
            }
            Action::Swap { turn, from, to } => self.swap(turn, from, to),
            Action::Serve { epoch, until } => self.services(May::Serve(epoch, until)),
            Action::StandDown => self.services(May::Stop),
            Action::LookAtGuards => {
                let asked = self.clock.read().boot;
                self.work(Work::Guards, "ask the guards", false, async move {
                    deeds.guards().await.map(|guards| Some(Input::Guards { guards, asked }))
                });
            }
            Action::StepDown { epoch } => {
                self.work(Work::StepDown(epoch), "tell the other host to stop", false, async move {
                    deeds.ask_to_step_down(epoch).await.map(|()| None)
                });
            }
            Action::MirrorLast { turn } => {
                let epoch = self.seat.kept.standing.epoch;
                self.work(Work::MirrorLast(turn), "mirror a last time", true, async move {
                    deeds.mirror_last(epoch).await.map(|whole| Some(Input::Mirrored { turn, whole }))
                });
            }
            Action::Apply { epoch, from } => {
                self.work(Work::Apply(epoch), "carry out the plan", false, async move {
                    deeds.apply(epoch, &from).await.map(|done| Some(Input::Applied { epoch, done }))
                });
            }
            Action::Quarantine { epoch } => {
                let doing = "put aside what this host alone has";
                self.work(Work::PutAside(epoch), doing, true, async move {
                    deeds.put_aside(epoch).await.map(|()| Some(Input::Quarantined { epoch }))
                });
            }
            Action::Rehearse { epoch } => {
                self.work(Work::Rehearse, "rehearse the plan", false, async move {
                    deeds.rehearse(epoch).await.map(|()| Some(Input::Rehearsed))
                });
            }
            Action::Tell(phase) => {
                let said = self.seat.explain(&self.charter, self.clock.read().boot);
                self.deeds.tell(News::Phase { phase, said });
            }
        }
    }

    fn swap(&mut self, turn: u64, from: Option<Lease>, to: Lease) {
        let deeds = self.deeds.clone();
        self.answer(async move {
            // Whatever went wrong: it may have been done.
            let outcome = deeds.swap_lease(from.as_ref(), &to).await.unwrap_or(Swap::Unknown);
            Input::Swapped { turn, outcome }
        });
    }

    /// Asks the coordinator; an answer carries the number of its question, and none is waited for longer than it can matter.
    fn answer(&mut self, asking: impl Future<Output = Input> + Send + 'static) {
        let (sender, clock) = (self.sender.clone(), self.clock.clone());
        let patience = self.charter.terms.take().as_duration();
        self.works.also(async move {
            tokio::select! {
                biased;
                input = asking => { let _ = sender.send(Told::Input(input)).await; }
                () = clock.sleep(patience) => {}
            }
        });
    }

    fn work<F>(&mut self, work: Work, doing: &'static str, when_stopped: bool, task: F)
    where
        F: Future<Output = crate::error::Result<Option<Input>>> + Send + 'static,
    {
        let (sender, deeds) = (self.sender.clone(), self.deeds.clone());
        let (number, mut stopped) = (self.wanted.borrow().0, self.stopped.subscribe());
        // A mirror that has failed has not landed; everything else is asked for again.
        let failed = match work {
            Work::MirrorLast(turn) => Some(Input::Mirrored { turn, whole: false }),
            Work::Rehearse => Some(Input::Rehearsed),
            _ => None,
        };
        self.works.begin(work, async move {
            if when_stopped && stopped.wait_for(|there| *there == number).await.is_err() {
                return;
            }
            let input = match task.await {
                Ok(input) => input,
                Err(why) => {
                    deeds.tell(News::Trouble { doing: doing.to_owned(), why: why.to_string() });
                    failed
                }
            };
            if let Some(input) = input {
                let _ = sender.send(Told::Input(input)).await;
            }
        });
    }

    fn services(&self, may: May) {
        self.wanted.send_modify(|wanted| *wanted = (wanted.0 + 1, may));
    }

    fn trouble(&self, doing: &str, why: &crate::error::Error) {
        self.deeds.tell(News::Trouble { doing: doing.to_owned(), why: why.to_string() });
    }

    fn show(&self) {
        let has_stopped = {
            let wanted = self.wanted.borrow();
            wanted.1 == May::Stop && wanted.0 == *self.stopped.borrow()
        };
        let at = self.clock.read().boot;
        let shown = Shown {
            at,
            report: self.seat.report().filter(|_| has_stopped),
            said: self.seat.explain(&self.charter, at),
            seat: self.seat.clone(),
        };
        self.shown.send_replace(shown);
    }
}
