//! What the pages are made of.

use dr_core::dns::{Agreement, SetChange, ZoneChange};
use dr_core::estate::ProbeSpec;
use dr_core::failover::{Expect, Raise, RecordMirror, Role, RoleChange, Standing, Tenure};
use dr_core::keys::{AuthorizedKeysChange, Content, Proof};
use dr_core::mirror::{Bytes, Change, Entry, Kind, Options, RelPath, Summary, Transfer};
use dr_core::plan::{OnFailure, Pause, Plan, Planned, Step};
use dr_core::report::{Finding, Report, Subject, Unexamined, code};
use dr_core::run::{Direction, Event, Outcome};
use dr_core::{
    Digest, Epoch, Error, ErrorKind, Location, Period, RecordKey, RecordSet, RecordType, Timestamp,
};

fn at() -> Timestamp {
    "2026-11-22T03:00:00Z".parse().unwrap()
}

pub(crate) fn failed_report() -> Report {
    let mut report = Report::new("check zone example.org", at());
    for number in 1..=6 {
        report.examined.push(Subject::new("server", format!("ns{number}")));
    }
    report.examined.push(Subject::new("zone", "example.org"));
    report.push(
        Finding::new(
            code::DNS_SERIAL_DIFFERS,
            Subject::new("server", "ns5"),
            "ns5 is two versions behind the primary",
        )
        .with("ns1 (primary)", "2026112203")
        .with("ns5", "2026112201"),
    );
    report.push(
        Finding::new(
            code::DNS_RECORD_SET_DIFFERS,
            Subject::new("zone", "example.org"),
            "the address records of www.example.org are not the same on every server: 5 say one thing and 1 says another",
        )
        .with("192.0.2.1:53", "www.example.org 300 A 198.51.100.1")
        .with("[2001:db8::3]:53", "www.example.org 300 A 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5"),
    );
    report.unexamined.push(Unexamined {
        subject: Subject::new("server", "ns4"),
        why: Error::new(ErrorKind::Unreachable, "send a question to 203.0.113.4:53", "no route to host")
            .hint("look at the route from this machine")
            .to_record(),
    });
    report.figures.insert("questions".to_owned(), 42);
    report.figures.insert("slowest_answer_milliseconds".to_owned(), 183);
    report.figures.insert("milliseconds".to_owned(), 2005);
    report.figures.insert("answered_bytes".to_owned(), 123_456);
    report
}

/// A server and a file that try to command the terminal, and the monitoring system.
pub(crate) fn hostile_report() -> Report {
    let mut report = Report::new("check zone e\x1b[2Jvil.example", at());
    report.push(
        Finding::new(
            code::DNS_EXPECTED_DIFFERS,
            Subject::new("server", "ns1\r\nOK - all is well | x=1"),
            "TXT says \"\x1b]0;owned\x07\" and \u{202e}txet desrever",
        )
        .with("answer\x1b[31m", "\u{9b}1m | critical=0"),
    );
    report
}

fn set(owner: &str, address: &str) -> RecordSet {
    RecordSet::new(owner.parse().unwrap(), RecordType::A, 60, [address])
}

