//! What the `dr` command is made of, as a library: so that tests can use it in process.
//!
//! [`demo`] holds the embedded servers that `dr demo` runs on loopback.

pub mod demo;
