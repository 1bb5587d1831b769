//! StrictModes: whether sshd trusts a key file at all, by the rules of both generations that are about.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An account as the host's user database has it.
///
/// ```
/// use dr_core::keys::User;
/// let user = User::parse("ann:x:1000:100:Ann:/home/ann:/bin/sh").unwrap();
/// assert_eq!((user.name.as_str(), user.uid, user.home.as_str()), ("ann", 1000, "/home/ann"));
/// assert!(user.can_log_in());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The number of its first group.
    pub gid: u32,
    /// Its home directory.
    pub home: String,
    /// Its shell.
    pub shell: String,
}

impl User {
    /// Reads a line of passwd(5).
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        let text = |field: &str| field.to_owned();
        Some(Self { name: text(name), uid, gid, home: text(home), shell: text(shell) })
    }

    /// Whether its shell is one that runs commands. With another one a key can still forward connections.
    #[must_use]
    pub fn can_log_in(&self) -> bool {
        !(self.shell.ends_with("/nologin") || self.shell.ends_with("/false") || self.shell.ends_with("/sync"))
    }
}

/// One place on the way to a key file, as `ls -ldn` lists it.
///
/// ```
/// use dr_core::keys::PathSeen;
/// let seen = PathSeen::parse("drwxrwxr-x 5 1000 100 4096 Nov 22 03:00 /home/ann").unwrap();
/// assert_eq!((seen.uid, seen.gid, seen.mode, seen.path.as_str()), (1000, 100, 0o775, "/home/ann"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSeen {
    /// Where.
    pub path: String,
    /// Its owner's number.
    pub uid: u32,
    /// Its group's number.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl PathSeen {
    /// Reads a line of `ls -ldn`.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mode = words.next()?.as_bytes();
        let (uid, gid) = (words.nth(1)?.parse().ok()?, words.next()?.parse().ok()?);
        let path: Vec<&str> = words.skip(4).collect();
        if mode.len() < 10 || path.is_empty() {
            return None;
        }
        let bits = mode[1..10]
            .iter()
            .fold(0, |bits, letter| bits << 1 | u32::from(!matches!(letter, b'-' | b'S' | b'T')));
        Some(Self { path: path.join(" "), uid, gid, mode: bits })
    }
}

/// Whether sshd trusts a file, and if not, why not.
///
/// ```
/// use dr_core::keys::{PathSeen, StrictModes, User};
/// let ann = User::parse("ann:x:1000:100:Ann:/home/ann:/bin/sh").unwrap();
/// let seen = |line| PathSeen::parse(line).unwrap();
/// let way = [
///     seen("-rw------- 1 1000 100 80 Nov 22 03:00 /home/ann/.ssh/authorized_keys"),
///     seen("drwx------ 2 1000 100 80 Nov 22 03:00 /home/ann/.ssh"),
///     seen("drwxrwxr-x 5 1000 100 80 Nov 22 03:00 /home/ann"),
///     seen("drwxrwxrwx 5 7 7 80 Nov 22 03:00 /home"),
/// ];
/// let strict = StrictModes::judge(&way, &ann, "/home/ann", &[ann.clone()], &[]);
/// assert_eq!(strict.upstream.unwrap(), "/home/ann can be written by its group (mode 775)");
/// assert_eq!(strict.debian, None, "nobody else is in that group; and above the home directory nothing is looked at");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrictModes {
    /// Why OpenSSH as its authors release it ignores the file; none if it reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Why Debian's and its children's ignore it: they let a group write that has no other member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debian: Option<String>,
}

/// A group and the accounts that are its members beside those whose first group it is.
///
/// ```
/// let group = dr_core::keys::Group::parse("web:x:33:ann,ben").unwrap();
/// assert_eq!((group.gid, group.members.len()), (33, 2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub gid: u32,
    /// Its members by name.
    pub members: Vec<String>,
}

impl Group {
    /// Reads a line of group(5).
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields.as_slice() else { return None };
        let members = members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some(Self { gid: gid.parse().ok()?, members })
    }
}

impl StrictModes {
    /// Judges a file by the way to it: the file itself first, then every directory upwards, all of their real paths
    /// (`safe_path` in OpenSSH, `secure_permissions` in Debian's). `home` is the real path of the home directory.
    #[must_use]
    pub fn judge(way: &[PathSeen], user: &User, home: &str, users: &[User], groups: &[Group]) -> Self {
        let mut verdict = Self::default();
        let below = way
            .first()
            .is_some_and(|file| file.path.starts_with(&format!("{}/", home.trim_end_matches('/'))));
        for seen in way {
            let refused = refusal(seen, user);
            let alone = seen.mode & 0o022 == 0o020 && is_alone_in(seen.gid, user, users, groups);
            let tolerated = alone && (seen.uid == 0 || seen.uid == user.uid);
            if verdict.debian.is_none() && !tolerated {
                verdict.debian.clone_from(&refused);
            }
            verdict.upstream = verdict.upstream.or(refused);
            if below && seen.path == home {
                break;
            }
        }
        verdict
    }

