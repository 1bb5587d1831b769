//! Plans.

use super::Style;
use super::layout::{Tone, bytes, clean, count, paint, wrap};
use crate::dns::{Agreement, Agreements, SetChange, ZoneChange, ZoneChanges};
use crate::estate::{DnsName, ProbeSpec, RecordSet};
use crate::failover::{RoleChange, Standing, Tenure};
use crate::keys::{AuthorizedKeysChange, Content, SshdChange, Switch};
use crate::mirror::{Change, Entry, Kind, Summary, Transfer, Verdict};
use crate::plan::{Need, OnFailure, Plan, Planned, Step};

/// Of a mirror's paths so many are listed, unless the style asks for all.
const LISTED_PATHS: usize = 12;
/// Of a file's lines so many are listed, unless the style asks for all.
const LISTED_LINES: usize = 8;
/// Of many zones so many are listed, unless the style asks for all.
const LISTED_ZONES: usize = 5;

/// A plan: every step with what is there and what will be there.
///
/// ```
/// use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
/// use dr_core::render::{Style, plan};
/// let pause = Step::Pause(Pause { span: "30s".parse().unwrap(), why: "old answers expire".into() });
/// let wait = Plan::new("wait", Default::default(), OnFailure::Stop, vec![Planned::needed("let the TTL pass", pause)]);
/// let page = plan(&wait, Style::default());
/// assert!(page.contains(" 1. let the TTL pass\n      30s: old answers expire\n"), "{page}");
/// ```
#[must_use]
pub fn plan(plan: &Plan, style: Style) -> String {
    let mut page = String::new();
    wrap(&mut page, "", &paint(&clean(&plan.title), Tone::Strong, style), style);
    if plan.is_empty() {
        page.push_str("nothing to do: everything is as it should be\n");
        return page;
    }
    page.push('\n');
    for (number, planned) in plan.steps.iter().enumerate() {
        step(&mut page, number + 1, planned, style);
    }
    let failing = match plan.on_failure {
        OnFailure::Stop => "it stops at a step that fails, to be resumed or undone",
        OnFailure::Undo => "it takes everything back when a step fails",
    };
    let steps = count(plan.steps.len(), "step");
    let last = format!("plan {}: {steps}, of facts from {}; {failing}", plan.digest().short(), plan.at);
    page.push('\n');
    wrap(&mut page, "", &last, style);
    page
}

/// What the guards of a mirror say: a line each, and what to do about those that refuse.
///
/// ```
/// use dr_core::mirror::{Guard, Verdict};
/// use dr_core::render::{Style, guards};
/// let says = "40 of the target's 50 files would be removed".to_owned();
/// let refused = Verdict { guard: Guard::Deletions, says, refused: true, advice: Some("raise --max-delete".into()) };
/// assert!(guards(&[refused], Style::default()).contains("refused  40 of the target's 50 files"));
/// ```
#[must_use]
pub fn guards(verdicts: &[Verdict], style: Style) -> String {
    let mut page = String::new();
    if verdicts.is_empty() {
        return page;
    }
    page.push_str("guards\n");
    for verdict in verdicts {
        let (word, tone) = if verdict.refused { ("refused", Tone::Bad) } else { ("fine", Tone::Good) };
        let mut lines = String::new();
        wrap(&mut lines, &format!("  {word:<7}  "), &clean(&verdict.says), style);
        page.push_str(&lines.replacen(word, &paint(word, tone, style), 1));
        if let Some(advice) = &verdict.advice {
            wrap(&mut page, "           ", &clean(advice), style);
        }
    }
    page
}

