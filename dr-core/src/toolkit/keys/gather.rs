//! What a host says about its accounts and their key files: small scripts for any POSIX shell, and their answers.

use super::place::Remark;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{AccountSeen, Effective, FileSeen, Group, Holds, HostSeen, PathSeen, User, shell_word};
use crate::world::{Control, World};

/// So many files are asked for in one command: a command line may have 128 KiB.
const FILES_AT_ONCE: usize = 100;
/// The keywords of `sshd -T` that matter here; the whole of it for many accounts would be too much.
const KEYWORDS: &str = "passwordauthentication|kbdinteractiveauthentication|challengeresponseauthentication|usepam|permitrootlogin\
                        |pubkeyauthentication|authenticationmethods|authorizedkeysfile|authorizedkeyscommand|allowagentforwarding|revokedkeys\
                        |strictmodes|trustedusercakeys|hostcertificate|authorizedprincipalsfile|authorizedprincipalscommand";

/// Looks at every account of a host if it may (as root), otherwise at the one that was logged in to. Gives what could not be
/// looked at beside what was seen.
pub(super) async fn host(
    world: &World,
    name: &str,
    remote: &Remote,
    control: &Control,
) -> Result<(HostSeen, Vec<String>)> {
    let mut unseen = vec![];
    let text = said(world, remote, &accounts_script(), control).await?;
    let (mut host, me) = parse_accounts(name, &text);
    if host.accounts.is_empty() {
        unseen.push(format!("the accounts beside {me}, and what sshd does for {me}: only root may ask it"));
        host.accounts.push(AccountSeen { account: me, ..AccountSeen::default() });
    }
    let wanted = wanted_files(&host);
    for some in wanted.chunks(FILES_AT_ONCE) {
        let text = said(world, remote, &files_script(some), control).await?;
        for (wanted, mut file) in parse_files(some, &text) {
            match world.shell.read_file(remote, &file.path).await {
                Ok(Some(content)) => file.content = content,
                Ok(None) => continue,
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    unseen.push(format!("{}: {}", file.path, error.message()));
                    continue;
                }
                Err(error) => return Err(error),
            }
            wanted.found(&mut host, file);
        }
    }
    for path in wanted.iter().filter(|wanted| wanted.what == Holds::Authorities).map(|wanted| &wanted.path) {
        if host.authorities.iter().all(|file| file.path != *path)
            && unseen.iter().all(|why| !why.starts_with(path))
        {
            unseen.push(format!("{path}: TrustedUserCAKeys names it, and it is not there: no user's certificate opens anything"));
        }
    }
    Ok((host, unseen))
}

/// Looks at the account that is logged in to, with the way to its key files but not their content, and at what else may keep sshd from
/// them.
pub(super) async fn account(
    world: &World,
    remote: &Remote,
    control: &Control,
) -> Result<(HostSeen, Vec<Remark>)> {
    let text = said(world, remote, &account_script(), control).await?;
    let mut host = parse_accounts(&remote.host, &text).0;
    let wanted = wanted_files(&host);
    let ways = said(world, remote, &files_script(&wanted), control).await?;
    for (wanted, file) in parse_files(&wanted, &ways) {
        wanted.found(&mut host, file);
    }
    let remarks = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(word, rest)| Remark::parse(word, rest));
    Ok((host, remarks.collect()))
}

/// A file that decides who may log in.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    what: Holds,
    /// The account among those of the host for which it was named.
    account: usize,
    path: String,
    home: String,
}

impl Wanted {
    fn found(&self, host: &mut HostSeen, file: FileSeen) {
        match self.what {
            Holds::Authorities => host.authorities.push(file),
            Holds::Principals => host.accounts[self.account].principals = Some(file),
            _ => host.accounts[self.account].files.push(file),
        }
    }
}