pub(crate) fn failover_plan() -> Plan {
    let www = RecordKey::new("www.example.org".parse().unwrap(), RecordType::A);
    let (old, new) = (set("www.example.org", "192.0.2.10"), set("www.example.org", "198.51.100.20"));
    let uk = Tenure { epoch: Epoch(1), home: "uk".parse().unwrap(), nonce: "a1".into() };
    let us = Tenure { epoch: Epoch(2), home: "us".parse().unwrap(), nonce: "b2".into() };
    let raise = Raise { site: "shop".parse().unwrap(), from: Some(uk), to: us };
    let role = RoleChange {
        site: "shop".parse().unwrap(),
        host: "us".parse().unwrap(),
        remote: "root@us.example.net".parse().unwrap(),
        state_dir: "/var/lib/dr".into(),
        from: Some(Standing { role: Role::Standby, epoch: Epoch(1) }),
        to: Some(Standing { role: Role::Home, epoch: Epoch(2) }),
    };
    let change = ZoneChange {
        zone: "example.org".parse().unwrap(),
        primary: "192.0.2.53:53".parse().unwrap(),
        key: Some("dr-update".parse().unwrap()),
        through: None,
        require: vec![RecordSet::new(
            "_dr.example.org".parse().unwrap(),
            RecordType::TXT,
            60,
            ["\"epoch=1 home=uk nonce=a1\""],
        )],
        sets: vec![SetChange { key: www.clone(), from: Some(old), to: Some(new.clone()) }],
    };
    let agreement = Agreement {
        zone: "example.org".parse().unwrap(),
        servers: vec!["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()],
        expect: vec![(www, Some(new))],
        within: Period::from_secs(30),
        resolvers: false,
    };
    let expect = Expect {
        address: "198.51.100.20".parse().unwrap(),
        probe: ProbeSpec::Http {
            host: "www.example.org".parse().unwrap(),
            path: "/health".into(),
            port: 80,
            status: 200,
            contains: None,
        },
        within: Period::from_secs(10),
    };
    let steps = vec![
        Planned::needed("see that us serves shop", Step::AwaitHealthy(expect)),
        Planned::needed("raise the epoch of shop to 2: us becomes home", Step::RaiseEpoch(raise)),
        Planned::needed("tell us that it is home of shop", Step::ChangeRole(role)),
        Planned::needed("send the visitors of shop to us", Step::ChangeZone(change)),
        Planned::needed("wait until every name server says so", Step::AwaitAgreement(agreement)),
        Planned::needed(
            "let the TTL pass",
            Step::Pause(Pause {
                span: Period::from_secs(60),
                why: "resolvers may keep old answers so long".into(),
            }),
        ),
        Planned::wanted("give the operator's key to uk", Step::ChangeAuthorizedKeys(keys())),
        Planned::wanted("log in with it", Step::ProveKey(proof())),
    ];
    Plan::new("fail over shop from uk to us", at(), OnFailure::Undo, steps)
}

fn keys() -> AuthorizedKeysChange {
    AuthorizedKeysChange {
        remote: "root@uk.example.net".parse().unwrap(),
        path: ".ssh/authorized_keys".into(),
        from: Some(Content::new(b"ssh-rsa AAAAB3old admin\n# kept\n")),
        to: Some(Content::new(b"# kept\nrestrict,pty ssh-ed25519 AAAAC3new operator@laptop\n")),
    }
}

fn proof() -> Proof {
    Proof {
        remote: "root@uk.example.net".parse().unwrap(),
        public_key: "ssh-ed25519 AAAAC3new operator@laptop".into(),
        within: Period::from_secs(5),
    }
}

fn file(size_bytes: u64, mode: u32) -> Entry {
    Entry {
        kind: Kind::File { size_bytes, digest: None },
        mode,
        mtime_s: 0,
        mtime_ns: 0,
        owner: None,
        xattrs: None,
    }
}

/// A mirror of so many pages and a few special cases.
pub(crate) fn mirror_plan(pages: usize) -> Plan {
    let change = |path: &str, from, to| Change { path: RelPath::new(path.as_bytes()).unwrap(), from, to };
    let link = Entry { kind: Kind::Symlink { target: Bytes(b"releases/2\x1b".to_vec()) }, ..file(0, 0o777) };
    let mut changes = vec![
        change("css", None, Some(Entry { kind: Kind::Directory, ..file(0, 0o755) })),
        change("current", None, Some(link)),
        change("evil\nname\x1b[2J", None, Some(file(1, 0o644))),
        change("index.html", Some(file(5000, 0o644)), Some(file(7000, 0o644))),
        change("old.html", Some(file(77, 0o644)), None),
        change("run.sh", Some(file(12, 0o644)), Some(file(12, 0o755))),
        change("same.html", Some(file(12, 0o644)), Some(file(12, 0o644))),
    ];
    changes.extend((0..pages).map(|number| {
        change(&format!("shop/page{number}.html"), None, Some(file(1000 * number as u64, 0o644)))
    }));
    let summary = Summary {
        created: pages as u64 + 3,
        updated: 2,
        metadata_only: 1,
        deleted: 1,
        unchanged: 4096,
        bytes: 5_300_000,
    };
    let transfer = Transfer {
        site: Some("shop".parse().unwrap()),
        epoch: Some(Epoch(1)),
        source: "/var/www/shop".parse().unwrap(),
        target: "root@us.example.net:/var/www/shop".parse::<Location>().unwrap(),
        options: Options::default(),
        standing: None,
        summary,
        changes: changes.into(),
        quarantine: vec![],
        refused: vec![],
    };
    let record = RecordMirror {
        site: "shop".parse().unwrap(),
        host: "us".parse().unwrap(),
        remote: "root@us.example.net".parse().unwrap(),
        state_dir: "/var/lib/dr".into(),
        epoch: Epoch(1),
        started: at(),
        paths: pages as u64 + 7,
        bytes: 5_300_000,
        planned: None,
        seal: None,
    };
    let steps = vec![
        Planned::needed("mirror shop to us", Step::Mirror(transfer)),
        Planned::wanted("note the mirror on us", Step::RecordMirror(record)),
    ];
    Plan::new("mirror shop", at(), OnFailure::Stop, steps)
}

pub(crate) fn events() -> Vec<Event> {
    let forward = Direction::Forward;
    let progress =
        |done, total, unit: &str| Event::Progress { phase: "copy".into(), done, total, unit: unit.into() };
    vec![
        Event::PlanRecorded {
            title: "fail over shop from uk to us".into(),
            digest: Digest::of(b"plan"),
            by: "root@laptop".into(),
        },
        Event::StepBegun { step: 0, direction: forward },
        Event::StepDone { step: 0, direction: forward, found: true },
        Event::StepBegun { step: 1, direction: forward },
        progress(1536, Some(5_300_000), "bytes"),
        progress(12, Some(300), "files"),
        progress(7, None, "files"),
        Event::Note { message: "observer nl agrees".into() },
        Event::StepFailed { step: 1, direction: forward, error: error().to_record(), untouched: false },
        Event::UndoBegun { why: "a step failed".into() },
        Event::StepBegun { step: 0, direction: Direction::Back },
        Event::StepDone { step: 0, direction: Direction::Back, found: false },
        Event::Resumed { by: "root@laptop".into(), direction: Direction::Back },
        Event::Found(Finding::new(code::RUN_STEP_SKIPPED, Subject::new("host", "uk"), "uk was not told")),
        Event::Counted {
            figures: [("sent_bytes".to_owned(), 5_300_000), ("milliseconds".to_owned(), 1_840)].into(),
        },
        Event::Finished { outcome: Outcome::Old },
        Event::Finished { outcome: Outcome::New },
        Event::Finished { outcome: Outcome::NewDegraded },
        Event::Finished { outcome: Outcome::Stopped },
    ]
}

pub(crate) fn error() -> Error {
    Error::new(ErrorKind::Unreachable, "connect to us.example.net:22", "the line is dead \x1b[2J")
        .caused_by(std::io::Error::other("connection refused (os error 111)"))
        .hint("start sshd there, or correct the address in dr.toml; dr keys verify shows which logins work")
}
