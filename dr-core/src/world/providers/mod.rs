//! Where records are changed: one file a kind of provider.

pub mod rfc2136;
