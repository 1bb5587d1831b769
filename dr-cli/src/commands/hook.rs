//! `dr hook`: called by a panel, it writes down what it was told and returns; `dr hook run` works it off.

use std::fmt::Write as _;
use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use dr_core::estate::{Panel, Told};
use dr_core::toolkit::WorkOffHooks;
use dr_core::world::inbox::Inbox;
use dr_core::{Result, render};

use crate::args::{Common, Hook};
use crate::console::{Console, tell};
use crate::context;

/// How long a panel may take to send what it has to send. It waits for the hook meanwhile.
const INPUT_TIME_MAX: Duration = Duration::from_secs(2);
/// So much of the input is kept; the rest is read and forgotten, because cPanel minds who does not read it.
const INPUT_MAX_BYTES: u64 = (4 << 20) + 1;

pub(super) async fn run(common: &Common, console: &Console, words: Hook) -> Result<u8> {
    match words {
        Hook::Run => work_off(common, console).await,
        Hook::Register { panel } => {
            register(common, console, panel);
            Ok(0)
        }
        Hook::Cpanel(given) if given.words.first().is_some_and(|word| word == "--describe") => {
            console.result(
                &render::cpanel_description("/usr/local/cpanel/3rdparty/bin/dr-hook"),
                &serde_json::Value::Null,
            );
            Ok(0)
        }
        Hook::Cpanel(given) => Ok(told(common, Panel::Cpanel, &given.words())),
        Hook::Plesk(given) => Ok(told(common, Panel::Plesk, &given.words())),
        Hook::Directadmin(given) => Ok(told(common, Panel::Directadmin, &given.words())),
        Hook::Hestia(given) => Ok(told(common, Panel::Hestia, &given.words())),
        Hook::Virtualmin(given) => Ok(told(common, Panel::Virtualmin, &given.words())),
    }
}

/// Whatever happens here, the panel's own operation is not to fail by it: the exit code is always 0.
fn told(common: &Common, panel: Panel, words: &[String]) -> u8 {
    let input = if panel == Panel::Cpanel { input() } else { vec![] };
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let told = Told::read(panel, &input, variable, words);
    let put = if told.is_before() { Ok(()) } else { Inbox::at(directory(common)).put(&told) };
    match put {
        // What cPanel reads of a script: success, and a message.
        Ok(()) if panel == Panel::Cpanel => tell_panel("1 dr has noted it"),
        Ok(()) => {}
        Err(why) => {
            tell(render::error(&why, render::Style::default()).trim_end_matches('\n'));
            if panel == Panel::Cpanel {
                tell_panel("1 dr could not note it");
            }
        }
    }
    0
}

fn tell_panel(line: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Standard input to its end, but no longer than a panel can wait.
fn input() -> Vec<u8> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = vec![];
        let mut stdin = std::io::stdin().lock();
        let _ = (&mut stdin).take(INPUT_MAX_BYTES).read_to_end(&mut kept);
        let _ = std::io::copy(&mut stdin, &mut std::io::sink());
        // Whoever waited may have gone.
        let _ = sender.send(kept);
    });
    receiver.recv_timeout(INPUT_TIME_MAX).unwrap_or_default()
}

/// Beside the journal.
fn directory(common: &Common) -> std::path::PathBuf {
    let beside = common.journal.as_deref().and_then(std::path::Path::parent).map(std::path::Path::to_owned);
    beside.unwrap_or_else(context::state_dir).join("hooks")
}

async fn work_off(common: &Common, console: &Console) -> Result<u8> {
    let estate = context::needed_estate(common)?;
    let console = &console.under(&estate.policy);
    let severity = estate.policy.severity.clone();
    let toolkit = context::toolkit(common, estate)?;
    let request = WorkOffHooks { directory: directory(common), dry_run: common.dry_run, by: None };
    let control = console.control();
    let worked = toolkit.work_off_hooks(&request, &context::asked_by(), &control).await?;
    let mut due = String::new();
    for site in &worked.due.sites {
        let _ = write!(due, " site {site}");
    }
    for zone in &worked.due.zones {
        let _ = write!(due, " zone {zone}");
    }
    console.story(&format!("{} told; due:{}", worked.told, if due.is_empty() { " nothing" } else { &due }));
    if console.is_json() {
        console.result("", &serde_json::to_value(&worked).unwrap_or_default());
    }
    let code = console.report(&worked.report.judged(&severity));
    Ok(if control.cancel.is_cancelled() { dr_core::ErrorKind::Cancelled.code() } else { code })
}

fn register(common: &Common, console: &Console, panel: Panel) {
    let program = std::env::current_exe().map_or_else(|_| "dr".to_owned(), |path| path.display().to_string());
    let mut page = render::hook_registration(panel, &program);
    page.push_str("\n# what works it off, as soon as something was told:\n");
    let command = super::sites::command(common);
    for unit in render::hook_units(&command, &directory(common).display().to_string()) {
        let _ = write!(page, "cat > /etc/systemd/system/{} <<'END'\n{}END\n", unit.name, unit.text);
    }
    page.push_str("systemctl daemon-reload && systemctl enable --now dr-hooks.path\n");
    console.result(&page, &serde_json::json!({ "script": page }));
}