fn wanted_files(host: &HostSeen) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = vec![];
    for (account, seen) in host.accounts.iter().enumerate() {
        let Some(user) = host.users.iter().find(|user| user.name == seen.account) else { continue };
        let effective = seen.effective.clone().unwrap_or_default();
        let of = |what, path| Wanted { what, account, path, home: user.home.clone() };
        let keys = effective.key_files(&user.name, user.uid, &user.home);
        wanted.extend(keys.into_iter().map(|path| of(Holds::Keys, path)));
        let Some(authorities) = effective.authorities_file() else { continue };
        if wanted.iter().all(|file| file.what != Holds::Authorities || file.path != authorities) {
            wanted.push(of(Holds::Authorities, authorities.to_owned()));
        }
        let names = effective.principals_file(&user.name, user.uid, &user.home);
        wanted.extend(names.map(|path| of(Holds::Principals, path)));
    }
    wanted
}

/// What a script prints; its last line must be `end`, so that nothing was cut off.
async fn said(world: &World, remote: &Remote, script: &str, control: &Control) -> Result<String> {
    let output = world.shell.run(remote, script, control).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.lines().last() == Some("end") {
        return Ok(text);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = format!(
        "it did not answer as a POSIX shell does: {}",
        said.lines().next().unwrap_or("nothing was said")
    );
    Err(Error::new(ErrorKind::Unsupported, format!("look at the accounts of {remote}"), why)
        .hint("the account must have a shell like sh; a key with a forced command cannot look around"))
}

/// Prints every account and group and, for root, what sshd does for each account.
fn accounts_script() -> String {
    format!(
        "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin\n\
         echo \"zone $(date +%z)\"; echo \"me $(id -un)\"\n\
         users() {{ getent passwd 2>/dev/null || cat /etc/passwd; }}\n\
         users | sed 's/^/user /'; (getent group 2>/dev/null || cat /etc/group) | sed 's/^/group /'\n\
         set -- $SSH_CONNECTION\n\
         if [ \"$(id -u)\" = 0 ] && command -v sshd >/dev/null; then sshd=$(command -v sshd)\n\
         users | while IFS=: read -r user rest; do echo \"account $user\"\n\
         \"$sshd\" -T -C \"user=$user,host=$1,addr=$1,laddr=$3,lport=$4\" 2>/dev/null | grep -iE '^({KEYWORDS}) ' | sed 's/^/sshd /'\n\
         done\n\
         sed -n -e 's/^\\([^:]*\\):!!*\\$.*/password locked \\1/p;t' -e 's/^\\([^:]*\\):[!*].*/password never \\1/p;t' \
         -e 's/^\\([^:]*\\):.*/password set \\1/p' /etc/shadow 2>/dev/null; fi; echo end\n"
    )
}

/// Prints the account, what sshd does for it, and what is peculiar about its home directory. Who is not root asks sshd with a host key
/// that is made for the question: it wants one, and may not read its own.
fn account_script() -> String {
    format!(
        "LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin\n\
         me=$(id -un); echo \"me $me\"; echo \"account $me\"; set -- $SSH_CONNECTION\n\
         (getent passwd 2>/dev/null || cat /etc/passwd) | sed 's/^/user /'; (getent group 2>/dev/null || cat /etc/group) | sed 's/^/group /'\n\
         if sshd=$(command -v sshd); then at=\"user=$me,host=$1,addr=$1,laddr=$3,lport=$4\"\n\
         said=$(\"$sshd\" -T -C \"$at\" 2>/dev/null) || {{ d=$(mktemp -d) && ssh-keygen -q -t ed25519 -N '' -f \"$d/k\" && \
         said=$(\"$sshd\" -T -h \"$d/k\" -C \"$at\" 2>/dev/null); rm -rf \"$d\"; }}\n\
         printf '%s\\n' \"$said\" | grep -iE '^({KEYWORDS}) ' | sed 's/^/sshd /'; fi\n\
         cd && echo \"home-on $(stat -f -c %T . 2>/dev/null)\"\n\
         selinuxenabled 2>/dev/null && restorecon -nv .ssh .ssh/* 2>/dev/null | sed 's/^/label /'\necho end\n"
    )
}

fn parse_accounts(name: &str, text: &str) -> (HostSeen, String) {
    let mut host = HostSeen { host: name.to_owned(), ..HostSeen::default() };
    let (mut me, mut values) = (String::new(), String::new());
    let finish = |host: &mut HostSeen, values: &mut String| {
        if let Some(account) = host.accounts.last_mut().filter(|_| !values.is_empty()) {
            account.effective = Some(Effective::parse(values));
        }
        values.clear();
    };
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "zone" => host.zone_minutes = zone(rest).unwrap_or(0),
            "me" => me = rest.to_owned(),
            "user" => host.users.extend(User::parse(rest)),
            "group" => host.groups.extend(Group::parse(rest)),
            "account" => {
                finish(&mut host, &mut values);
                host.accounts.push(AccountSeen { account: rest.to_owned(), ..AccountSeen::default() });
            }
            // Its line comes after all accounts. The password itself never leaves the host.
            "password" => {
                let (seen, name) = rest.split_once(' ').unwrap_or_default();
                if let Some(account) = host.accounts.iter_mut().find(|account| account.account == name) {
                    account.password = seen.parse().unwrap_or_default();
                }
            }
            "sshd" => {
                values.push_str(rest);
                values.push('\n');
            }
            _ => {}
        }
    }
    finish(&mut host, &mut values);
    (host, me)
}

