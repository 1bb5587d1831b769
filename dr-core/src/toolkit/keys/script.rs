//! What runs on a host as root while it is locked down: small scripts for any POSIX shell. The last lines that they print, each
//! beginning with `dr `, are their answer; where there is none, the connection was lost or the shell is none.

use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{KEYWORDS, Revokes, SshdChange, Switch, shell_word};
use crate::world::{Control, World};

/// What every script begins with: where programs are, and how sshd is asked and told.
const PRELUDE: &str = r#"LC_ALL=C; export LC_ALL; umask 077; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin
[ "$(id -u)" = 0 ] || { echo "dr not-root"; exit 0; }
sshd=$(command -v sshd) || { echo "dr no-sshd"; exit 0; }
client=${DR_FROM:-127.0.0.1}; server=${DR_AT:-127.0.0.1}; port=${DR_PORT:-22}
ask() { user=$1; shift; "$sshd" -T "$@" -C "user=$user,host=$client,addr=$client,laddr=$server,lport=$port"; }
put() { if [ "$2" = empty ]; then : > "$1"; elif [ -n "$2" ]; then printf %s "$2" | base64 -d > "$1.dr-new" && chmod "$(mode "$1")" "$1.dr-new" && mv -f "$1.dr-new" "$1"; else rm -f "$1"; fi; }
mode() { stat -c %a "$1" 2>/dev/null || echo 644; }
holds() { if [ "$2" = empty ]; then [ -f "$1" ] && [ ! -s "$1" ]; elif [ -n "$2" ]; then printf %s "$2" | base64 -d | cmp -s - "$1"; else [ ! -e "$1" ]; fi; }
reload() {
  if [ -d /run/systemd/system ]; then
    for unit in ssh sshd; do systemctl -q is-active $unit.service && { systemctl reload $unit.service; return; }; done
    for unit in ssh sshd; do systemctl -q is-active $unit.socket && return 0; done
  fi
  file=$(ask root | sed -n 's/^[Pp]id[Ff]ile //p'); pid=$(cat "$file" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sshd ] && kill -HUP "$pid"
}
"#;

/// One at a time: whoever changes what sshd reads, or arms a switch, has looked before, and nobody comes in between. The lock is one of the system's on the directory, so
/// that it leaves nothing behind and ends with its holder; a host without flock(1) has none.
const ALONE: &str = "if command -v flock >/dev/null && [ -d /etc/ssh ]; then exec 9</etc/ssh; flock -w 60 9 || { echo 'dr busy'; exit 0; }; fi\n";

/// What a script answered: its `dr ` lines without that word, and everything else it printed.
pub(super) struct Said {
    pub(super) answers: Vec<String>,
    pub(super) text: String,
    pub(super) complaint: String,
}

impl Said {
    /// What follows this word in an answer.
    pub(super) fn answer(&self, word: &str) -> Option<&str> {
        self.answers.iter().find_map(|answer| {
            let rest = answer.strip_prefix(word)?;
            (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim())
        })
    }

    /// The first line of what a program complained about.
    pub(super) fn first_complaint(&self) -> String {
        let line = self.complaint.lines().map(str::trim).find(|line| !line.is_empty());
        line.unwrap_or("it does not say why").to_owned()
    }
}

/// Runs a script as root, by `sudo -n` where the account is not root itself.
pub(super) async fn as_root(world: &World, remote: &Remote, body: &str, control: &Control) -> Result<Said> {
    let script = shell_word(&format!("{PRELUDE}{body}"));
    let command = format!(
        "set -- $SSH_CONNECTION; if [ \"$(id -u)\" = 0 ]; then p=; else p='sudo -n'; fi; \
         $p env DR_FROM=\"$1\" DR_AT=\"$3\" DR_PORT=\"$4\" sh -c {script}"
    );
    let output = world.shell.run(remote, &command, control).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers = text.lines().filter_map(|line| line.strip_prefix("dr ")).map(str::to_owned).collect();
    let said = Said { answers, complaint: String::from_utf8_lossy(&output.stderr).into_owned(), text };
    let failed = |kind, why: String, hint: &str| {
        Err(Error::new(kind, format!("look after sshd on {remote}"), why).hint(hint))
    };
    if said.answer("no-sshd").is_some() {
        return failed(
            ErrorKind::Unsupported,
            "there is no OpenSSH sshd".to_owned(),
            "only OpenSSH can be locked down",
        );
    }
    if said.answers.is_empty() || said.answer("not-root").is_some() {
        let why = format!("the account may not: {}", said.first_complaint());
        return failed(
            ErrorKind::PermissionDenied,
            why,
            "use root, or let the account run sudo without a password",
        );
    }
    Ok(said)
}

