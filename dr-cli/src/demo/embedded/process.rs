//! Servers as processes of their own, and their supervision.
//!
//! A child is the same program with a hidden word in its arguments. Its options come as one line of JSON on its
//! standard input, because secrets must not be in an argument list. That input then stays open: a further line
//! is new options ([`Child::update`]), and its end means that the parent is gone, by whatever death, so the
//! child goes too. What it has to say once it serves is one line of JSON on its standard output; its standard
//! error goes to a file, for the explanation when it dies.

use std::{
    fmt,
    fs::File,
    future::Future,
    io::{self, BufRead, Read, Seek, SeekFrom, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot, watch},
};

/// How much of a child's last words is repeated.
const LAST_WORDS_BYTES: u64 = 2000;
/// How long a child may take to end when it is asked to.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// A server that can run in this process or in one of its own; its options are `Self`.
pub trait Service: Serialize + DeserializeOwned + Clone + Send + 'static {
    /// What it says once it serves.
    type Ready: Serialize + DeserializeOwned + Clone + Send + Sync + fmt::Debug + 'static;
    /// Keeps it going until dropped.
    type Running: Send + 'static;

    /// Starts it; it serves when this returns.
    ///
    /// # Errors
    /// An address that is in use, a directory that cannot be made, options that make no sense.
    fn start(self) -> impl Future<Output = io::Result<(Self::Ready, Self::Running)>> + Send;

    /// Keeps what the first start picked, so that the next one comes back at the same addresses.
    fn settle(&mut self, ready: &Self::Ready);

    /// Takes over what in `options` can change while it runs; ignores the rest.
    fn update(running: &Self::Running, options: Self);
}

#[derive(Serialize, Deserialize)]
struct Announcement<R> {
    ready: R,
}

/// What the child process does, from its first instruction to its last: reads its options from standard input,
/// starts the service, writes its [`Service::Ready`] to `output`, and serves. It does not return while it
/// serves: the process exits (status 0) when the parent is gone.
///
/// # Errors
/// Where the options are not options, or the service could not start. The caller prints the error on standard
/// error and exits with a status that is not 0.
pub async fn serve<S: Service>(mut output: impl Write) -> io::Result<()> {
    let mut lines = lines_until_parent_dies();
    let Some(options) = lines.recv().await else { return Ok(()) };
    let (ready, running) = parse::<S>(&options)?.start().await?;
    let announcement = serde_json::to_string(&Announcement { ready })?;
    writeln!(output, "{announcement}")?;
    output.flush()?;
    while let Some(line) = lines.recv().await {
        S::update(&running, parse(&line)?);
    }
    Ok(())
}

fn parse<S: Service>(line: &str) -> io::Result<S> {
    // What serde says may quote a value, and some values are secrets.
    serde_json::from_str(line).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        io::Error::new(io::ErrorKind::InvalidInput, format!("the options are not as expected at {place}"))
    })
}

/// The lines on standard input. Where it ends the parent is dead, and this process exits at once, from a thread
/// of its own: however busy or stuck the rest of it is, nothing is left running.
fn lines_until_parent_dies() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
        std::process::exit(0);
    });
    receiver
}

/// How to start a child.
#[derive(Debug, Clone)]
pub struct Start {
    /// What people call it: `name server 3`.
    pub name: String,
    /// The program; [`std::env::current_exe`] for this one.
    pub program: PathBuf,
    /// Its arguments, which lead to [`serve`] there. Never a secret.
    pub arguments: Vec<String>,
    /// Where its standard error goes; appended to, so that it outlives a restart.
    pub log: PathBuf,
    /// How long it may take until it serves.
    pub ready_within: Duration,
}

/// The end of a child.
#[derive(Debug, Clone)]
pub struct Exit {
    /// As in [`Start::name`].
    pub name: String,
    /// Its process id, which may be somebody else's by now.
    pub pid: u32,
    /// When it was noticed.
    pub at: SystemTime,
    /// The signal that killed it, if one did.
    pub signal: Option<i32>,
    /// The status it exited with, if it did.
    pub status: Option<i32>,
    /// Whether this program had ended it.
    pub asked: bool,
}