    /// Which of them ignore the file, whose lines are `what`, and why; none if both read it.
    pub(crate) fn in_words(&self, what: &str) -> Option<String> {
        let why = self.upstream.as_ref()?;
        Some(match self.debian {
            Some(_) => format!("sshd ignores all its {what}: {why}"),
            None => format!(
                "sshd ignores all its {what} unless it is Debian's or a child of it: {why}, and nobody else is in that group"
            ),
        })
    }

    /// Whether both read the file.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.upstream.is_none() && self.debian.is_none()
    }
}

fn refusal(seen: &PathSeen, user: &User) -> Option<String> {
    let PathSeen { path, uid, mode, .. } = seen;
    if *uid != 0 && *uid != user.uid {
        return Some(format!(
            "{path} belongs to the account with the number {uid}, neither {} nor root",
            user.name
        ));
    }
    let who = match mode & 0o022 {
        0o022 => "its group and everyone else",
        0o020 => "its group",
        0o002 => "everyone",
        _ => return None,
    };
    Some(format!("{path} can be written by {who} (mode {mode:o})"))
}

fn is_alone_in(gid: u32, user: &User, users: &[User], groups: &[Group]) -> bool {
    let mut members = 0;
    for other in users.iter().filter(|other| other.gid == gid) {
        members += 1;
        if other.uid != user.uid {
            return false;
        }
    }
    for name in groups.iter().filter(|group| group.gid == gid).flat_map(|group| &group.members) {
        members += 1;
        if !users.iter().any(|other| other.name == *name && other.uid == user.uid) {
            return false;
        }
    }
    members > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cases that were tried on sshd 9.2 of Debian (D) and upstream's 10.5 (U).
    #[test]
    fn both_generations_are_told_apart() {
        let ann = User::parse("ann:x:1000:1000::/home/ann:/bin/sh").unwrap();
        let ben = User::parse("ben:x:1001:1001::/home/ben:/bin/sh").unwrap();
        let users = [ann.clone(), ben];
        let alone = vec![Group { gid: 1000, members: vec![] }];
        let shared = vec![Group { gid: 1000, members: vec!["ben".into()] }];
        let check = |home: (u32, u32),
                     ssh: (u32, u32),
                     file: (u32, u32),
                     groups: &[Group],
                     expected: (bool, bool)| {
            let at = |path: &str, (uid, mode)| PathSeen { path: path.into(), uid, gid: 1000, mode };
            let way = [
                at("/home/ann/.ssh/authorized_keys", file),
                at("/home/ann/.ssh", ssh),
                at("/home/ann", home),
                at("/home", (7, 0o777)),
            ];
            let strict = StrictModes::judge(&way, &ann, "/home/ann", &users, groups);
            assert_eq!(
                (strict.debian.is_none(), strict.upstream.is_none()),
                expected,
                "{home:?} {ssh:?} {file:?}"
            );
        };
        check((1000, 0o755), (1000, 0o755), (1000, 0o644), &alone, (true, true));
        check((1000, 0o775), (1000, 0o700), (1000, 0o600), &alone, (true, false));
        check((1000, 0o755), (1000, 0o770), (1000, 0o664), &alone, (true, false));
        check((1000, 0o775), (1000, 0o700), (1000, 0o600), &shared, (false, false));
        check((1000, 0o757), (1000, 0o700), (1000, 0o600), &alone, (false, false));
        check((1000, 0o755), (1000, 0o700), (1000, 0o666), &alone, (false, false));
        check((1001, 0o755), (1000, 0o700), (1000, 0o600), &alone, (false, false));
        check((0, 0o755), (0, 0o755), (0, 0o644), &alone, (true, true));
    }

    #[test]
    fn outside_of_the_home_every_directory_counts() {
        let ann = User::parse("ann:x:1000:1000::/home/ann:/bin/sh").unwrap();
        let at = |path: &str, mode| PathSeen { path: path.into(), uid: 0, gid: 0, mode };
        let way = [at("/tmp/keys", 0o644), at("/tmp", 0o777), at("/", 0o755)];
        assert!(!StrictModes::judge(&way, &ann, "/home/ann", &[], &[]).is_fine());
        assert!(
            PathSeen::parse("drwxrwxrwt 9 0 0 4096 Nov 22 03:00 /tmp").is_some_and(|tmp| tmp.mode == 0o777)
        );
        assert_eq!(PathSeen::parse("total 0"), None);
    }
}
