//! Ports nobody else takes between the moment they are chosen and the moment a server listens on them.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the kernel's own range for outgoing connections and for "any free port" (32768 and up), so that neither
/// can take a port from under a server that is being restarted.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1, or of the place that the thread is in ([`Net`](crate::Net)), free for TCP and UDP, kept for this value's owner until it is dropped.
///
/// Kept by a lock on a file, so that several test programs running at the same time never choose the same one,
/// and a server killed and restarted finds its port still its own.
#[derive(Debug)]
pub struct Port {
    number: u16,
    address: Ipv4Addr,
    _lock: File,
}

impl Port {
    /// Chooses a free port.
    ///
    /// ```
    /// let port = dr_tests::Port::free();
    /// assert!(std::net::TcpListener::bind(port.addr()).is_ok());
    /// ```
    #[must_use]
    pub fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let user = rustix::process::getuid().as_raw();
        let locks = std::env::temp_dir().join(format!("dr-lab-ports-{user}"));
        fs::create_dir_all(&locks).expect("the temporary directory is writable");
        // Programs started one after the other begin at different places: a packet meant for a server of the last
        // test must not reach one of this.
        let start = u16::try_from(std::process::id().wrapping_mul(61) % u32::from(COUNT)).unwrap_or(0);
        for _ in 0..COUNT {
            let number = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
            let file = locks.join(number.to_string());
            let lock =
                OpenOptions::new().create(true).append(true).open(file).expect("a port's lock file opens");
            if lock.try_lock().is_ok() && is_free(number) {
                return Self { number, address: crate::net::address(), _lock: lock };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT);
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The address with this port.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.number))
    }
}

fn is_free(number: u16) -> bool {
    // On every address: a server of somebody else's that listens on 0.0.0.0 counts too.
    let any = (Ipv4Addr::UNSPECIFIED, number);
    TcpListener::bind(any).is_ok() && UdpSocket::bind(any).is_ok()
}
