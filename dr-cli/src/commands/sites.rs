//! `dr mirror --all` and `dr mirror --schedule`: many sites of the estate.

use std::fmt::Write;
use std::path::Path;

use dr_core::{Error, ErrorKind, Result, render};

use crate::args::{Common, Many, Schedule};
use crate::console::Console;
use crate::context;

pub(super) async fn run(common: &Common, console: &Console, words: &Many) -> Result<u8> {
    let estate = context::needed_estate(common)?;
    if let Some(schedule) = words.schedule {
        return Ok(print_schedule(common, console, &estate, schedule));
    }
    let sites = estate.mirrored_sites(words.every);
    if sites.is_empty() {
        let why = match words.every {
            Some(every) => format!("no site of the estate is mirrored every {every}"),
            None => "the estate has no site that is mirrored".to_owned(),
        };
        return Err(Error::new(ErrorKind::NotFound, "mirror all sites", why)
            .hint("dr mirror --schedule cron shows which site is mirrored how often"));
    }
    let console = &console.under(&estate.policy);
    let severity = estate.policy.severity.clone();
    let toolkit = context::toolkit(common, estate)?;
    let control = console.control();
    if common.dry_run {
        let mut code = 0;
        for (_, planned) in toolkit.plan_mirror_sites(&sites, &control).await {
            match planned {
                Ok(planned) => {
                    console.plan(&planned.plan);
                    console.guards(&planned.guards);
                    if planned.guards.iter().any(|verdict| verdict.refused) {
                        code = code.max(ErrorKind::Refused.code());
                    }
                    if !planned.report.findings.is_empty() {
                        code = code.max(console.report(&planned.report.judged(&severity)));
                    }
                }
                Err(why) => code = code.max(console.error(&why)),
            }
        }
        return Ok(code);
    }
    let mirrored = toolkit.mirror_sites(&sites, &context::asked_by(), &control).await;
    if console.is_json() {
        let sites = serde_json::to_value(&mirrored.sites).unwrap_or_default();
        console.result("", &serde_json::json!({ "sites": sites }));
    }
    let code = console.report(&mirrored.report.judged(&severity));
    Ok(if control.cancel.is_cancelled() { ErrorKind::Cancelled.code() } else { code })
}

fn print_schedule(common: &Common, console: &Console, estate: &dr_core::Estate, schedule: Schedule) -> u8 {
    let command = command(common);
    match schedule {
        Schedule::Cron => {
            let lines = render::cron(estate, &command);
            console.result(&lines, &serde_json::json!({ "crontab": lines }));
        }
        Schedule::Systemd => {
            let units = render::systemd(estate, &command);
            let mut text = String::new();
            for unit in &units {
                let _ = writeln!(text, "# /etc/systemd/system/{}\n{}", unit.name, unit.text);
            }
            let timers = units.iter().filter(|unit| unit.name.ends_with(".timer"));
            let timers: Vec<&str> = timers.map(|unit| unit.name.as_str()).collect();
            if !timers.is_empty() {
                let _ = writeln!(
                    text,
                    "# then: systemctl daemon-reload && systemctl enable --now {}",
                    timers.join(" ")
                );
            }
            let units = units.iter().map(|unit| (unit.name.clone(), unit.text.clone().into()));
            let units: serde_json::Map<String, serde_json::Value> = units.collect();
            console.result(&text, &serde_json::json!({ "units": units }));
        }
    }
    0
}

/// This program with the estate that it was asked about, by paths that hold anywhere.
pub(super) fn command(common: &Common) -> String {
    let whole =
        |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string();
    let program = context::program().map_or_else(|_| "dr".to_owned(), |path| whole(&path));
    context::estate_path(common)
        .map_or_else(|| program.clone(), |estate| format!("{program} --estate {}", whole(&estate)))
}
