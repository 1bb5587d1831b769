//! `dr mirror`: one tree, or one site of the estate.

use dr_core::estate::MaxDelete;
use dr_core::mirror::Options;
use dr_core::{Error, ErrorKind, Result};

use super::show_and_apply;
use crate::args::{Common, Mirror};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: Mirror) -> Result<u8> {
    let control = console.control();
    let (toolkit, planned) = match (&words.site, &words.source, &words.target) {
        (Some(site), ..) => {
            let toolkit = context::toolkit(common, context::needed_estate(common)?)?;
            let planned = toolkit.plan_mirror_site(site, &control).await?;
            (toolkit, planned)
        }
        (None, Some(source), Some(target)) => {
            let estate = context::estate(common)?.unwrap_or_default();
            let toolkit = context::toolkit(common, estate)?;
            let planned = toolkit.plan_mirror(source, target, &options(&words), None, &control).await?;
            (toolkit, planned)
        }
        _ => return Err(Error::new(ErrorKind::Usage, "mirror", "give SOURCE and TARGET, or --site")),
    };
    let code = show_and_apply(&toolkit, &planned.plan, common, console, &control).await?;
    if planned.report.findings.is_empty() {
        return Ok(code);
    }
    Ok(code.max(console.report(&planned.report)))
}

fn options(words: &Mirror) -> Options {
    let default = MaxDelete::default();
    Options {
        exclude: words.exclude.clone(),
        delete: !words.no_delete,
        max_delete: MaxDelete { files: words.max_delete.unwrap_or(default.files), ..default },
        checksum: words.checksum,
        ..Options::default()
    }
}
