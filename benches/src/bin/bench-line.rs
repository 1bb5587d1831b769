//! A line to measure on: a TCP proxy in user space that delays, counts, and carries no more than a rate.
//!
//! ```text
//! bench-line LISTEN_PORT SERVER_PORT DELAY_MS BYTES_PER_SECOND
//! ```
//!
//! Delay and rate count in each direction; the rate is shared by all connections, and 0 is none. It prints `ready`, then for each line on standard
//! input how many bytes have gone to the server and to its clients since the last one, and ends with its standard input. Two
//! threads a direction: it must not be what limits the line.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const PIECE_BYTES: usize = 128 << 10;
/// So much may be on its way in one direction of one connection: 350 MB/s at 80 ms there and back take 14 MB.
const UNDER_WAY_BYTES: usize = 32 << 20;

struct Line {
    delay: Duration,
    bytes_per_second: u64,
    /// When the line is free again, for each direction.
    free: [Mutex<Instant>; 2],
    passed: [AtomicU64; 2],
}

/// What is on its way in one direction of one connection.
#[derive(Default)]
struct Pipe {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    ended: bool,
}

fn main() -> ExitCode {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let [listen, server, delay_ms, bytes_per_second] = words[..] else {
        let _ = writeln!(io::stderr(), "bench-line LISTEN_PORT SERVER_PORT DELAY_MS BYTES_PER_SECOND");
        return ExitCode::FAILURE;
    };
    let line = Arc::new(Line {
        delay: Duration::from_millis(delay_ms),
        bytes_per_second,
        free: [Mutex::new(Instant::now()), Mutex::new(Instant::now())],
        passed: [AtomicU64::new(0), AtomicU64::new(0)],
    });
    match serve(listen as u16, server as u16, &line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr(), "bench-line: {why}");
            ExitCode::FAILURE
        }
    }
}

fn serve(listen: u16, server: u16, line: &Arc<Line>) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, listen))?;
    let for_clients = Arc::clone(line);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let line = Arc::clone(&for_clients);
            thread::spawn(move || connect(client, server, &line));
        }
    });
    let mut out = io::stdout();
    writeln!(out, "ready")?;
    for asked in io::stdin().lock().lines() {
        asked?;
        let [up, down] = [0, 1].map(|way| line.passed[way].swap(0, Ordering::Relaxed));
        writeln!(out, "{up} {down}")?;
        out.flush()?;
    }
    Ok(())
}

fn connect(client: TcpStream, server: u16, line: &Arc<Line>) {
    // The handshake takes its round trip, too.
    thread::sleep(2 * line.delay);
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(from_client), Ok(from_server)) = (client.try_clone(), server.try_clone()) else { return };
    carry(from_client, server, line, 0);
    carry(from_server, client, line, 1);
}

/// One direction of a connection, in two threads of its own.
fn carry(mut from: TcpStream, mut to: TcpStream, line: &Arc<Line>, way: usize) {
    let (line, filled) = (Arc::clone(line), Arc::new(Pipe::default()));
    let emptied = Arc::clone(&filled);
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let left = line.departure(way, length);
            wait_until(left);
            if !filled.push(left + line.delay, buffer[..length].to_vec()) {
                break;
            }
        }
        filled.end();
    });
    thread::spawn(move || {
        while let Some((at, piece)) = emptied.pop() {
            wait_until(at);
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        emptied.end();
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn wait_until(at: Instant) {
    let left = at.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// When the last of `length` bytes is on the line, behind those of all connections that came before.
    fn departure(&self, way: usize, length: usize) -> Instant {
        self.passed[way].fetch_add(length as u64, Ordering::Relaxed);
        let now = Instant::now();
        if self.bytes_per_second == 0 {
            return now;
        }
        let mut free = locked(&self.free[way]);
        *free = (*free).max(now) + Duration::from_secs_f64(length as f64 / self.bytes_per_second as f64);
        *free
    }
}

impl Pipe {
    /// Waits while too much is on its way; false once nobody takes it any more.
    fn push(&self, at: Instant, piece: Vec<u8>) -> bool {
        let full = |state: &mut Waiting| state.bytes > UNDER_WAY_BYTES && !state.ended;
        let waited = self.changed.wait_while(locked(&self.state), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.bytes += piece.len();
        state.pieces.push_back((at, piece));
        self.changed.notify_all();
        !state.ended
    }

    fn pop(&self) -> Option<(Instant, Vec<u8>)> {
        let empty = |state: &mut Waiting| state.pieces.is_empty() && !state.ended;
        let waited = self.changed.wait_while(locked(&self.state), empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let (at, piece) = state.pieces.pop_front()?;
        state.bytes -= piece.len();
        self.changed.notify_all();
        Some((at, piece))
    }

    fn end(&self) {
        locked(&self.state).ended = true;
        self.changed.notify_all();
    }
}
