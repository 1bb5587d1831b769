//! The journal: what was intended and done, durable before anything follows from it.

mod claim;
mod sqlite;

pub use sqlite::SqliteJournal;
