//! Guards that look at what a standby will need once it is home: room, certificates, nobody who works on it, and who could say so.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guards::{Guard, GuardName};
use super::mirrored::line_of_json;
use super::seat::{Charter, Frozen, Kept, Lease};
use super::sight::{DownKind, Sight};
use crate::estate::{DnsName, HostId, Mode, SiteId};
use crate::report::code;

/// Fewer files than this that may still be made count as none: a website makes some with every visitor.
const INODES_MIN: u64 = 100;

/// What is free around a path on a host.
///
/// ```
/// let free = dr_core::failover::Free { path: "/var/www".into(), bytes: 1 << 30, inodes: None };
/// assert_eq!(free.bytes, 1_073_741_824);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// The path, or where it will be.
    pub path: String,
    /// Bytes that the account may still write there.
    pub bytes: u64,
    /// Files that may still be made; none where the file system has no such limit.
    pub inodes: Option<u64>,
}

/// Passes if the standby has room: a site that is moved there writes there from then on. Where a host's server does not say what is
/// free, `free` is empty, and the guard says that; an error is in the way.
///
/// ```
/// use dr_core::failover::{Free, guard};
/// let us = "us".parse().unwrap();
/// let free = [Free { path: "/var/www".into(), bytes: 5 << 30, inodes: Some(90_000) }];
/// assert!(guard::disk(&us, Ok(&free), 1 << 30).passed);
/// assert!(!guard::disk(&us, Ok(&free), 6 << 30).passed);
/// ```
#[must_use]
pub fn disk(standby: &HostId, free: Result<&[Free], &str>, least_bytes: u64) -> Guard {
    let guard = |passed, said: String| {
        Guard::new(GuardName::Disk, code::FAILOVER_NO_ROOM, passed, said).with("least_bytes", least_bytes)
    };
    let free = match free {
        Ok(free) => free,
        Err(why) => return guard(false, format!("what is free on {standby} cannot be read: {why}")),
    };
    let is_short = |at: &&Free| at.bytes < least_bytes || at.inodes.is_some_and(|left| left < INODES_MIN);
    if let Some(at) = free.iter().find(is_short) {
        let files = at.inodes.map(|left| format!(" and {left} files")).unwrap_or_default();
        let said = format!(
            "{} MiB{files} are free at {} on {standby}, {} MiB are wanted",
            at.bytes >> 20,
            at.path,
            least_bytes >> 20
        );
        return guard(false, said).with("free_bytes", at.bytes);
    }
    match free.iter().min_by_key(|at| at.bytes) {
        None => {
            guard(true, format!("{standby} does not say what is free; mirrors to it look for themselves"))
        }
        Some(least) => {
            let said = format!("{} MiB are free at {} on {standby}", least.bytes >> 20, least.path);
            guard(true, said).with("free_bytes", least.bytes)
        }
    }
}

/// How TLS on port 443 looks for one name of a site, on both of its hosts.
///
/// ```
/// use dr_core::failover::{Certificate, Sight};
/// let up = || Sight::Up { took_us: 900 };
/// let seen = Certificate { name: "example.org".parse().unwrap(), home: up(), standby: up() };
/// assert!(seen.standby.is_up());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The name that visitors ask for.
    pub name: DnsName,
    /// What the home shows.
    pub home: Sight,
    /// What the standby shows.
    pub standby: Sight,
}

impl Certificate {
    /// What is wrong with the standby's, if anything is.
    fn wrong(&self, standby: &HostId, waits: bool) -> Option<String> {
        let home_has = matches!(self.home, Sight::Up { .. } | Sight::Degraded { .. });
        let home_has_none =
            matches!(self.home, Sight::Down { kind: DownKind::Refused | DownKind::Closed, .. });
        match &self.standby {
            Sight::Up { .. } | Sight::Degraded { .. } => None,
            // A certificate for nothing is not missed by a site that has no TLS.
            Sight::Down { kind: DownKind::WrongAnswer, .. } if home_has_none => None,
            Sight::Down { kind: DownKind::WrongAnswer, detail } => Some(detail.clone()),
            Sight::Down { kind: DownKind::Refused, .. } if waits => None,
            Sight::Down { detail, .. } | Sight::Unknown { detail } if home_has => {
                Some(format!("no TLS for {} on {standby}, as there is at home ({detail})", self.name))
            }
            Sight::Down { .. } | Sight::Unknown { .. } => None,
        }
    }
}

