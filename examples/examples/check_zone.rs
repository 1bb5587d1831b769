//! Checks that all name servers of a zone would send visitors to the right host:
//! `check_zone example.org ns1=192.0.2.1 ns2=192.0.2.2`.
#![allow(clippy::print_stdout, reason = "a program talks on standard output")]

use dr_core::dns::ZoneSpec;
use dr_core::render::{self, Style};
use dr_core::report::Verdict;
use dr_core::toolkit::{Settings, Toolkit};
use dr_core::world::Control;
use dr_core::{Error, ErrorKind};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let checked = check(std::env::args().skip(1).collect()).await;
    match checked {
        Ok(Verdict::Failed) => 1.into(),
        Ok(_) => 0.into(),
        Err(error) => {
            eprint!("{}", render::error(&error, Style::default()));
            error.kind().code().into()
        }
    }
}

async fn check(words: Vec<String>) -> dr_core::Result<Verdict> {
    let usage = |why: String| Error::new(ErrorKind::Usage, "check a zone", why);
    let (zone, servers) = words.split_first().ok_or_else(|| usage("name a zone and its servers".into()))?;
    let zone = zone.parse().map_err(|why| usage(format!("{why}")))?;
    let servers: Result<Vec<_>, String> = servers.iter().map(|server| server.parse()).collect();
    let spec = ZoneSpec::new(zone, servers.map_err(usage)?);

    let toolkit = Toolkit::open(Settings::default())?;
    let report = toolkit.check_zone(&spec, &Control::silent()).await?;
    print!("{}", render::report(&report, Style::default()));
    Ok(report.verdict())
}
