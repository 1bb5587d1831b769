//! Hosts by SSH.
//!
//! An [`Access`] says how hosts may be reached and what they may be trusted by; a [`Connector`] opens connections with it and
//! keeps one for each account; a [`Session`] is one of them. Host keys are pinned or in a known_hosts file, never taken on
//! trust. RSA keys of our own are there with the feature `rsa`, by aws-lc-rs; RSA host keys are deliberately absent: the library that
//! would check them has an open advisory (RUSTSEC-2023-0071).

mod access;
mod agent;
mod attempt;
mod authority;
mod connector;
mod fault;
mod files;
mod identity;
mod login;
mod looking;
pub(crate) mod register;
mod replace;
mod secret_key;
mod session;
mod shell;
mod signature;
mod trust;

pub use access::Access;
pub use agent::{AgentTerms, HeldKey, SshAgent};
pub use authority::Authority;
pub use connector::Connector;
pub use secret_key::SecretKey;
pub use session::Session;
pub use shell::SshShell;
pub use signature::{sign, verify};