/// Prints what there is to know before anything is changed: whether the configuration is right, its files, and what it means.
pub(super) fn look(accounts: &[Remote], drop_in: &str, main: &str) -> String {
    let names: Vec<String> = accounts.iter().map(|account| shell_word(&account.user.to_string())).collect();
    format!(
        "\"$sshd\" -t || {{ echo 'dr broken'; exit 0; }}\n\
         for f in {main} /etc/ssh/sshd_config.d/*; do [ -f \"$f\" ] && {{ echo \"dr file $f\"; sed 's/^/ /' \"$f\"; [ -z \"$(tail -c 1 \"$f\")\" ] || echo; }}; done\n\
         [ -e {drop_in} ] && echo \"dr drop-in $(base64 < {drop_in} | tr -d '\\n')\"; echo \"dr main $(base64 < {main} | tr -d '\\n')\"\n\
         for u in {}; do id -u \"$u\" >/dev/null 2>&1 || echo \"dr unknown $u\"; done\n\
         sed -n 's/^\\([^:]*\\):\\$.*/dr has-password \\1/p' /etc/shadow 2>/dev/null; echo 'dr end'\n",
        names.join(" ")
    )
}

/// Asks sshd what a configuration would mean, without any of it being in effect: `conf` is the main file, `extra` one that it may
/// include by the path `$dir/extra`.
pub(super) fn rehearse(accounts: &[Remote], conf_base64: &str, extra_base64: &str) -> String {
    format!(
        "dir=$(mktemp -d /run/dr-rehearse.XXXXXX) && trap 'rm -rf \"$dir\"' EXIT\n\
         printf %s {extra_base64} | base64 -d > \"$dir/extra\"; printf %s {conf_base64} | base64 -d | sed \"s,@DR@,$dir/extra,\" > \"$dir/conf\"\n\
         {}\necho 'dr end'\n",
        judge(accounts, "-f \"$dir/conf\"", "echo \"dr open $user $said\"")
    )
}

/// Asks sshd about every account; `otherwise` runs where a keyword is not off, with `$user` and `$said`.
fn judge(accounts: &[Remote], how: &str, otherwise: &str) -> String {
    let names: Vec<String> = accounts.iter().map(|account| shell_word(&account.user.to_string())).collect();
    let keywords = KEYWORDS.join("|");
    format!(
        "for account in {}; do said=$(ask \"$account\" {how} 2>&1) || {{ user=$account; said=\"cannot be asked\"; {otherwise}; continue; }}\n\
         user=$account; said=$(printf '%s\\n' \"$said\" | grep -iE '^({keywords}) ' | grep -ivE ' no$' | head -n 1); \
         [ -z \"$said\" ] || {{ {otherwise}; }}; done",
        names.join(" ")
    )
}