fn step(page: &mut String, number: usize, planned: &Planned, style: Style) {
    let wanted = if planned.need == Need::Wanted { " (goes on without it)" } else { "" };
    wrap(page, &format!("{number:>2}. "), &format!("{}{wanted}", clean(&planned.title)), style);
    match &planned.step {
        Step::Mirror(transfer) => mirror(page, transfer, style),
        Step::ChangeZone(change) => zone(page, change, style),
        Step::ChangeZones(changes) => zones(page, changes, style),
        Step::AwaitAgreement(agreement) => await_agreement(page, agreement, style),
        Step::AwaitAgreements(all) => await_agreements(page, all, style),
        Step::Moves(moves) => {
            for plan in &moves.plans {
                detail(
                    page,
                    &format!("{}: {}", clean(&plan.title), count_of(plan.steps.len() as u64, "step")),
                    style,
                );
            }
        }
        Step::RaiseEpoch(raise) => {
            let (from, to) =
                (raise.from.as_ref().map_or_else(|| "nobody".to_owned(), tenure), tenure(&raise.to));
            detail(page, &format!("{from} → {to}"), style);
        }
        Step::ChangeRole(change) => role(page, change, style),
        Step::RecordMirror(record) => {
            let moved = format!("{}, {}", count_of(record.paths, "path"), bytes(record.bytes));
            detail(
                page,
                &format!("{}: {}, begun {}, {moved}", record.host, record.path(), record.started),
                style,
            );
        }
        Step::AwaitHealthy(expect) => {
            detail(
                page,
                &format!("{} at {}, within {}", probe(&expect.probe), expect.address, expect.within),
                style,
            );
        }
        Step::Pause(pause) => detail(page, &format!("{}: {}", pause.span, clean(&pause.why)), style),
        Step::ChangeAuthorizedKeys(change) => authorized_keys(page, change, style),
        Step::SetSwitch(switch) => switched(page, switch, style),
        Step::ChangeSshd(change) => sshd(page, change, style),
        Step::ProvePasswordsRefused(look) => {
            let accounts: Vec<String> = look.accounts.iter().map(ToString::to_string).collect();
            detail(page, &format!("{}, within {}", accounts.join(", "), look.within), style);
        }
        Step::ProveHost(proof) => {
            let authority = clean(&proof.authority);
            detail(
                page,
                &format!("{} by {authority}, within {}", proof.remote.authority(), proof.within),
                style,
            );
        }
        Step::ProveKey(proof) | Step::ProveKeyRefused(proof) => {
            let key = clean(&proof.public_key);
            detail(page, &format!("{} with {key}, within {}", proof.remote, proof.within), style);
        }
    }
}

fn detail(page: &mut String, text: &str, style: Style) {
    wrap(page, "      ", text, style);
}

/// A line of a difference: `+` will be there, `-` will not, `~` changes.
fn difference(page: &mut String, sign: char, text: &str, style: Style) {
    let tone = match sign {
        '+' => Tone::Good,
        '-' => Tone::Bad,
        _ => Tone::Doubtful,
    };
    let first = format!("      {sign} ");
    let mut lines = String::new();
    wrap(&mut lines, &first, text, style);
    page.push_str(&lines.replacen(sign, &paint(&sign.to_string(), tone, style), 1));
}

fn mirror(page: &mut String, transfer: &Transfer, style: Style) {
    let (source, target) = (transfer.source.to_string(), transfer.target.to_string());
    detail(page, &format!("{} → {}", clean(&source), clean(&target)), style);
    detail(page, &totals(&transfer.summary), style);
    let limit = if style.full { usize::MAX } else { LISTED_PATHS };
    for change in transfer.changes.iter().take(limit) {
        path(page, change, style);
    }
    if let Some(more) = transfer.changes.len().checked_sub(limit).filter(|more| *more > 0) {
        detail(page, &paint(&format!("... and {more} more"), Tone::Quiet, style), style);
    }
}

