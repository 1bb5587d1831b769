//! A line between a client and a server, made longer, narrower, or cut while they talk.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

/// What one connection may have under way in one direction: 1 Gbit/s for a quarter of a second, in pieces.
const UNDER_WAY_PIECES: usize = 512;
const PIECE_BYTES: usize = 64 << 10;

/// What the line is like. `Line::default()` is as good as none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Added to every byte's way, in each direction; a connection's first byte waits for a handshake's two ways besides.
    pub delay: Duration,
    /// Shared by all connections, in each direction.
    pub bytes_per_second: Option<u64>,
    /// Whether anything passes.
    pub state: State,
}

/// Whether anything passes a [`Line`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Everything does.
    #[default]
    Up,
    /// Nothing does, and nobody is told: connections stay, bytes wait, as in a network that loses every packet.
    BlackHole,
    /// Every connection is reset, and every new one as well.
    Reset,
}

/// A TCP proxy on 127.0.0.1 in front of one server. Dropped, it closes all its connections.
pub struct Proxy {
    addr: SocketAddr,
    line: watch::Sender<Line>,
    passed: Arc<[AtomicU64; 2]>,
    accepted: Arc<AtomicU64>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of `server`, with a line that is as good as none.
    #[must_use]
    pub fn start(server: SocketAddr) -> Self {
        // A thread with a runtime of its own: the proxy serves blocking tests and asynchronous ones, and neither
        // slows it down.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let addr = listener.local_addr().expect("its own address");
        let (line, changes) = watch::channel(Line::default());
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let passed = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
        let accepted = Arc::new(AtomicU64::new(0));
        let way = Arc::new(Way {
            server,
            changes,
            free: [Mutex::new(None), Mutex::new(None)],
            passed: Arc::clone(&passed),
            accepted: Arc::clone(&accepted),
        });
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! { () = accept(listener, way) => {}, _ = stopped => {} }
            });
        });
        Self { addr, line, passed, accepted, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes the line, also for connections there are.
    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// Cuts it (or restores it), leaving delay and rate as they are.
    pub fn set_state(&self, state: State) {
        self.line.send_modify(|line| line.state = state);
    }

    /// How many connections there were so far.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many bytes have reached the server, and how many its clients.
    #[must_use]
    pub fn passed(&self) -> (u64, u64) {
        let [up, down] = &*self.passed;
        (up.load(Ordering::Relaxed), down.load(Ordering::Relaxed))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // If it panicked, the test has seen its connections fail.
            let _ = thread.join();
        }
    }
}

struct Way {
    server: SocketAddr,
    changes: watch::Receiver<Line>,
    /// When the last byte handed over so far, in each direction, has left.
    free: [Mutex<Option<Instant>>; 2],
    passed: Arc<[AtomicU64; 2]>,
    accepted: Arc<AtomicU64>,
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(connect(client, Arc::clone(&way)))),
            // Out of file descriptors: there will be some again.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// One connection, from its handshake to its end.
async fn connect(client: TcpStream, way: Arc<Way>) {
    way.accepted.fetch_add(1, Ordering::Relaxed);
    let mut changes = way.changes.clone();
    let delay = changes.borrow().delay;
    sleep(2 * delay).await;
    let reset = changes.wait_for(|line| line.state == State::Reset);
    let open = async {
        way.passes().await?;
        let server = TcpStream::connect(way.server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        io::Result::Ok(server)
    };
    tokio::pin!(reset);
    let server = tokio::select! { biased; _ = &mut reset => None, server = open => server.ok() };
    let Some(server) = server else { return abort(&client) };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let ended = {
        let up = carry(&mut from_client, &mut to_server, &way, 0);
        let down = carry(&mut from_server, &mut to_client, &way, 1);
        let both = async { tokio::try_join!(up, down).map(drop) };
        tokio::select! { biased; _ = &mut reset => Err(io::ErrorKind::ConnectionReset.into()), ended = both => ended }
    };
    if ended.is_err() {
        abort(from_client.as_ref());
        abort(from_server.as_ref());
        // Dropped, a writing half would say goodbye first.
        to_client.forget();
        to_server.forget();
    }
}

/// Has the socket closed with a reset, not with a goodbye.
fn abort(socket: &TcpStream) {
    // An error means that the other end was first.
    let _ = socket.set_zero_linger();
}

/// One direction of one connection, up to its end.
async fn carry(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    way: &Way,
    direction: usize,
) -> io::Result<()> {
    let (send, mut receive) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY_PIECES);
    let depart = async move {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            way.passes().await?;
            let length = from.read(&mut buffer).await?;
            if length == 0 {
                return io::Result::Ok(());
            }
            let left = way.departure(direction, length);
            // The timer ticks in milliseconds, in which a fast line carries many pieces.
            if left > Instant::now() + Duration::from_millis(2) {
                sleep_until(left).await;
            }
            let arrives = left + way.changes.borrow().delay;
            if send.send((arrives, buffer[..length].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let arrive = async {
        while let Some((at, piece)) = receive.recv().await {
            sleep_until(at).await;
            way.passes().await?;
            // Counted first: whoever has got a byte finds it counted.
            way.passed[direction].fetch_add(piece.len() as u64, Ordering::Relaxed);
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(depart, arrive).map(drop)
}

impl Way {
    /// Waits until the line is up.
    async fn passes(&self) -> io::Result<()> {
        let mut changes = self.changes.clone();
        let up = changes.wait_for(|line| line.state == State::Up).await;
        up.map(drop).map_err(|_| io::ErrorKind::ConnectionAborted.into())
    }

    /// When the last of `length` bytes is on the line, behind those of all connections that came before.
    fn departure(&self, direction: usize, length: usize) -> Instant {
        let now = Instant::now();
        let Some(rate) = self.changes.borrow().bytes_per_second else { return now };
        let mut free = self.free[direction].lock().unwrap_or_else(PoisonError::into_inner);
        let taken = Duration::from_secs_f64(length as f64 / rate.max(1) as f64);
        let left = free.map_or(now, |free| free.max(now)) + taken;
        *free = Some(left);
        left
    }
}
