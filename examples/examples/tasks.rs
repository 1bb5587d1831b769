//! Four tasks of an operator's days: `tasks progress SOURCE TARGET JOURNAL`, `tasks nightly ESTATE`, `tasks button ESTATE SITE JOURNAL
//! [really]`, `tasks rotate ESTATE OLD NEW JOURNAL KNOWN_HOSTS [FILE]`. Each is a function to copy.
#![allow(clippy::print_stdout, reason = "a program talks on standard output")]

use std::path::{Path, PathBuf};

use dr_core::dns::{Depth, ZoneSpec};
use dr_core::mirror::Options;
use dr_core::render::{self, Style};
use dr_core::report::{Report, Verdict};
use dr_core::run::{Event, Outcome};
use dr_core::toolkit::{FailoverOptions, RotateOptions, Settings, Toolkit, now, read_public_key};
use dr_core::world::Control;
use dr_core::world::ssh::Access;
use dr_core::{Error, ErrorKind, Estate, Result};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["progress", source, target, journal] => progress(source, target, journal).await,
        ["nightly", estate] => nightly(Path::new(estate)).await,
        ["button", estate, site, journal] => button(Path::new(estate), site, journal, false).await,
        ["button", estate, site, journal, "really"] => button(Path::new(estate), site, journal, true).await,
        ["rotate", estate, old, new, journal, known_hosts, file @ ..] if file.len() < 2 => {
            rotate(Path::new(estate), [old, new], journal, known_hosts, file.first()).await
        }
        _ => Err(usage("the words at the head of this file are what it takes")),
    };
    match done {
        Ok(fine) => u8::from(!fine).into(),
        Err(error) => {
            eprint!("{}", render::error(&error, Style::default()));
            error.kind().code().into()
        }
    }
}

/// A mirror with a bar on standard error.
async fn progress(source: &str, target: &str, journal: &str) -> Result<bool> {
    let toolkit = Toolkit::open(Settings { journal: journal.into(), ..Settings::default() })?;
    let control = Control::new(|event| {
        if let Event::Progress { phase, done, total: Some(total), unit } = event
            && unit == "bytes"
            && *total > 0
        {
            let filled = usize::try_from(done * 40 / total).unwrap_or(40).min(40);
            eprint!("\r{phase:<8}[{:<40}] {:3}%", "#".repeat(filled), done * 100 / total);
        }
    });
    let (source, target) = (source.parse().map_err(usage)?, target.parse().map_err(usage)?);
    let planned = toolkit.plan_mirror(&source, &target, &Options::default(), None, &control).await?;
    let applied = toolkit.apply(&planned.plan, "the example", &control).await?;
    eprintln!();
    println!(
        "{} created, {} updated, {} deleted",
        planned.summary.created, planned.summary.updated, planned.summary.deleted
    );
    Ok(matches!(applied.outcome, Outcome::New | Outcome::NewDegraded))
}

/// Would every site survive? Silent where all is well, so that cron mails what it says.
async fn nightly(estate: &Path) -> Result<bool> {
    let toolkit = Toolkit::open(Settings { estate: Estate::load(estate)?, ..Settings::default() })?;
    let (estate, control) = (&toolkit.estate, Control::silent());
    let mut specs = vec![];
    for zone in estate.zones.keys() {
        specs.push(ZoneSpec { depth: Depth::Records, ..ZoneSpec::from_estate(estate, zone)? });
    }
    let mut report = Report::new("every night", now());
    report.absorb(toolkit.check_zones(&specs, &control).await?);
    for site in estate.sites.keys() {
        report.absorb(toolkit.failover_status(site, &control).await?);
    }
    let report = report.judged(&estate.policy.severity);
    if report.verdict() != Verdict::Ok {
        print!("{}", render::report(&report, Style::default()));
    }
    Ok(report.verdict() == Verdict::Ok)
}

/// What a panel's button does: shows the plan, and with `really` does it. What a guard refuses is an error of the kind `Refused`.
async fn button(estate: &Path, site: &str, journal: &str, really: bool) -> Result<bool> {
    let toolkit = Toolkit::open(Settings {
        estate: Estate::load(estate)?,
        journal: journal.into(),
        ..Settings::default()
    })?;
    let control = Control::silent();
    let site = site.parse().map_err(|why| usage(format!("{why}")))?;
    let plan = toolkit.plan_failover(&site, &FailoverOptions::default(), &control).await?;
    print!("{}", render::plan(&plan, Style::default()));
    if !really {
        return Ok(true);
    }
    let applied = toolkit.apply(&plan, "somebody at the panel", &control).await?;
    print!("{}", render::report(&applied.report, Style::default()));
    Ok(matches!(applied.outcome, Outcome::New | Outcome::NewDegraded))
}

/// Another key on every host of the estate, everywhere or nowhere.
async fn rotate(
    estate: &Path,
    [old, new]: [&str; 2],
    journal: &str,
    known_hosts: &str,
    file: Option<&&str>,
) -> Result<bool> {
    let access = Access {
        identities: vec![old.into(), new.into()],
        known_hosts: vec![known_hosts.into()],
        ..Access::default()
    };
    let settings =
        Settings { estate: Estate::load(estate)?, journal: journal.into(), access, ..Settings::default() };
    let (toolkit, control) = (Toolkit::open(settings)?, Control::silent());
    let options = RotateOptions { path: file.map(ToString::to_string), ..RotateOptions::default() };
    let line = |key: &str| read_public_key(&PathBuf::from(format!("{key}.pub")));
    let (old, new) = (line(old)?.to_string(), line(new)?.to_string());
    let plan = toolkit.plan_key_rotation(&[], &old, &new, &options, &control).await?;
    let applied = toolkit.apply(&plan, "the example", &control).await?;
    println!("{:?}", applied.outcome);
    Ok(applied.outcome == Outcome::New)
}

fn usage(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, "do what was asked for", why)
}
