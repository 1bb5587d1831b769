//! `dr discover`: which sites and zones a host has, for the estate.

use std::io::Read;
use std::path::Path;

use dr_core::toolkit;
use dr_core::{Error, Result};

use crate::args::{Common, Discover};
use crate::console::Console;
use crate::context;

/// A little more than what is read of a listing: by mistake it could be a device.
const FILE_MAX_BYTES: u64 = 33 << 20;

pub(super) async fn run(common: &Common, console: &Console, words: Discover) -> Result<u8> {
    let toolkit = context::toolkit(common, context::estate(common)?.unwrap_or_default())?;
    let Discover { host, standby, listing, read } = words;
    let read = read.into_iter().map(|(listing, file)| Ok((listing, text(&file)?)));
    let request = toolkit::Discover { host, standby, listings: listing, texts: read.collect::<Result<_>>()? };
    let control = console.control();
    let discovered = toolkit.discover(&request, &control).await?;
    console.discovery(&discovered);
    let value = serde_json::to_value(&discovered).unwrap_or_default();
    if console.is_json() || !discovered.toml.is_empty() {
        console.result(&discovered.toml, &value);
    }
    Ok(0)
}

fn text(file: &Path) -> Result<String> {
    let mut bytes = vec![];
    std::fs::File::open(file)
        .and_then(|file| file.take(FILE_MAX_BYTES).read_to_end(&mut bytes))
        .map_err(|why| Error::io(format!("read {}", file.display()), why))?;
    // Configuration may have bytes of any encoding in its comments.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
