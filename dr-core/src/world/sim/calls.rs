//! What can go wrong with a call, and the one place where it does.

use std::future::pending;

use super::{SimWorld, State};

/// What goes wrong with one call of a process.
///
/// ```
/// use dr_core::world::sim::{Fault, SimWorld};
/// let sim = SimWorld::new();
/// sim.fault(0, Fault::LoseReply);
/// assert_eq!(sim.calls(), 0, "it strikes at the first call");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The other side says no, and has done nothing.
    Refuse,
    /// The request is lost, so nothing happens, and no reply comes.
    LoseRequest,
    /// It happens, and the reply is lost.
    LoseReply,
    /// The process dies before the call has any effect.
    CrashBefore,
    /// The process dies after the call has had its effect.
    CrashAfter,
    /// The process dies in the middle of writing to the disk, and half of what it wrote is there. A call that writes nothing to
    /// the disk is not made at all.
    Tear,
}

impl Fault {
    /// Every fault.
    ///
    /// ```
    /// use dr_core::world::sim::Fault;
    /// assert_eq!(Fault::all().filter(|fault| fault.is_crash()).count(), 3);
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        use Fault::{CrashAfter, CrashBefore, LoseReply, LoseRequest, Refuse, Tear};
        [Refuse, LoseRequest, LoseReply, CrashBefore, CrashAfter, Tear].into_iter()
    }

    /// Whether the process dies of it.
    #[must_use]
    pub fn is_crash(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter | Self::Tear)
    }
}

pub(super) type Hook = Box<dyn FnOnce(&SimWorld) + Send>;

/// One process, and its view of the world: all the traits are on it.
pub(super) struct Process {
    pub(super) sim: SimWorld,
    pub(super) incarnation: u64,
}

/// What became of a call.
pub(super) enum Got<T> {
    /// It was made, and this is the reply.
    Reply(T),
    /// It was not made: the other side refused it or cannot be reached.
    Refused,
    /// No reply came.
    Lost,
}

impl Process {
    pub(super) fn new(sim: SimWorld, incarnation: u64) -> Self {
        Self { sim, incarnation }
    }

    /// Makes a call to `peer` (empty: to this machine itself).
    pub(super) async fn call<T>(
        &self,
        name: impl Into<String>,
        peer: &str,
        effect: impl FnOnce(&mut State) -> T,
    ) -> Got<T> {
        match self.begin(name.into(), peer) {
            Some(fault) => self.finish(fault, effect).await,
            None => self.never().await,
        }
    }

    /// As [`Process::call`], for writing to the disk: `tear` does half of it.
    pub(super) async fn write<T>(
        &self,
        name: &str,
        effect: impl FnOnce(&mut State) -> T,
        tear: impl FnOnce(&mut State),
    ) -> Got<T> {
        match self.begin(name.to_owned(), "") {
            Some(Some(Fault::Tear)) => {
                tear(&mut self.sim.state());
                self.die().await
            }
            Some(fault) => self.finish(fault, effect).await,
            None => self.never().await,
        }
    }

    /// Counts the call and says what goes wrong with it. None: this process is dead, or nothing will ever come back.
    #[allow(clippy::option_option, reason = "never, well, something goes wrong")]
    fn begin(&self, name: String, peer: &str) -> Option<Option<Fault>> {
        let (hook, number) = {
            let mut state = self.sim.state();
            if *self.sim.0.dead.borrow() >= self.incarnation {
                return None;
            }
            state.calls += 1;
            state.log.push(name);
            let number = state.calls;
            (state.hooks.remove(&number), number)
        };
        if let Some(hook) = hook {
            hook(&self.sim);
        }
        let mut state = self.sim.state();
        if state.mute.contains(peer) {
            return None;
        }
        let cut = state.cut.contains(peer).then_some(Fault::Refuse);
        Some(state.faults.remove(&number).or(cut))
    }

    async fn finish<T>(&self, fault: Option<Fault>, effect: impl FnOnce(&mut State) -> T) -> Got<T> {
        match fault {
            None => Got::Reply(effect(&mut self.sim.state())),
            Some(Fault::Refuse) => Got::Refused,
            Some(Fault::LoseRequest) => Got::Lost,
            Some(Fault::LoseReply) => {
                effect(&mut self.sim.state());
                Got::Lost
            }
            Some(Fault::CrashAfter) => {
                effect(&mut self.sim.state());
                self.die().await
            }
            Some(Fault::CrashBefore | Fault::Tear) => self.die().await,
        }
    }

    async fn die<T>(&self) -> Got<T> {
        self.sim.die(self.incarnation);
        self.never().await
    }

    /// The dead do not go on.
    async fn never<T>(&self) -> Got<T> {
        pending().await
    }
}