/// `+0130` as minutes.
fn zone(text: &str) -> Option<i32> {
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?;
    Some(if sign == "-" { -minutes } else { minutes })
}

/// Prints, for every file that exists, its number, its home directory and the way to it, real paths all.
fn files_script(wanted: &[Wanted]) -> String {
    let mut script = "LC_ALL=C; export LC_ALL\nlook() { r=$(readlink -f \"$2\") && [ -f \"$r\" ] || return; echo \"file $1\"; \
                      echo \"home $(readlink -f \"$3\")\"; while :; do ls -ldn \"$r\" | sed 's/^/way /'; [ \"$r\" = / ] && break; \
                      r=$(dirname \"$r\"); done; }\n"
        .to_owned();
    for (number, file) in wanted.iter().enumerate() {
        script.push_str(&format!("look {number} {} {}\n", shell_word(&file.path), shell_word(&file.home)));
    }
    script + "echo end\n"
}

fn parse_files<'a>(wanted: &'a [Wanted], text: &str) -> Vec<(&'a Wanted, FileSeen)> {
    let mut files: Vec<(&Wanted, FileSeen)> = vec![];
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word, files.last_mut()) {
            ("file", _) => {
                let found = rest.parse().ok().and_then(|number: usize| wanted.get(number));
                files.extend(
                    found.map(|wanted| {
                        (wanted, FileSeen { path: wanted.path.clone(), ..FileSeen::default() })
                    }),
                );
            }
            ("home", Some((_, file))) => rest.clone_into(&mut file.home),
            ("way", Some((_, file))) => file.way.extend(PathSeen::parse(rest)),
            _ => {}
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PasswordSeen;

    #[test]
    fn a_host_is_read_from_what_it_says() {
        let text = "zone -0330\nme root\nuser root:x:0:0:root:/root:/bin/sh\nuser ann:x:7:7::/home/ann:/bin/sh\n\
                    group web:x:33:ann\naccount root\nsshd passwordauthentication no\naccount ann\n\
                    password locked ann\npassword never daemon\nend\n";
        let (host, me) = parse_accounts("uk", text);
        assert_eq!(
            (host.zone_minutes, me.as_str(), host.users.len(), host.groups.len()),
            (-210, "root", 2, 1)
        );
        assert_eq!(host.accounts[0].effective.as_ref().unwrap().value("PasswordAuthentication"), Some("no"));
        assert_eq!(host.accounts[1].effective, None, "sshd said nothing about her");
        let passwords = [0, 1].map(|at| host.accounts[at].password);
        assert_eq!(passwords, [PasswordSeen::Unknown, PasswordSeen::Locked]);
        let wanted = [Wanted {
            what: Holds::Keys,
            account: 1,
            path: "/home/ann/.ssh/authorized_keys".to_owned(),
            home: "/home/ann".to_owned(),
        }];
        let way = "file 0\nhome /home/ann\nway -rw------- 1 7 7 80 Nov 22 03:00 /home/ann/.ssh/authorized_keys\nfile 9\nend\n";
        let files = parse_files(&wanted, way);
        assert_eq!((files.len(), files[0].0, files[0].1.way[0].mode), (1, &wanted[0], 0o600));
    }
}
