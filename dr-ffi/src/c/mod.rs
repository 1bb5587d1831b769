//! The functions of `dr.h`.

mod boundary;
mod calls;
mod error;
mod report;
mod status;

pub use calls::*;
pub use error::*;
pub use report::*;
pub use status::*;
