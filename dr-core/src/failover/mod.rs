//! Failover: decided on evidence, never twice, never by both sides at once.
//!
//! Probes become [`Tenure`]-respecting decisions through pure functions of facts and time; what follows from a decision is a
//! plan of steps like any other.

mod mirrored;
mod sight;
mod tenure;

pub use mirrored::{LastMirror, RecordMirror, last_mirror_path};
pub use sight::{DownKind, Sight};
pub use tenure::{Expect, Raise, Role, RoleChange, Standing, Tenure, standing_path};