/// What a mirror amounts to: `12 created, 3 updated, 1 deleted, 400 unchanged; 1.2 MiB to move`.
fn totals(summary: &Summary) -> String {
    let parts = [
        (summary.created, "created"),
        (summary.updated, "updated"),
        (summary.metadata_only, "with other metadata"),
        (summary.deleted, "deleted"),
        (summary.unchanged, "unchanged"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|part| part.0 > 0).map(|(number, what)| format!("{number} {what}")).collect();
    let told = if told.is_empty() { "no paths".to_owned() } else { told.join(", ") };
    format!("{told}; {} to move", bytes(summary.bytes))
}

fn path(page: &mut String, change: &Change, style: Style) {
    match (&change.from, &change.to) {
        (None, Some(to)) => difference(page, '+', &format!("{}  {}", change.path, entry(to)), style),
        (Some(from), None) => difference(page, '-', &format!("{}  {}", change.path, entry(from)), style),
        (Some(from), Some(to)) => {
            difference(page, '~', &format!("{}  {}", change.path, becomes(from, to)), style);
        }
        (None, None) => {}
    }
}

fn entry(entry: &Entry) -> String {
    match &entry.kind {
        Kind::File { size_bytes, .. } => bytes(*size_bytes),
        Kind::Directory => "directory".to_owned(),
        Kind::Symlink { target } => format!("link to {}", target.0.escape_ascii()),
        Kind::HardLink { first } => format!("another name of {first}"),
        Kind::Device { is_block, major, minor } => {
            format!("{} device {major}:{minor}", if *is_block { "block" } else { "character" })
        }
        Kind::Fifo => "named pipe".to_owned(),
        Kind::Socket => "socket".to_owned(),
        Kind::Other => "special file".to_owned(),
    }
}

fn becomes(from: &Entry, to: &Entry) -> String {
    if from.kind != to.kind {
        let (from, to) = (entry(from), entry(to));
        return if from == to { format!("{to}, other content") } else { format!("{from} → {to}") };
    }
    if from.mode != to.mode {
        return format!("mode {:o} → {:o}", from.mode, to.mode);
    }
    match (from.owner, to.owner) {
        (Some(old), Some(new)) if old != new => {
            format!("owner {}:{} → {}:{}", old.uid, old.gid, new.uid, new.gid)
        }
        // Of the same size and kind with another time: what is inside is sent again.
        _ if to.is_file() => format!("{}, other time", entry(to)),
        _ => "other time".to_owned(),
    }
}

fn zone(page: &mut String, change: &ZoneChange, style: Style) {
    let signed = change.key.as_ref().map_or_else(|| "unsigned".to_owned(), |key| format!("signed by {key}"));
    let way = match &change.through {
        // No API takes prerequisites.
        Some(through) => format!("{through}; somebody else who writes in the same moment is overwritten"),
        None => format!("in one message to {}, {signed}", change.primary),
    };
    detail(page, &clean(&way), style);
    for set in &change.require {
        detail(page, &format!("only if {}", clean(&set.to_string())), style);
    }
    for SetChange { from, to, .. } in &change.sets {
        for (sign, set) in [('-', from), ('+', to)] {
            if let Some(set) = set {
                difference(page, sign, &clean(&set.to_string()), style);
            }
        }
    }
}

fn zones(page: &mut String, changes: &ZoneChanges, style: Style) {
    let limit = if style.full { usize::MAX } else { LISTED_ZONES };
    for change in changes.zones.iter().take(limit) {
        detail(page, change.zone.as_str(), style);
        zone(page, change, style);
    }
    if let Some(more) = changes.zones.len().checked_sub(limit).filter(|more| *more > 0) {
        detail(page, &paint(&format!("... and {more} more zones"), Tone::Quiet, style), style);
    }
    if let Some(rate) = changes.per_second {
        detail(page, &format!("{rate} zones a second at most"), style);
    }
}

fn await_agreements(page: &mut String, all: &Agreements, style: Style) {
    let servers: std::collections::BTreeSet<_> = all.zones.iter().flat_map(|zone| &zone.servers).collect();
    let (servers, zones) = (count(servers.len(), "server"), count(all.zones.len(), "zone"));
    detail(page, &format!("{servers}, {zones}, within {}", all.within), style);
}

fn await_agreement(page: &mut String, agreement: &Agreement, style: Style) {
    let servers = count(agreement.servers.len(), "server");
    detail(page, &format!("{servers}, within {}", agreement.within), style);
    for (key, set) in &agreement.expect {
        let text = set.as_ref().map_or_else(|| format!("no {key}"), RecordSet::to_string);
        detail(page, &clean(&text), style);
    }
}

fn tenure(tenure: &Tenure) -> String {
    format!("epoch {}, home {}", tenure.epoch, tenure.home)
}

fn role(page: &mut String, change: &RoleChange, style: Style) {
    let standing = |standing: &Option<Standing>| match standing {
        Some(Standing { role, epoch }) => {
            let role = if *role == crate::failover::Role::Home { "home" } else { "standby" };
            format!("{role} in epoch {epoch}")
        }
        None => "nothing known".to_owned(),
    };
    let (from, to) = (standing(&change.from), standing(&change.to));
    detail(page, &format!("{}: {from} → {to} ({})", change.host, clean(&change.path())), style);
}

fn probe(spec: &ProbeSpec) -> String {
    match spec {
        ProbeSpec::Tcp { port } => format!("TCP port {port}"),
        ProbeSpec::Http { host, path, port, .. } => format!("http://{host}:{port}{}", clean(path)),
        ProbeSpec::Https { host, path, port, .. } => format!("https://{host}:{port}{}", clean(path)),
        ProbeSpec::Tls { host, port, .. } => format!("TLS on port {port}, with a certificate for {host}"),
        ProbeSpec::Dns { port, zone } => format!("SOA of {zone} on port {port}"),
        ProbeSpec::Smtp { port, starttls, .. } => {
            format!("SMTP on port {port}{}", over_tls(starttls.as_ref()))
        }
        ProbeSpec::Imap { port, starttls, .. } => {
            format!("IMAP on port {port}{}", over_tls(starttls.as_ref()))
        }
        ProbeSpec::Ssh { port, .. } => format!("SSH on port {port}"),
    }
}

fn over_tls(starttls: Option<&DnsName>) -> String {
    starttls.map(|name| format!(", with a certificate for {name}")).unwrap_or_default()
}

fn authorized_keys(page: &mut String, change: &AuthorizedKeysChange, style: Style) {
    lines_of(page, (&change.path, &change.remote.to_string()), (&change.from, &change.to), style);
}

fn sshd(page: &mut String, change: &SshdChange, style: Style) {
    if let Some(revokes) = change.revokes.as_ref().filter(|revokes| revokes.is_list(&change.path)) {
        detail(page, &clean(&format!("{} of {}", change.path, change.remote)), style);
        revokes.gone.iter().for_each(|line| difference(page, '+', &clean(line), style));
        let kept = revokes.kept.len();
        detail(
            page,
            &format!(
                "kept only if ssh-keygen there agrees, and does not find {} revoked",
                count(kept, "key of ours")
            ),
            style,
        );
        return;
    }
    lines_of(page, (&change.path, &change.remote.to_string()), (&change.from, &change.to), style);
    let accounts: Vec<&str> = change.accounts.iter().map(|account| account.user.as_str()).collect();
    if let Some(says) = change.says.as_ref().filter(|says| !says.is_empty()) {
        detail(page, &clean(&format!("kept only if sshd says '{}'", says.join("', '"))), style);
    } else if let (Some(switch), None, None) = (&change.switch, &change.revokes, &change.says) {
        let kept = format!(
            "kept only if sshd says that it holds for {}; under switch {}",
            accounts.join(", "),
            clean(switch)
        );
        detail(page, &kept, style);
    }
}

fn switched(page: &mut String, switch: &Switch, style: Style) {
    let Switch { name, path, after, remote, .. } = switch;
    let does = match (switch.arm, &switch.restore) {
        (false, _) => "does nothing any more".to_owned(),
        (true, None) => format!("removes {path} again after {after}"),
        (true, Some(_)) => format!("puts {path} back as it is now after {after}"),
    };
    detail(page, &clean(&format!("switch {name} on {remote}: {does}")), style);
}

/// The lines of a file that go and come.
fn lines_of(
    page: &mut String,
    place: (&str, &str),
    content: (&Option<Content>, &Option<Content>),
    style: Style,
) {
    detail(page, &clean(&format!("{} of {}", place.0, place.1)), style);
    let lines = |content: &Option<Content>| -> Vec<String> {
        let bytes = content.as_ref().and_then(Content::bytes).unwrap_or_default();
        String::from_utf8_lossy(&bytes).lines().map(clean).collect()
    };
    let (from, to) = (lines(content.0), lines(content.1));
    let gone = from.iter().filter(|line| !to.contains(line)).map(|line| ('-', line));
    let new = to.iter().filter(|line| !from.contains(line)).map(|line| ('+', line));
    let all: Vec<(char, &String)> = gone.chain(new).collect();
    let limit = if style.full { usize::MAX } else { LISTED_LINES };
    for (sign, line) in all.iter().take(limit) {
        difference(page, *sign, line, style);
    }
    if all.len() > limit {
        detail(page, &format!("... and {} more", all.len() - limit), style);
    }
    if content.1.is_none() {
        detail(page, "the file is removed", style);
    }
}

fn count_of(number: u64, what: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), what)
}
