//! From options and files to a toolkit. Only here does `dr` look at the environment and the home directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dr_core::estate::TsigAlgorithm;
use dr_core::toolkit::{Settings, Toolkit};
use dr_core::world::endpoints::Agents;
use dr_core::world::ssh::Access;
use dr_core::{DnsName, Error, ErrorKind, Estate, Remote, Result, Secret};

use crate::args::Common;
use crate::notify::Manager;

/// Who asked: for the journal.
pub(crate) fn asked_by() -> String {
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    format!("{} with dr", user.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw())))
}

/// The estate's file: the one that was named, or the one that is there.
pub(crate) fn estate_path(common: &Common) -> Option<PathBuf> {
    let usual = ["dr.toml", "/etc/dr/dr.toml"].map(PathBuf::from).into_iter().find(|path| path.exists());
    common.estate.clone().or(usual)
}

/// The estate that was named, or the one that is there; none if there is none and none was named.
pub(crate) fn estate(common: &Common) -> Result<Option<Estate>> {
    estate_path(common).map(|path| Estate::load(&path)).transpose()
}

/// The estate, for a command that cannot do without.
pub(crate) fn needed_estate(common: &Common) -> Result<Estate> {
    estate(common)?.ok_or_else(|| {
        Error::new(ErrorKind::Usage, "find the estate", "there is neither ./dr.toml nor /etc/dr/dr.toml")
            .hint("name it with --estate FILE; docs/estate.md shows a small one")
    })
}

/// TSIG keys with their secrets, by name.
pub(crate) type TsigKeys = BTreeMap<DnsName, (TsigAlgorithm, Secret)>;

/// What the agent of this host asks other agents with: by this key and no other, if there is one.
pub(crate) fn asking_access(common: &Common, estate: &Estate, login: Option<&Path>) -> Access {
    let mut access = usual_access(common);
    if let Some(login) = login {
        (access.identities, access.use_agent) = (vec![login.to_owned()], None);
    }
    for host in estate.hosts.values().filter(|host| !host.host_keys.is_empty()) {
        access.pins.insert(host.ssh.known_hosts_name(), host.host_keys.clone());
    }
    access.connect_timeout = std::time::Duration::from_secs(3);
    access
}

/// The home directory of whoever runs it.
pub(crate) fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The service manager that started this process, if one did.
pub(crate) fn service_manager() -> Manager {
    let said = |name| std::env::var(name).ok();
    Manager::new(said("NOTIFY_SOCKET").as_deref(), said("WATCHDOG_USEC").as_deref())
}

/// A toolkit over the real world.
pub(crate) fn toolkit(common: &Common, estate: Estate) -> Result<Toolkit> {
    toolkit_with(common, estate, vec![], TsigKeys::new())
}

/// The same, with secrets that the estate does not have.
pub(crate) fn toolkit_with(
    common: &Common,
    estate: Estate,
    passwords: Vec<(Remote, Secret)>,
    tsig_keys: TsigKeys,
) -> Result<Toolkit> {
    let mut access = usual_access(common);
    access.passwords.extend(passwords);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let journal = common.journal.clone().unwrap_or_else(|| default_journal(home.as_deref()));
    Toolkit::open(Settings { estate, journal, access, tsig_keys, agents: agents(common) })
}

/// A toolkit for what needs no secret: what was done is told, and services are looked at, also where one is lost.
pub(crate) fn without_secrets(common: &Common, estate: &Estate) -> Result<Toolkit> {
    let mut policy = estate.policy.clone();
    policy.mirrors.seal_file = None;
    toolkit(common, Estate { policy, ..Estate::default() })
}

/// Keys and known hosts as they were named, or as the user usually has them.
fn usual_access(common: &Common) -> Access {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let mut access = Access { identities: common.identity.clone(), ..Access::default() };
    access.known_hosts.clone_from(&common.known_hosts);
    if let Some(ssh) = home.as_ref().map(|home| home.join(".ssh")) {
        if access.identities.is_empty() {
            access.identities.extend(Some(ssh.join("id_ed25519")).filter(|path| path.exists()));
        }
        if access.known_hosts.is_empty() {
            access.known_hosts = vec![ssh.join("known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")];
        }
    }
    access.identities.extend(common.beside.iter().cloned());
    if common.identity.is_empty() {
        access.use_agent = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    }
    access
}

