//! `dr demo` as newcomers and tired operators run it: to the end, with websites of their own, interrupted, and sabotaged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod interrupted;
mod refused;
mod sabotaged;
mod stage;
mod whole;
