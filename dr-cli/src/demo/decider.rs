//! The decider: receives the observers' votes over loopback, counts them, decides.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dr_core::failover::{Decision, Guard, Mode, Panel, Picture, Received, Tally, Vote, decide};
use dr_core::world::{Clock, Control};
use dr_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::embedded::Secret;

/// How long the observers may take to agree.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest line an observer may send.
const LINE_BYTES_MAX: u64 = 4096;

/// Collects votes while it lives.
pub(super) struct Decider {
    pub(super) address: SocketAddr,
    picture: Arc<Mutex<Picture>>,
    news: Arc<Notify>,
    clock: Arc<dyn Clock>,
    listening: JoinHandle<()>,
}

/// What came of waiting: when the quorum was there, and when it was decided.
pub(super) struct Decided {
    pub(super) detected: Instant,
    pub(super) decided: Instant,
    pub(super) why: String,
}

impl Decider {
    /// Listens on a loopback port for observers that know the token.
    pub(super) async fn listen(panel: Panel, token: &Secret, clock: Arc<dyn Clock>) -> Result<Self> {
        let failed = |why| Error::io("listen for the observers' votes", why);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let picture = Arc::new(Mutex::new(Picture::new(panel, Mode::Auto)));
        let news = Arc::new(Notify::new());
        let receiver = Receiver { picture: picture.clone(), news: news.clone(), clock: clock.clone() };
        let token = token.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(receiver.clone().take_votes(stream, token.clone()));
            }
        });
        Ok(Self { address, picture, news, clock, listening })
    }

    /// Whether every observer sees the site up.
    pub(super) fn all_up(&self) -> bool {
        let picture = self.lock();
        let tally = Tally::of(&picture.panel, &picture.votes, self.clock.read().boot);
        tally.up.len() == picture.panel.len()
    }

    /// Waits until every observer sees the site up, the control says stop, or patience is at its end.
    pub(super) async fn until_all_up(&self, control: &Control) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.all_up() {
            in_time(deadline, "not all observers see the site up")?;
            control.run("wait for the observers", self.something_new()).await?;
        }
        Ok(())
    }

    /// Waits until a quorum sees the site down, asks the guards, and decides to move it.
    pub(super) async fn until_move<F, G>(&self, control: &Control, guards: F) -> Result<Decided>
    where
        F: Fn() -> G,
        G: Future<Output = Result<Vec<Guard>>>,
    {
        let deadline = Instant::now() + PATIENCE;
        loop {
            in_time(deadline, "no quorum of observers saw the site down")?;
            let now = self.clock.read().boot;
            let is_down = {
                let picture = self.lock();
                Tally::of(&picture.panel, &picture.votes, now).is_down()
            };
            if is_down {
                let detected = Instant::now();
                let guards = guards().await?;
                let mut picture = self.lock().clone();
                picture.guards = guards;
                match decide(&picture, self.clock.read().boot) {
                    Decision::Move { why } => return Ok(Decided { detected, decided: Instant::now(), why }),
                    Decision::Blocked { by } => {
                        let why: Vec<&str> = by.iter().map(|guard| guard.explanation.as_str()).collect();
                        return Err(Error::new(ErrorKind::Refused, "fail over", why.join("; ")));
                    }
                    Decision::Stay { .. } | Decision::Ask { .. } => {}
                }
            }
            control.run("wait for the observers", self.something_new()).await?;
        }
    }

    async fn something_new(&self) -> Result<()> {
        // Votes also expire without any news.
        let _ = tokio::time::timeout(Duration::from_millis(100), self.news.notified()).await;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Decider {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

#[derive(Clone)]
struct Receiver {
    picture: Arc<Mutex<Picture>>,
    news: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

impl Receiver {
    /// One observer: its token, then one vote a line. Whoever says anything else is not listened to any longer.
    async fn take_votes(self, stream: TcpStream, token: Secret) {
        let mut reader = BufReader::new(stream);
        if read_line(&mut reader).await.as_deref() != Some(token.reveal()) {
            return;
        }
        while let Some(line) = read_line(&mut reader).await {
            let Ok(vote) = serde_json::from_str::<Vote>(&line) else { return };
            let received = Received { vote, at: self.clock.read().boot };
            {
                let mut picture = self.picture.lock().unwrap_or_else(PoisonError::into_inner);
                // Of each observer only the newest counts; the others need not be kept.
                let newer = |old: &Received| {
                    old.vote.observer != received.vote.observer || old.vote.sequence > received.vote.sequence
                };
                picture.votes.retain(newer);
                picture.votes.push(received);
            }
            self.news.notify_one();
        }
    }
}

/// An observer that was killed, or a guard that never answers, must not hold the story for ever.
fn in_time(deadline: Instant, missing: &str) -> Result<()> {
    if Instant::now() < deadline {
        return Ok(());
    }
    let message = format!("{missing} within {} s", PATIENCE.as_secs());
    Err(Error::new(ErrorKind::Timeout, "wait for the observers", message)
        .hint("run dr demo again, where fewer other things run"))
}

async fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    let read = reader.take(LINE_BYTES_MAX).read_line(&mut line).await.ok()?;
    (read > 0 && line.ends_with('\n')).then(|| line.trim_end().to_owned())
}
