//! The agent as services of systemd.

use super::Unit;

/// The units of an agent and its warden (systemd.service(5)). `command` is what runs `dr` with the estate, `settings` the file that says what
/// the agent is: words that need no quoting.
///
/// The warden is a unit of its own: it must not end with the agent. Stopping it stops the services of sites that are moved without a
/// person, because nobody else would stop them at their time.
///
/// ```
/// let units = dr_core::render::agent_units("/usr/local/bin/dr --estate /etc/dr/dr.toml", "/etc/dr/agent.json");
/// assert_eq!(units[0].name, "dr-agent.service");
/// assert!(units[0].text.contains("Type=notify\n") && units[0].text.contains("WatchdogSec="));
/// assert!(units[1].text.contains("agent --warden\n"));
/// ```
#[must_use]
pub fn agent_units(command: &str, settings: &str) -> [Unit; 2] {
    let agent = format!(
        "[Unit]\nDescription=Agent of dr: seats and votes\nWants=network-online.target dr-warden.service\n\
         After=network-online.target dr-warden.service\n\n\
         [Service]\nType=notify\nNotifyAccess=main\nExecStart={command} agent --run {settings}\n\
         Restart=always\nRestartSec=1\nWatchdogSec=30\nTimeoutStopSec=10\nOOMScoreAdjust=-500\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    let warden = format!(
        "[Unit]\nDescription=Warden of dr: stops services at their time\nBefore=dr-agent.service\n\n\
         [Service]\nExecStart={command} agent --warden\n\
         # What it starts is not its own: it outlives the warden, as services do.\n\
         KillMode=process\nRestart=always\nRestartSec=0\nOOMScoreAdjust=-1000\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    let unit = |name: &str, text| Unit { name: name.to_owned(), text };
    [unit("dr-agent.service", agent), unit("dr-warden.service", warden)]
}
