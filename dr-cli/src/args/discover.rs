//! The words of `dr discover`.

use std::path::PathBuf;

use clap::Args;
use dr_core::estate::discover::Listing;

/// `dr discover`.
#[derive(Args, Debug)]
pub(crate) struct Discover {
    /// The host to look at: a host of the estate, or user@host [default: this machine]
    pub(crate) host: Option<String>,
    /// The host that its sites would go to: a host of the estate, or user@host
    #[arg(long, value_name = "HOST")]
    pub(crate) standby: String,
    /// Ask only for this: nginx, apache, bind, hestia or virtualmin (repeatable) [default: all that is there]
    #[arg(long, value_name = "NAME")]
    pub(crate) listing: Vec<Listing>,
    /// Read this listing from a file, and ask nobody: NAME=FILE (repeatable)
    #[arg(long, value_name = "NAME=FILE", value_parser = listed, conflicts_with = "listing")]
    pub(crate) read: Vec<(Listing, PathBuf)>,
}

fn listed(text: &str) -> Result<(Listing, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("NAME=FILE, as in nginx=nginx-T.txt")?;
    Ok((name.parse()?, file.into()))
}
