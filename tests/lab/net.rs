//! Places in network namespaces of their own, with a line from each to all others that can be cut: both ways, or one way only.
//!
//! The namespaces belong to processes that end with the tests, so nothing of them is left behind. For root on Linux, where the machine
//! lets root make namespaces: see [`Net::is_possible`].

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::ask::wait_for;
use crate::process::{kill, spawn};

thread_local! {
    /// The place that this thread is in.
    static HERE: RefCell<Option<Here>> = const { RefCell::new(None) };
}

#[derive(Clone)]
struct Here {
    /// The namespace, as a file that other programs can name.
    file: String,
    address: Ipv4Addr,
}

/// The address that servers started by this thread listen on.
pub(crate) fn address() -> Ipv4Addr {
    HERE.with_borrow(|here| here.as_ref().map_or(Ipv4Addr::LOCALHOST, |here| here.address))
}

/// What has to stand before a command that is to run where this thread is.
pub(crate) fn prefix() -> Vec<String> {
    let entered = |here: &Here| vec!["nsenter".to_owned(), format!("--net={}", here.file), "--".to_owned()];
    HERE.with_borrow(|here| here.as_ref().map(entered).unwrap_or_default())
}

/// A namespace, kept by a process that does nothing.
struct Space(Child);

impl Space {
    fn new() -> Self {
        let mut command = spawn("unshare");
        command.0.args(["--net", "--", "sleep", "86400"]).stdin(Stdio::null());
        let space = Self(command.start().expect("unshare, of util-linux"));
        let own = std::fs::read_link("/proc/self/ns/net").expect("/proc is mounted");
        wait_for("a network namespace", Duration::from_secs(30), || {
            let there = std::fs::read_link(space.file()).ok()?;
            (there != own).then_some(())
        });
        space
    }

    fn file(&self) -> String {
        format!("/proc/{}/ns/net", self.0.id())
    }

    /// Has `ip` do these lines there.
    fn ip(&self, lines: &str) {
        let done = self.try_ip(lines);
        assert!(done.is_ok(), "{}: apt-get install iproute2 (./test does it)", done.unwrap_err());
    }

    fn try_ip(&self, lines: &str) -> Result<(), String> {
        let mut child = Command::new("nsenter")
            .arg(format!("--net={}", self.file()))
            .args(["--", "ip", "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|why| why.to_string())?;
        child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).map_err(|why| why.to_string())?;
        let ended = child.wait_with_output().map_err(|why| why.to_string())?;
        let said = || format!("ip: {}: {lines}", String::from_utf8_lossy(&ended.stderr));
        if ended.status.success() { Ok(()) } else { Err(said()) }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        kill(&mut self.0);
    }
}

/// Places that reach each other through a router between them.
pub struct Net {
    router: Space,
    places: Vec<(&'static str, Space)>,
}

impl Net {
    /// Whether this machine lets us make them.
    ///
    /// # Errors
    /// Why not, for whoever leaves out a test for that.
    pub fn is_possible() -> Result<(), String> {
        let made = Command::new("unshare").args(["--net", "true"]).output().map_err(|why| why.to_string())?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).trim().to_owned());
        }
        Space::new().try_ip("link add lab-a type veth peer name lab-b\n")
    }

    /// Places with these names: the first is 10.77.1.2, the second 10.77.2.2, and so on.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        let router = Space::new();
        let places: Vec<(&'static str, Space)> = names.iter().map(|name| (*name, Space::new())).collect();
        let mut lines = "link set lo up\n".to_owned();
        for (number, (_, place)) in (1..).zip(&places) {
            let pid = place.0.id();
            let _ = write!(
                lines,
                "link add line{number} type veth peer name line netns {pid}\naddress add 10.77.{number}.1/24 dev line{number}\n\
                 link set line{number} up\n"
            );
        }
        router.ip(&lines);
        for (number, (_, place)) in (1..).zip(&places) {
            place.ip(&format!(
                "link set lo up\naddress add 10.77.{number}.2/24 dev line\nlink set line up\n\
                 route add default via 10.77.{number}.1\n"
            ));
        }
        let net = Self { router, places };
        net.enter(&net.router, Ipv4Addr::LOCALHOST, || {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("one's own namespace may forward");
        });
        net
    }

    /// The address of a place.
    #[must_use]
    pub fn address(&self, name: &str) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.number(name), 2)
    }

    /// Does something in a place: what it connects to is reached from there, and servers of the lab that it starts listen there.
    pub fn inside<T>(&self, name: &str, work: impl FnOnce() -> T) -> T {
        let number = usize::from(self.number(name)) - 1;
        self.enter(&self.places[number].1, self.address(name), work)
    }

    /// What has to stand before a command that is to run in a place.
    #[must_use]
    pub fn prefix(&self, name: &str) -> Vec<String> {
        self.inside(name, prefix)
    }

    /// Takes the line of a place away, as a digger does.
    pub fn cut(&self, name: &str) {
        self.router.ip(&format!("link set line{} down\n", self.number(name)));
    }

    /// Brings it back.
    pub fn mend(&self, name: &str) {
        self.router.ip(&format!("link set line{} up\n", self.number(name)));
    }

    /// Nothing gets from the one to the other any more; the other way stays open.
    pub fn drop_from(&self, one: &str, other: &str) {
        self.router.ip(&format!("rule add {}\n", self.way(one, other)));
    }

    /// It gets there again.
    pub fn carry_from(&self, one: &str, other: &str) {
        self.router.ip(&format!("rule del {}\n", self.way(one, other)));
    }

    fn way(&self, one: &str, other: &str) -> String {
        let (one, other) = (self.number(one), self.number(other));
        format!("from 10.77.{one}.0/24 to 10.77.{other}.0/24 blackhole")
    }

    fn number(&self, name: &str) -> u8 {
        let at = self.places.iter().position(|(known, _)| *known == name);
        let at = at.unwrap_or_else(|| panic!("no place is called {name}"));
        u8::try_from(at + 1).expect("few places")
    }

    fn enter<T>(&self, space: &Space, address: Ipv4Addr, work: impl FnOnce() -> T) -> T {
        /// Goes back, also when the work panics.
        struct Back(File, Option<Here>);
        impl Drop for Back {
            fn drop(&mut self) {
                let kind = Some(LinkNameSpaceType::Network);
                let back = move_into_link_name_space(self.0.as_fd(), kind);
                HERE.with_borrow_mut(|here| *here = self.1.take());
                assert!(
                    back.is_ok() || std::thread::panicking(),
                    "a thread may go back where it was: {back:?}"
                );
            }
        }
        let open = |file: &str| File::open(file).unwrap_or_else(|why| panic!("{file}: {why}"));
        let (was, there) = (open("/proc/thread-self/ns/net"), open(&space.file()));
        let before = HERE.with_borrow(Clone::clone);
        move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("root may enter a namespace of its own");
        let _back = Back(was, before);
        HERE.with_borrow_mut(|here| *here = Some(Here { file: space.file(), address }));
        work()
    }
}
