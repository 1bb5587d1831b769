//! The lab: the real servers dr is tested against, started from Debian's packages as plain child processes.
//!
//! Everything listens on 127.0.0.1 with a free high port, keeps its configuration and data in a temporary
//! directory, needs neither root nor a network namespace where nothing else is said, and is gone when its value is dropped, also when the
//! test panics, and also when the test run itself is killed. A server that fails to start, and every server of a
//! test that panics, leaves its logs and configuration in `target/lab-logs/`.
//!
//! | what | who |
//! |---|---|
//! | [`Sshd`] | OpenSSH, dropbear or tinyssh, one login (the user running the tests), a home directory of its own |
//! | [`SshHost`] | OpenSSH with an `/etc/ssh`, accounts, passwords and PAM of its own (for root) |
//! | [`Nginx`] | a web server with named sites, one directory each |
//! | [`mail::postfix`], [`mail::dovecot`] | a mail server and an IMAP server with a certificate (for root) |
//! | [`bind::primary`] | the primary name server, changed by TSIG-signed dynamic updates |
//! | [`bind::secondary`], [`nsd`], [`knot`], [`pdns`], [`yadifa`] | the five secondaries |
//! | [`etcd`] | a store for coordinators, in the open or with TLS and passwords |
//! | [`DnsLab`] | the primary and the five, following it |
//! | [`dr`] | the `dr` command itself, as a program |
//! | [`Net`] | places in network namespaces, whose lines can be cut (for root) |
//! | [`Proxy`] | a line between two of them: delay, rate, cut and restore |
//!
//! What every server can do (be killed, frozen, restarted, asked for its log) is on [`Server`]. A program that is
//! not installed is a failure that names the Debian package, never a skipped test.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the lab serves tests only: what cannot be started must stop the test with a clear message"
)]

mod ask;
pub mod bind;
mod command;
mod configure;
mod dns;
pub mod etcd;
mod generation;
#[path = "../history/mod.rs"]
pub mod history;
pub mod knot;
pub mod mail;
#[path = "../model/mod.rs"]
pub mod model;
mod net;
mod nginx;
pub mod nsd;
pub mod pdns;
mod port;
mod process;
pub mod proxy;
mod server;
#[path = "../simulate/mod.rs"]
pub mod simulate;
mod small;
mod ssh_host;
mod sshd;
pub mod yadifa;
mod zone;

pub use ask::{addresses, http_get, notify, soa_serial, wait_for};
pub use command::dr;
pub use configure::configure;
pub use dns::DnsLab;
pub use generation::{sshd_counts_strangers, sshd_has_pam, sshd_includes, sshd_takes, understood};
pub use net::Net;
pub use nginx::{Nginx, Site};
pub use port::Port;
pub use process::is_running;
pub use proxy::Proxy;
pub use server::Server;
pub use ssh_host::SshHost;
pub use sshd::{By, Login, Sshd};
pub use zone::{Tsig, Zone};