/// Passes if the standby has good certificates for the names of the site, where the home speaks TLS. `waits` says that the site's
/// services are stopped on the standby while it waits: then nothing can be seen there, and the command that looks whether it could
/// serve must look at the certificates too.
///
/// ```
/// use dr_core::failover::{Certificate, DownKind, Sight, guard};
/// let us = "us".parse().unwrap();
/// let refused = || Sight::Down { kind: DownKind::Refused, detail: "198.51.100.1:443".into() };
/// let seen = |home, standby| [Certificate { name: "example.org".parse().unwrap(), home, standby }];
/// assert!(guard::certificates(&us, &seen(refused(), refused()), false).passed, "a site without TLS");
/// assert!(!guard::certificates(&us, &seen(Sight::Up { took_us: 1 }, refused()), false).passed);
/// ```
#[must_use]
pub fn certificates(standby: &HostId, seen: &[Certificate], waits: bool) -> Guard {
    let guard =
        |passed, said: String| Guard::new(GuardName::Certificates, code::FAILOVER_CERTIFICATE, passed, said);
    let wrong: Vec<String> = seen.iter().filter_map(|at| at.wrong(standby, waits)).collect();
    if !wrong.is_empty() {
        return guard(false, wrong.join("; "));
    }
    let good = seen.iter().filter(|at| at.standby.is_up()).count();
    let late: Vec<&str> = seen.iter().filter_map(late).collect();
    let refused = |at: &Certificate| matches!(at.standby, Sight::Down { kind: DownKind::Refused, .. });
    if !late.is_empty() {
        return guard(true, late.join("; "));
    }
    if good > 0 {
        return guard(true, format!("{standby} has good certificates for {good} of {} names", seen.len()));
    }
    if waits && seen.iter().any(refused) {
        let said = "the services wait, so none can be seen: the site's check command must look at them";
        return guard(true, format!("{standby}: {said}"));
    }
    guard(true, format!("no TLS on port 443 of {standby}, and none is known at home"))
}

fn late(at: &Certificate) -> Option<&str> {
    if let Sight::Degraded { detail } = &at.standby { Some(detail) } else { None }
}

/// That a person works on a site or has it frozen, as its agent leaves word of it on the standby for those who come without one.
///
/// ```
/// use dr_core::failover::HeldBack;
/// let held = HeldBack { why: "ann works on it: new disks".into() };
/// assert_eq!(HeldBack::from_bytes(&held.to_bytes()).unwrap(), held);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldBack {
    /// Who, and why.
    pub why: String,
}

impl HeldBack {
    /// What a seat's word is; none if nothing holds it back.
    #[must_use]
    pub fn of(kept: &Kept) -> Option<Self> {
        let why = match (&kept.frozen, &kept.maintenance) {
            (Some(Frozen::Ordered { by }), _) => format!("frozen by {by}"),
            (Some(_), _) => "frozen by its seat; dr failover seats says why".to_owned(),
            (None, Some(work)) => format!("{} works on it", work.by),
            (None, None) => return None,
        };
        Some(Self { why })
    }

    /// As it stands in the file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        line_of_json(self)
    }

    /// What the file says; the error says what is wrong with it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|why| why.to_string())
    }
}

/// The file on a host that says that a site is held back.
///
/// ```
/// use dr_core::failover::held_path;
/// assert_eq!(held_path("/var/lib/dr", &"shop".parse().unwrap()), "/var/lib/dr/held/shop.json");
/// ```
#[must_use]
pub fn held_path(state_dir: &str, site: &SiteId) -> String {
    format!("{}/held/{site}.json", state_dir.trim_end_matches('/'))
}