/// What the account of an agent reaches other hosts with: its own keys, and nobody's ssh-agent.
pub(crate) fn own_access() -> Access {
    let ssh = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh"));
    let at = |name: &str| ssh.as_ref().map(|ssh| ssh.join(name));
    let keys = ["id_ed25519", "id_ecdsa", "id_rsa"].into_iter().filter_map(at);
    let known = at("known_hosts").into_iter().chain([PathBuf::from("/etc/ssh/ssh_known_hosts")]);
    Access {
        identities: keys.filter(|path| path.exists()).collect(),
        known_hosts: known.collect(),
        // A firewall that says nothing must not hold up a mirror that can go another way.
        connect_timeout: std::time::Duration::from_secs(5),
        ..Access::default()
    }
}

/// The socket of the ssh-agent, for a command that cannot do without.
pub(crate) fn agent_socket() -> Result<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find the ssh-agent", "SSH_AUTH_SOCK is not set")
            .hint("start one: eval $(ssh-agent)")
    })
}

/// The known_hosts file to which new host keys are added: the first that was named, or the user's own.
pub(crate) fn known_hosts(common: &Common) -> Option<PathBuf> {
    let own = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".ssh/known_hosts"));
    common.known_hosts.first().cloned().or_else(own)
}

/// The resolver of this machine: the first that /etc/resolv.conf names, or the one on this machine if it names none (resolv.conf(5)).
pub(crate) fn system_resolver() -> std::result::Result<std::net::SocketAddr, String> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let named =
        text.lines().find_map(|line| line.trim().strip_prefix("nameserver")?.split_whitespace().next());
    dr_core::estate::server_address(named.unwrap_or("127.0.0.1"))
}

/// What starts this command where it runs within another program.
static WITHIN: OnceLock<PathBuf> = OnceLock::new();

/// Remembers that this command runs within another program, and what starts it there.
pub(crate) fn started_by(program: PathBuf) {
    // The first one stays: a process is started once.
    let _ = WITHIN.set(program);
}

/// What starts this command.
pub(crate) fn program() -> Result<PathBuf> {
    match WITHIN.get() {
        Some(program) => Ok(program.clone()),
        None => std::env::current_exe().map_err(|why| Error::io("find this program", why)),
    }
}

/// Which agents serve trees on hosts; where there is none, this executable can be put.
fn agents(common: &Common) -> Agents {
    let binary = std::env::current_exe().ok().filter(|_| WITHIN.get().is_none());
    Agents { off: common.no_agent, path: common.agent_path.clone(), binary, ..Agents::default() }
}

fn default_journal(home: Option<&Path>) -> PathBuf {
    default_state(home).join("journal.db")
}

/// Where dr remembers things, for whoever runs it.
pub(crate) fn state_dir() -> PathBuf {
    default_state(std::env::var_os("HOME").map(PathBuf::from).as_deref())
}

/// Where the agent of this host keeps its files and its sockets.
pub(crate) fn agent_dir() -> PathBuf {
    state_dir().join("agent")
}

/// In the user's state directory (XDG base directory specification); for root, `/var/lib/dr` if no such directory is named.
fn default_state(home: Option<&Path>) -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    if state.is_none() && rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/dr");
    }
    let state = state.or_else(|| home.map(|home| home.join(".local/state")));
    state.unwrap_or_else(|| PathBuf::from(".")).join("dr")
}

/// The first line of a file that holds a secret. The file must be readable by its owner only.
pub(crate) fn secret_file(path: &Path) -> Result<Secret> {
    dr_core::toolkit::read_secret_file(path)
}

/// A secret from the terminal, not echoed.
pub(crate) fn ask_secret(prompt: &str) -> Result<Secret> {
    rpassword::prompt_password(prompt).map(Secret::new).map_err(|why| {
        Error::io("ask on the terminal", why).hint("without a terminal, give the secret in a file")
    })
}
