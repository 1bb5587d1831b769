//! `dr demo`: the whole promise shown once, on loopback, without root, network or anything installed.

pub mod embedded;