/// Passes if nobody works on the site, and nobody has it frozen.
///
/// ```
/// use dr_core::failover::{HeldBack, guard};
/// let us = "us".parse().unwrap();
/// assert!(guard::maintenance(&us, Ok(None)).passed);
/// let held = HeldBack { why: "ann works on it".into() };
/// assert!(!guard::maintenance(&us, Ok(Some(&held))).passed);
/// ```
#[must_use]
pub fn maintenance(standby: &HostId, held: Result<Option<&HeldBack>, &str>) -> Guard {
    let guard =
        |passed, said: String| Guard::new(GuardName::Maintenance, code::FAILOVER_MAINTENANCE, passed, said);
    match held {
        Ok(None) => guard(true, format!("nobody holds it back on {standby}")),
        Ok(Some(held)) => guard(false, format!("{standby}: {}", held.why)),
        Err(why) => guard(false, format!("whether somebody works on {standby} cannot be read: {why}")),
    }
}

/// Passes if no move without a person is left to be acknowledged. What is asked of the coordinator is the `lease`; `None` where the
/// estate has no observers, so that nothing is ever moved so.
///
/// ```
/// use dr_core::failover::{Lease, Mark, guard};
/// let lease = Lease::first(&"uk".parse().unwrap(), Mark(7), 1);
/// assert!(guard::acknowledged(Some(Ok(Some(&lease)))).passed);
/// let moved = Lease { unacknowledged: true, ..lease };
/// assert!(!guard::acknowledged(Some(Ok(Some(&moved)))).passed);
/// ```
#[must_use]
pub fn acknowledged(lease: Option<Result<Option<&Lease>, &str>>) -> Guard {
    let guard =
        |passed, said: String| Guard::new(GuardName::HoldDown, code::FAILOVER_HELD_DOWN, passed, said);
    match lease {
        None => guard(true, "nobody watches it, so it is never moved without a person".to_owned()),
        Some(Err(why)) => guard(false, format!("whether the last move was acknowledged is not known: {why}")),
        Some(Ok(Some(lease))) if lease.unacknowledged => guard(
            false,
            format!(
                "it was moved to {} in epoch {} without a person, and none has acknowledged that",
                lease.home, lease.epoch
            ),
        ),
        Some(Ok(_)) => guard(true, "no move without a person waits to be acknowledged".to_owned()),
    }
}