/// The change itself, with everything that must be so before it and after it.
pub(super) fn change(step: &SshdChange, from: &str, to: &str) -> String {
    let path = shell_word(&step.path);
    let mut script = format!("{ALONE}file={path}; from={}; to={}\n", shell_word(from), shell_word(to));
    if let Some(name) = &step.switch {
        script.push_str("\"$sshd\" -t || { echo 'dr broken'; exit 0; }\n");
        script.push_str(&format!(
            "s={}; [ -e \"$s/armed\" ] && kill -0 \"$(cat \"$s/pid\")\" 2>/dev/null || {{ echo 'dr unarmed'; exit 0; }}\n",
            place(name)
        ));
    }
    if let Some(revokes) = &step.revokes {
        script.push_str(&judge_list(revokes));
        if revokes.is_list(&step.path) {
            return script + CHANGE_LIST;
        }
        script.push_str("verdict \"$list\" || exit 0\n");
    }
    script.push_str(
        "holds \"$file\" \"$to\" || holds \"$file\" \"$from\" || { echo 'dr conflict'; exit 0; }\n\
         umask 022; mkdir -p \"$(dirname \"$file\")\"; put \"$file\" \"$to\" || { put \"$file\" \"$from\"; echo 'dr unwritten'; exit 0; }\n",
    );
    if step.switch.is_some() {
        script.push_str("\"$sshd\" -t || { put \"$file\" \"$from\"; echo 'dr broken-by-it'; exit 0; }\n");
        if let Some(says) = &step.says {
            for line in says.iter().map(|line| shell_word(line)) {
                script.push_str(&format!(
                    "ask root 2>/dev/null | grep -iqxF {line} || {{ put \"$file\" \"$from\"; echo \"dr open\" not {line}; exit 0; }}\n"
                ));
            }
        } else if step.revokes.is_some() {
            script.push_str(
                "ask root 2>/dev/null | grep -iqE \"^revokedkeys (.* )?$list( |\\$)\" || \\\n\
                 { put \"$file\" \"$from\"; echo 'dr open: it names another list of revoked keys'; exit 0; }\n",
            );
        } else {
            script.push_str(&judge(
                &step.accounts,
                "",
                "put \"$file\" \"$from\"; echo \"dr open $user $said\"; exit 0",
            ));
        }
        script.push_str("\nreload || { put \"$file\" \"$from\"; echo 'dr no-reload'; exit 0; }\n");
    } else {
        // What opens is written whatever else is wrong; but a configuration that is not right would end sshd.
        script.push_str(
            "\"$sshd\" -t || { echo 'dr broken'; exit 0; }\nreload || { echo 'dr no-reload'; exit 0; }\n",
        );
    }
    if let (true, Some(name)) = (step.is_marked(), &step.switch) {
        script.push_str(&format!(": > {}/read\n", place(name)));
    }
    // sshd takes a moment to start itself anew.
    script + "sleep 1; echo 'dr done'\n"
}

/// The function `verdict FILE`: whether ssh-keygen says of this list what it must say.
fn judge_list(revokes: &Revokes) -> String {
    let ask = |line: &String, status: u8| {
        let line = shell_word(line);
        format!(
            "printf '%s\\n' {line} > \"$dir/k.pub\"; ssh-keygen -Q -f \"$1\" \"$dir/k.pub\" >/dev/null 2>\"$dir/why\"; \
             [ $? = {status} ] || {{ cat \"$dir/why\" >&2; echo \"dr list-wrong {status}\"; return 1; }}\n"
        )
    };
    let gone: String = revokes.gone.iter().map(|line| ask(line, 1)).collect();
    let kept: String = revokes.kept.iter().map(|line| ask(line, 0)).collect();
    format!(
        "list={}; command -v ssh-keygen >/dev/null || {{ echo 'dr no-keygen'; exit 0; }}\n\
         dir=$(mktemp -d /run/dr-list.XXXXXX) && trap 'rm -rf \"$dir\"' EXIT\n\
         verdict() {{ [ -f \"$1\" ] || {{ echo 'dr list-wrong none'; return 1; }}\n{gone}{kept}return 0; }}\n",
        shell_word(&revokes.list)
    )
}

/// The list gets its name once it is proven; sshd reads it for every login, and is told nothing. It is never taken away while sshd
/// names it.
const CHANGE_LIST: &str = r#"holds "$file" "$to" && { echo 'dr done'; exit 0; }
holds "$file" "$from" || { echo 'dr conflict'; exit 0; }
if [ -z "$to" ]; then
  ask root 2>/dev/null | grep -iqE "^revokedkeys (.* )?$list( |\$)" && { echo 'dr list-wrong in-use'; exit 0; }
  rm -f "$file"; echo 'dr done'; exit 0
fi
[ "$to" = empty ] && { put "$file" empty; echo 'dr done'; exit 0; }
printf %s "$to" | base64 -d > "$file.dr-new" && chmod 644 "$file.dr-new" || { rm -f "$file.dr-new"; echo 'dr unwritten'; exit 0; }
verdict "$file.dr-new" || { rm -f "$file.dr-new"; exit 0; }
sync "$file.dr-new" 2>/dev/null
holds "$file" "$from" || { rm -f "$file.dr-new"; echo 'dr conflict'; exit 0; }
mv -f "$file.dr-new" "$file"; echo 'dr done'
"#;

