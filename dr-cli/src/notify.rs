//! What a service tells the system's service manager (sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The manager's socket, if there is a manager.
pub(crate) struct Manager {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that we live.
    pub(crate) watchdog: Option<Duration>,
}

impl Manager {
    /// From the environment that a service is given: `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    pub(crate) fn new(socket: Option<&str>, watchdog_us: Option<&str>) -> Self {
        let connect = |name: &str| {
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name.as_bytes()),
                None => SocketAddr::from_pathname(name),
            };
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address?)?;
            socket.set_nonblocking(true)?;
            std::io::Result::Ok(socket)
        };
        let every = watchdog_us.and_then(|us| us.parse().ok()).map(Duration::from_micros);
        // A manager that cannot be told is told nothing: the service works all the same.
        Self { socket: socket.and_then(|name| connect(name).ok()), watchdog: every.map(|every| every / 2) }
    }

    /// Tells it: `READY=1`, `WATCHDOG=1`, `STOPPING=1`, `STATUS=...`, one a line.
    pub(crate) fn tell(&self, what: &str) {
        if let Some(socket) = &self.socket {
            let _ = socket.send(what.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_hears_what_it_is_told_and_none_is_no_trouble() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("notify");
        let hears = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::new(path.to_str(), Some("3000000"));
        assert_eq!(manager.watchdog, Some(Duration::from_millis(1500)));
        manager.tell("READY=1\nSTATUS=2 seats");
        let mut heard = [0; 64];
        let length = hears.recv(&mut heard).unwrap();
        assert_eq!(&heard[..length], b"READY=1\nSTATUS=2 seats");
        Manager::new(None, None).tell("READY=1");
    }
}
