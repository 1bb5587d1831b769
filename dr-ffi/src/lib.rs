//! The C interface: `libdr` and `dr.h`. Values in, values out; the work itself is the core's.
//!
//! Every function is a boundary: no panic crosses it, every pointer and every text is checked, and what is given out is given
//! back by one `_free` function, which takes NULL too. There is no global state: any thread may call at any time, before and
//! after a fork. A pointer to const may be used by several threads at once.
#![allow(non_camel_case_types, reason = "these are names of the C interface")]

#[cfg(feature = "capi")]
mod c;

#[cfg(feature = "capi")]
pub use c::*;

#[cfg(feature = "uniffi")]
uniffi::setup_scaffolding!("dr_toolkit");

#[cfg(feature = "uniffi")]
pub mod uni;
