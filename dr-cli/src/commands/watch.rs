//! `dr mirror --watch`: a mirror that goes on.

use dr_core::toolkit::{MirrorWatch, Round, Watched};
use dr_core::{Error, ErrorKind, Result};

use crate::args::{Common, Mirror};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: &Mirror) -> Result<u8> {
    let (estate, what) = match (&words.site, &words.source, &words.target) {
        (Some(site), ..) => (context::needed_estate(common)?, Watched::Site(site.clone())),
        (None, Some(source), Some(target)) => {
            let options = Box::new(super::mirror::options(words));
            let what = Watched::Tree { source: source.clone(), target: target.clone(), options };
            (context::estate(common)?.unwrap_or_default(), what)
        }
        _ => return Err(Error::new(ErrorKind::Usage, "mirror", "give SOURCE and TARGET, or --site")),
    };
    let mut watch = MirrorWatch { by: context::asked_by(), ..MirrorWatch::new(what) };
    if let Some(every) = words.many.scan_every {
        (watch.scan_every, watch.poll_every) = (every, every);
    }
    let toolkit = context::toolkit(common, estate)?;
    let control = console.control();
    // A round tells what it did; the events of its plan would say the same at length.
    toolkit.watch_mirror(&watch, &console.quiet(&control), |round| tell(console, round)).await?;
    Ok(0)
}

fn tell(console: &Console, round: &Round) {
    if console.is_json() {
        console.result("", &serde_json::json!({ "round": round }));
        return;
    }
    let summary = &round.summary;
    let mut text = format!(
        "{}: {} new, {} changed, {} in metadata only, {} removed, {} bytes; {} behind\n",
        round.at,
        summary.created,
        summary.updated,
        summary.metadata_only,
        summary.deleted,
        summary.bytes,
        round.lag
    );
    if let Some(error) = &round.error {
        text =
            format!("{}: {} behind; could not {}: {}\n", round.at, round.lag, error.operation, error.message);
    }
    for finding in &round.report.findings {
        text += &format!("  {} {}\n", finding.code.name(), finding.message.escape_debug());
    }
    console.result(&text, &serde_json::Value::Null);
}