impl fmt::Display for Exit {
    /// `name server 3 (pid 123) was killed by signal 9 at 12:00:01 UTC, not by this program`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {}) ", self.name, self.pid)?;
        match (self.signal, self.status) {
            (Some(signal), _) => write!(f, "was killed by signal {signal}")?,
            (None, Some(status)) => write!(f, "exited with status {status}")?,
            (None, None) => f.write_str("ended")?,
        }
        let seconds = self.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, " at {hour:02}:{minute:02}:{second:02} UTC")?;
        f.write_str(if self.asked { ", as it was told to" } else { ", not by this program" })
    }
}

/// What the one task that owns the process is told to do.
enum Order {
    /// Its end is coming and wanted.
    Expect,
    Kill,
}

/// A child process that runs the service `S`. Dropped, it is killed.
#[derive(Debug)]
pub struct Child<S: Service> {
    start: Start,
    options: S,
    ready: S::Ready,
    ends: mpsc::UnboundedSender<Exit>,
    process: Process,
}

#[derive(Debug)]
struct Process {
    pid: u32,
    stdin: ChildStdin,
    orders: mpsc::UnboundedSender<Order>,
    exit: watch::Receiver<Option<Exit>>,
}

impl<S: Service> Child<S> {
    /// Starts the process and waits until it serves. Its end, and that of every restart, is told to `ends`.
    ///
    /// # Errors
    /// Where the program cannot be run, exits instead of serving (the error repeats its last words), or takes
    /// too long.
    pub async fn start(start: Start, mut options: S, ends: mpsc::UnboundedSender<Exit>) -> io::Result<Self> {
        let (process, ready) = launch(&start, &options, &ends).await?;
        options.settle(&ready);
        Ok(Self { start, options, ready, ends, process })
    }

    /// What it said when it last became ready.
    pub fn ready(&self) -> &S::Ready {
        &self.ready
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.process.exit.borrow().clone()
    }

    /// The options it runs with and will be restarted with.
    pub fn options(&self) -> &S {
        &self.options
    }

    /// Gives it new options, of which it takes over at once what it can while it runs, and all at the next
    /// restart.
    ///
    /// # Errors
    /// Where it is dead.
    pub async fn update(&mut self, options: S) -> io::Result<()> {
        self.options = options;
        send(&mut self.process.stdin, &self.options).await
    }

    /// Kills it as a power cut would (SIGKILL), and waits until it is gone.
    pub async fn kill9(&mut self) -> Exit {
        // An order that does not arrive comes too late: it has ended already.
        let _ = self.process.orders.send(Order::Kill);
        self.ended().await
    }

    /// Ends it in peace: closes its input, and kills it if it does not heed that.
    pub async fn stop(self) -> Exit {
        let Process { pid, stdin, orders, mut exit } = self.process;
        let _ = orders.send(Order::Expect);
        drop(stdin);
        let in_peace = tokio::time::timeout(STOP_WITHIN, exit.wait_for(Option::is_some)).await.is_ok();
        if !in_peace {
            let _ = orders.send(Order::Kill);
        }
        ended(&mut exit, &self.start.name, pid).await
    }

    /// Starts it again, after [`kill9`](Self::kill9) or any other death, with the same options at the same
    /// addresses. One that still lives is killed first.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub async fn restart(&mut self) -> io::Result<()> {
        if self.exit().is_none() {
            self.kill9().await;
        }
        (self.process, self.ready) = launch(&self.start, &self.options, &self.ends).await?;
        Ok(())
    }

    async fn ended(&mut self) -> Exit {
        ended(&mut self.process.exit, &self.start.name, self.process.pid).await
    }
}

async fn ended(exit: &mut watch::Receiver<Option<Exit>>, name: &str, pid: u32) -> Exit {
    let seen = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
    // The watching task is gone only where the whole runtime is going down, which kills the child.
    seen.unwrap_or_else(|| Exit {
        name: name.to_owned(),
        pid,
        at: SystemTime::now(),
        signal: None,
        status: None,
        asked: true,
    })
}

