//! How a panel is told to call `dr hook`, and what works its telling off.

use std::fmt::Write;

use super::Unit;
use crate::estate::Panel;

/// What registers `dr hook` with a panel: files to put in place, and commands to run as root, as one page with comments. `command` is
/// what runs `dr`: a program, and words that need no quoting.
///
/// ```
/// use dr_core::{estate::Panel, render};
/// let page = render::hook_registration(Panel::Plesk, "/usr/local/bin/dr");
/// assert!(page.contains("-event site_update -priority 50 -user root -command \"/usr/local/bin/dr hook plesk site_update\"\n"));
/// ```
#[must_use]
pub fn hook_registration(panel: Panel, command: &str) -> String {
    let mut page = format!("# {panel} calls dr hook {panel}; run this as root\n");
    let mut file = |path: &str, mode: &str, text: &str| {
        let _ = write!(page, "cat > {path} <<'END'\n{text}\nEND\nchmod {mode} {path}\n");
    };
    match panel {
        Panel::Cpanel => {
            let script = "/usr/local/cpanel/3rdparty/bin/dr-hook";
            file(script, "755", &format!("#!/bin/sh\nexec {command} hook cpanel \"$@\""));
            let _ = writeln!(page, "/usr/local/cpanel/bin/manage_hooks add script {script}");
        }
        Panel::Plesk => {
            for event in PLESK {
                let _ = writeln!(
                    page,
                    "plesk bin event_handler --create -event {event} -priority 50 -user root -command \"{command} hook plesk {event}\""
                );
            }
        }
        Panel::Directadmin => {
            let custom = "/usr/local/directadmin/scripts/custom";
            for event in DIRECTADMIN {
                let path = format!("{custom}/{event}/dr.sh");
                let _ = writeln!(page, "mkdir -p {custom}/{event}");
                // What a script prints is shown to whoever clicked.
                let text = format!("#!/bin/sh\n{command} hook directadmin {event} >/dev/null 2>&1\nexit 0");
                let _ = write!(
                    page,
                    "cat > {path} <<'END'\n{text}\nEND\nchmod 700 {path}\nchown diradmin:diradmin {path}\n"
                );
            }
        }
        Panel::Hestia => {
            file(
                "/etc/hestiacp/hooks/le_post.sh",
                "755",
                &format!("#!/bin/sh\n{command} hook hestia le_post \"$@\" || true"),
            );
            page.push_str("# and beside each web template that is in use (user, domain, address, home and docroot are its arguments):\n");
            let template = "/usr/local/hestia/data/templates/web/nginx/default.sh";
            let text = format!("#!/bin/sh\n{command} hook hestia web_template \"$@\" || true");
            let _ = write!(page, "cat > {template} <<'END'\n{text}\nEND\nchmod 755 {template}\n");
        }
        Panel::Virtualmin => {
            page.push_str("# Virtualmin Configuration, Actions upon server and user creation, Command to run after making changes to a server\n");
            let config = "/etc/webmin/virtual-server/config";
            let _ = writeln!(page, "sed -i '/^post_command=/d' {config}");
            let _ = writeln!(page, "echo 'post_command={command} hook virtualmin' >> {config}");
        }
        #[allow(unreachable_patterns, reason = "panels may be added")]
        _ => {}
    }
    page
}

/// Events of Plesk after which files or records are others.
const PLESK: [&str; 10] = [
    "domain_create",
    "domain_update",
    "domain_delete",
    "site_create",
    "site_update",
    "site_delete",
    "phys_hosting_create",
    "phys_hosting_update",
    "domain_dns_update",
    "site_dns_update",
];
/// Hooks of DirectAdmin that run after the fact: those before it could stop the panel's operation.
const DIRECTADMIN: [&str; 6] = [
    "domain_create_post",
    "domain_change_post",
    "domain_destroy_post",
    "subdomain_create_post",
    "dns_write_post",
    "user_restore_post_pre_cleanup",
];

/// What cPanel's `manage_hooks` asks a script for with `--describe`: the events after which it is called, as JSON.
///
/// ```
/// let described = dr_core::render::cpanel_description("/usr/local/cpanel/3rdparty/bin/dr-hook");
/// assert!(described.starts_with(r#"[{"category":"Whostmgr","event":"Accounts::Create","stage":"post""#), "{described}");
/// ```
#[must_use]
pub fn cpanel_description(script: &str) -> String {
    const EVENTS: [(&str, &str); 7] = [
        ("Whostmgr", "Accounts::Create"),
        ("Whostmgr", "Accounts::Modify"),
        ("Whostmgr", "Accounts::Remove"),
        ("Cpanel", "Api2::AddonDomain::addaddondomain"),
        ("Cpanel", "Api2::AddonDomain::deladdondomain"),
        ("Cpanel", "Api2::SubDomain::addsubdomain"),
        ("PkgAcct", "Restore"),
    ];
    let script = serde_json::Value::from(script);
    let hook = |(category, event): (&str, &str)| {
        // Without these privileges cPanel's own category would run it as the customer, in whose home nobody looks.
        format!(
            "{{\"category\":\"{category}\",\"event\":\"{event}\",\"stage\":\"post\",\"hook\":{script},\"exectype\":\"script\",\"escalateprivs\":1}}"
        )
    };
    format!("[{}]", EVENTS.map(hook).join(","))
}

/// A service that works off what panels told, and a path unit (systemd.path(5)) that starts it as soon as something waits in the
/// directory; a timer tries again what failed.
///
/// ```
/// let units = dr_core::render::hook_units("/usr/local/bin/dr --estate /etc/dr/dr.toml", "/var/lib/dr/hooks");
/// assert!(units[1].text.contains("PathExistsGlob=/var/lib/dr/hooks/*.json\n"));
/// ```
#[must_use]
pub fn hook_units(command: &str, directory: &str) -> Vec<Unit> {
    let about = "Description=What hosting panels told dr";
    let unit = |name: &str, text: String| Unit { name: name.to_owned(), text };
    vec![
        unit(
            "dr-hooks.service",
            // Whatever stays is there still: without a pause the path unit would start it again at once.
            format!(
                "[Unit]\n{about}\nWants=network-online.target\nAfter=network-online.target\nStartLimitIntervalSec=0\n\n\
                 [Service]\nType=oneshot\nExecStart={command} hook run\nExecStopPost=/bin/sleep 30\n\
                 SuccessExitStatus=1 15\nNice=10\nIOSchedulingClass=idle\n"
            ),
        ),
        unit(
            "dr-hooks.path",
            format!(
                "[Unit]\n{about}\n\n[Path]\nPathExistsGlob={directory}/*.json\n\n[Install]\nWantedBy=paths.target\n"
            ),
        ),
    ]
}
