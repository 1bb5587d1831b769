//! Who holds which site: one file for each place that can keep it.

pub mod dns;
pub mod etcd;
mod memory;
pub mod sqlite;
