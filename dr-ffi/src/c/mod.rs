//! The functions of `dr.h`.

mod answer;
mod boundary;
mod calls;
mod cancel;
mod error;
mod report;
mod request;
mod status;
mod toolkit;
mod words;

pub use answer::*;
pub use calls::*;
pub use cancel::*;
pub use error::*;
pub use report::*;
pub use request::{
    dr_request, dr_request_add_text, dr_request_free, dr_request_new, dr_request_set_flag,
    dr_request_set_json, dr_request_set_number, dr_request_set_text,
};
pub use status::*;
pub use toolkit::*;