async fn launch<S: Service>(
    start: &Start,
    options: &S,
    ends: &mpsc::UnboundedSender<Exit>,
) -> io::Result<(Process, S::Ready)> {
    let failed = |error: io::Error| {
        io::Error::new(
            error.kind(),
            format!("could not start {} ({}): {error}", start.name, start.program.display()),
        )
    };
    let log = File::options().create(true).append(true).open(&start.log).map_err(failed)?;
    let said_before = log.metadata().map_err(failed)?.len();
    let mut child = Command::new(&start.program)
        .args(&start.arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        // Ctrl-C in the terminal is for the parent, which ends its children in its own order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let pid = child.id().unwrap_or_default();
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(failed(io::Error::other("no pipes")));
    };
    // Dropping the orders kills it, so nothing is left behind on any way out of here.
    let (orders, told) = mpsc::unbounded_channel();
    let (reap, exit) = watch::channel(None);
    let (quiet, is_ready) = oneshot::channel();
    let watcher = Watcher { name: start.name.clone(), pid, ends: ends.clone(), exit: reap };
    tokio::spawn(watcher.watch(child, told, is_ready));
    let ready = async {
        send(&mut stdin, options).await?;
        announcement::<S>(stdout).await
    };
    let said = match tokio::time::timeout(start.ready_within, ready).await {
        Ok(Ok(ready)) => {
            let _ = quiet.send(());
            return Ok((Process { pid, stdin, orders, exit }, ready));
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it does not serve after {:?}", start.ready_within),
    };
    drop((orders, stdin, quiet));
    let mut exit = exit;
    ended(&mut exit, &start.name, pid).await;
    let words = last_words(&start.log, said_before);
    Err(failed(io::Error::other(if words.is_empty() { said } else { format!("{said}: {words}") })))
}

async fn send<S: Serialize>(stdin: &mut ChildStdin, options: &S) -> io::Result<()> {
    let mut line = serde_json::to_vec(options)?;
    line.push(b'\n');
    stdin.write_all(&line).await?;
    stdin.flush().await
}

/// Waits for the line that says it is ready. Others before it are not for us.
async fn announcement<S: Service>(stdout: ChildStdout) -> io::Result<S::Ready> {
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        if line.starts_with("{\"ready\":") {
            return Ok(serde_json::from_str::<Announcement<S::Ready>>(&line)?.ready);
        }
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before it served"))
}

fn last_words(log: &Path, from: u64) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(from.max(length.saturating_sub(LAST_WORDS_BYTES))))?;
        let mut words = Vec::new();
        file.take(LAST_WORDS_BYTES).read_to_end(&mut words)?;
        Ok(String::from_utf8_lossy(&words).trim().to_owned())
    };
    read().unwrap_or_default()
}

/// Owns the process: the only one that kills it and learns of its end.
struct Watcher {
    name: String,
    pid: u32,
    ends: mpsc::UnboundedSender<Exit>,
    exit: watch::Sender<Option<Exit>>,
}

impl Watcher {
    async fn watch(
        self,
        mut child: tokio::process::Child,
        mut told: mpsc::UnboundedReceiver<Order>,
        is_ready: oneshot::Receiver<()>,
    ) {
        let (mut expected, mut killed) = (false, false);
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                order = told.recv(), if !killed => {
                    expected = true;
                    // Nobody left to give orders is an order too.
                    if matches!(order, None | Some(Order::Kill)) {
                        // Whom somebody else has killed we have not.
                        if let Ok(Some(status)) = child.try_wait() {
                            break Ok(status);
                        }
                        killed = true;
                        // It fails only for a process that has ended, and then `wait` says so.
                        let _ = child.start_kill();
                    }
                }
            }
        };
        // An order may have come just before the end that it brought about; so may the drop of who gives them.
        expected |= !matches!(told.try_recv(), Err(mpsc::error::TryRecvError::Empty));
        let status = status.ok();
        // Asked to end it exits; a signal was somebody else's, even while its end was expected.
        let asked = killed || (expected && status.is_none_or(|status| status.signal().is_none()));
        let exit = self.exit_of(status, asked);
        // A child that never became ready is explained by the error of its start.
        if is_ready.await.is_ok() {
            let _ = self.ends.send(exit.clone());
        }
        self.exit.send_replace(Some(exit));
    }

    fn exit_of(&self, status: Option<ExitStatus>, asked: bool) -> Exit {
        Exit {
            name: self.name.clone(),
            pid: self.pid,
            at: SystemTime::now(),
            signal: status.and_then(|status| status.signal()),
            status: status.and_then(|status| status.code()),
            asked,
        }
    }
}