/// Prints what sshd says of its configuration, and every host key of it: `key PATH LINE`.
pub(super) const HOST_KEYS: &str = r#"ask root | sed 's/^/ /'; ask root | sed -n 's/^[Hh]ost[Kk]ey //p' | while read -r f; do
  [ -r "$f.pub" ] && echo "dr key $f $(head -n 1 "$f.pub")"; done; echo 'dr end'
"#;

/// Whether sshd has read what a change under this switch wrote.
pub(super) fn was_read(name: &str) -> String {
    format!("if [ -e {}/read ]; then echo 'dr read'; else echo 'dr unread'; fi\n", place(name))
}

/// Whether the file holds what it held before, or what it shall hold. A list of revoked keys that others changed meanwhile is as it shall be if it
/// revokes what it must.
pub(super) fn state(step: &SshdChange, from: &str, to: &str) -> String {
    let (path, from, to) = (shell_word(&step.path), shell_word(from), shell_word(to));
    let list =
        step.revokes.as_ref().filter(|revokes| revokes.is_list(&step.path) && !revokes.gone.is_empty());
    let other = list.map_or_else(String::new, |revokes| {
        format!(
            "{}if verdict \"$list\" >/dev/null 2>&1; then echo 'dr to'; exit 0; fi\n",
            judge_list(revokes)
        )
    });
    format!(
        "if holds {path} {to}; then echo 'dr to'; elif holds {path} {from}; then echo 'dr from'; else {other} echo 'dr other'; fi\n"
    )
}

fn place(name: &str) -> String {
    shell_word(&format!("/run/dr-switch-{name}"))
}

/// Whether the switch is armed and its process lives.
pub(super) fn switch_state(name: &str) -> String {
    format!(
        "s={}; if [ -e \"$s/armed\" ] && kill -0 \"$(cat \"$s/pid\")\" 2>/dev/null; then echo 'dr armed'; \
         elif [ -e \"$s/fired\" ]; then echo 'dr fired'; else echo 'dr idle'; fi\n",
        place(&name.replace('/', "_"))
    )
}

/// Arms it: a process that outlives this connection, in no terminal and, where systemd is, in a unit of its own.
pub(super) fn arm(switch: &Switch, restore: &str) -> String {
    let seconds = switch.after.as_secs().max(5);
    // Claiming it by a rename: of disarming and firing, exactly one happens.
    let waiting = format!(
        "{PRELUDE}s={}; echo $$ > \"$s/pid\"; i=0\n\
         while [ $i -lt {seconds} ]; do sleep 1; [ -e \"$s/armed\" ] || exit 0; i=$((i+1)); done\n\
         mv \"$s/armed\" \"$s/fired\" || exit 0\n\
         put {} {}; \"$sshd\" -t && reload\n",
        place(&switch.name),
        shell_word(&switch.path),
        shell_word(restore)
    );
    format!(
        "{ALONE}s={}; for other in /run/dr-switch-*; do [ -e \"$other/armed\" ] && [ \"$other\" != \"$s\" ] && \
         kill -0 \"$(cat \"$other/pid\")\" 2>/dev/null && {{ echo 'dr busy'; exit 0; }}; done\n\
         mkdir -p \"$s\"; rm -f \"$s/pid\" \"$s/fired\"; : > \"$s/armed\"; printf %s {} > \"$s/wait\"\n\
         export DR_FROM=$client DR_AT=$server DR_PORT=$port\n\
         if [ -d /run/systemd/system ] && systemd-run --quiet --collect sh \"$s/wait\" 2>/dev/null; then :; else \
         setsid sh \"$s/wait\" </dev/null >/dev/null 2>&1 9>&- & fi\n\
         for i in 1 2 3 4 5 6 7 8 9 10; do [ -s \"$s/pid\" ] && break; sleep 0.2 2>/dev/null || sleep 1; done\n\
         if kill -0 \"$(cat \"$s/pid\")\" 2>/dev/null; then echo 'dr armed'; else rm -f \"$s/armed\"; echo 'dr idle'; fi\n",
        place(&switch.name),
        shell_word(&waiting)
    )
}

/// Disarms it; what it left behind goes too, unless it has fired.
pub(super) fn disarm(switch: &Switch) -> String {
    format!(
        "s={}; if mv \"$s/armed\" \"$s/gone\" 2>/dev/null; then kill \"$(cat \"$s/pid\")\" 2>/dev/null; rm -rf \"$s\"; fi; echo 'dr idle'\n",
        place(&switch.name)
    )
}
