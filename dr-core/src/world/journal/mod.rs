//! The journal: what was intended and done, durable before anything follows from it.

mod claim;
mod late;
mod sqlite;

pub use late::LateJournal;
pub use sqlite::SqliteJournal;
