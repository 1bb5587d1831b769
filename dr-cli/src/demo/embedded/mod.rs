//! The servers `dr demo` stands on: hosts (SSH, SFTP, HTTP) and authoritative name servers, speaking the real
//! protocols on loopback.
//!
//! Every server is a [`Service`](process::Service): plain [`serde`] options in, a `Ready` answer with the
//! addresses it really got, and a handle that ends it when dropped. Tests start them in process
//! ([`host::Options`], [`nameserver::Options`]); the demo starts each as a process of its own
//! ([`process::Child`] in the parent, [`process::serve`] in the child), so that it can be killed like a machine
//! that burns down, and so that a kill by somebody else is noticed and explained.
//!
//! ```
//! use dr_cli::demo::embedded::{nameserver::{Options, Role, ZoneText}, process::Service};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let text = "@ 60 IN SOA ns1 hostmaster 1 3600 600 86400 30\nwww 60 IN A 127.0.0.2\n";
//! let zones = vec![ZoneText { origin: "example.org.".into(), text: text.into() }];
//! let role = Role::Primary { zones, secondaries: Vec::new() };
//! let listen = "127.0.0.11:0".parse().map_err(std::io::Error::other)?;
//! let options = Options { name: "ns1".into(), listen, state: None, keys: Vec::new(), role };
//! let (ready, running) = options.start().await?;
//! assert_eq!(ready.serials["example.org."], 1);
//! running.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Deliberately absent: a shell, port forwarding, DNSSEC signing, TLS. They are not needed to show a failover,
//! and each would be one more thing a visitor's machine lends to others.

mod confine;
pub mod host;
mod http;
pub mod nameserver;
pub mod process;
mod secret;
mod sftp;
mod ssh;

pub use secret::Secret;
