//! The `dr` command as people and scripts use it, against real servers: what it says, what it does, how it exits.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod agent;
mod at_once;
mod desk;
mod discover;
mod dns;
mod failover;
mod hook;
mod keys;
mod memo;
mod mirror;
mod probe;
mod readme;
mod sites;
mod stage;
mod walk;
mod words;