/// Passes if the observers that the estate has could decide what it wants decided: what [`Charter::of`] says of the standby's seat.
///
/// ```
/// use dr_core::{Estate, estate::Mode, failover::{Charter, guard}};
/// let estate = Estate::default();
/// let charter = Charter::of(&estate, &"shop".parse().unwrap(), &"us".parse().unwrap());
/// assert!(guard::observers(Mode::Ask, charter.as_ref()).passed, "a person needs none");
/// assert!(!guard::observers(Mode::Auto, charter.as_ref()).passed);
/// ```
#[must_use]
pub fn observers(mode: Mode, charter: Result<&Charter, &String>) -> Guard {
    let guard = |passed, said: String| Guard::new(GuardName::Quorum, code::FAILOVER_NO_WARRANT, passed, said);
    match (mode, charter) {
        (Mode::Ask, Err(_)) => guard(true, "a person decides, and nobody watches it for them".to_owned()),
        (Mode::Ask, Ok(charter)) => {
            let panel = charter.mandate.panel();
            guard(true, format!("a person decides; {} observers tell what they see", panel.len()))
        }
        (Mode::Auto, Ok(charter)) => {
            let panel = charter.mandate.panel();
            let (majority, all) = (panel.majority(), panel.len());
            guard(true, format!("{majority} of {all} observers decide, from two failure domains at least"))
        }
        (Mode::Auto, Err(why)) => {
            guard(false, format!("it is to be moved without a person, which cannot work: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::Maintenance;
    use crate::report::Code;

    fn us() -> HostId {
        "us".parse().unwrap()
    }

    fn check(guard: &Guard, passed: bool, code: Code, contains: &str) {
        assert_eq!(guard.passed, passed, "{guard:?}");
        assert!(guard.explanation.contains(contains), "{:?} has no {contains:?}", guard.explanation);
        assert_eq!(guard.code, code);
        assert_eq!(serde_json::to_value(guard.name).unwrap(), guard.name.name());
    }

    #[test]
    fn the_fullest_place_counts_and_so_do_files() {
        let at = |path: &str, bytes, inodes| Free { path: path.into(), bytes, inodes };
        let judged = |free: &[Free]| disk(&us(), Ok(free), 1 << 30);
        let code = code::FAILOVER_NO_ROOM;
        let fine = at("/srv", 4 << 30, Some(5000));
        check(&judged(&[fine.clone(), at("/var", 2 << 30, None)]), true, code, "2048 MiB are free at /var");
        check(&judged(&[fine.clone(), at("/var", (1 << 30) - 1, None)]), false, code, "1023 MiB are free");
        check(&judged(&[fine, at("/var", 9 << 30, Some(99))]), false, code, "and 99 files");
        check(&judged(&[]), true, code, "does not say");
        check(&disk(&us(), Err("connection lost"), 0), false, code, "connection lost");
    }

    #[test]
    fn a_certificate_that_the_home_has_must_be_on_the_standby() {
        let down = |kind, detail: &str| Sight::Down { kind, detail: detail.into() };
        let up = || Sight::Up { took_us: 1 };
        let refused = || down(DownKind::Refused, "198.51.100.1:443");
        let expired = || down(DownKind::WrongAnswer, "it has expired");
        let lost = || down(DownKind::TimedOut, "nothing came");
        let late = || Sight::Degraded { detail: "the certificate ends in 3 days".into() };
        let judged = |home, standby, waits| {
            certificates(&us(), &[Certificate { name: "example.org".parse().unwrap(), home, standby }], waits)
        };
        let code = code::FAILOVER_CERTIFICATE;
        for (home, standby, waits, passed, said) in [
            (up(), up(), false, true, "good certificates for 1 of 1"),
            (up(), late(), false, true, "ends in 3 days"),
            (up(), expired(), false, false, "it has expired"),
            (lost(), expired(), false, false, "it has expired"),
            (refused(), expired(), false, true, "no TLS"),
            (up(), refused(), false, false, "no TLS for example.org on us"),
            (up(), refused(), true, true, "the services wait"),
            (up(), expired(), true, false, "it has expired"),
            (lost(), refused(), false, true, "none is known at home"),
            (up(), lost(), true, false, "nothing came"),
        ] {
            check(&judged(home, standby, waits), passed, code, said);
        }
        check(&certificates(&us(), &[], false), true, code, "no TLS");
    }

    #[test]
    fn who_works_on_a_site_is_told_by_name() {
        let code = code::FAILOVER_MAINTENANCE;
        let by = "ann".to_owned();
        let works = Kept { maintenance: Some(Maintenance { by: by.clone(), span: None }), ..Kept::default() };
        let frozen = Kept { frozen: Some(Frozen::Ordered { by }), ..works.clone() };
        let regressed = Kept { frozen: Some(Frozen::Regressed), ..Kept::default() };
        assert_eq!(HeldBack::of(&Kept::default()), None);
        for (kept, said) in [(works, "ann works on it"), (frozen, "frozen by ann"), (regressed, "its seat")] {
            let held = HeldBack::of(&kept).unwrap();
            check(&maintenance(&us(), Ok(Some(&held))), false, code, said);
        }
        check(&maintenance(&us(), Ok(None)), true, code, "nobody");
        check(&maintenance(&us(), Err("no route")), false, code, "no route");
        assert!(HeldBack::from_bytes(b"{\"why\": 3}").is_err());
    }
}
