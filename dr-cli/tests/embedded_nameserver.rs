//! The embedded name servers against the stock clients nsupdate, dig and kdig, and against each other.

// What clippy.toml allows in tests has to be said for what tests call.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use dr_cli::demo::embedded::{
    Secret,
    nameserver::{Options, Ready, Role, Running, TsigKey, ZoneText},
    process::Service,
};
use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, RecordType, TSigner,
        rdata::tsig::{TsigAlgorithm, TsigError},
    },
};

const KEY: &str = "c2VjcmV0LW9mLXRoZS1kZW1vLTAxMjM0NTY3ODkwMTI=";
const WRONG_KEY: &str = "d3JvbmctLW9mLXRoZS1kZW1vLTAxMjM0NTY3ODkwMTI=";
const ZONE: &str = r#"
$TTL 60
@    IN SOA ns1 hostmaster 1 3600 600 86400 30
     IN NS  ns1
     IN NS  ns2
     IN MX  10 mail
     IN TXT "v=spf1 mx -all"
ns1  IN A   127.0.0.11
ns2  IN A   127.0.0.12
mail IN A   127.0.0.2
www  IN A   127.0.0.2
a    IN A   127.0.1.0
b    IN A   127.0.1.0
"#;

/// Servers on one machine: a primary and its secondaries.
struct Lab {
    primary: (Ready, Running),
    secondaries: Vec<(Ready, Running)>,
}

fn localhost(last: u8) -> SocketAddr {
    (IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0).into()
}

fn key(secret: &str) -> TsigKey {
    TsigKey { name: "demo.".into(), secret: Secret::new(secret) }
}

fn primary_options(zone: &str) -> Options {
    let zones = vec![ZoneText { origin: "example.org.".into(), text: zone.into() }];
    let role = Role::Primary { zones, secondaries: Vec::new() };
    Options { name: "ns1".into(), listen: localhost(11), state: None, keys: vec![key(KEY)], role }
}

fn secondary_options(number: u8, primary: SocketAddr, refresh_ms: u64) -> Options {
    let role = Role::Secondary { zones: vec!["example.org.".into()], primary, refresh_ms };
    Options {
        name: format!("ns{number}"),
        listen: localhost(10 + number),
        state: None,
        keys: vec![key(KEY)],
        role,
    }
}

/// Makes the primary tell `addresses` of changes.
fn set_secondaries(running: &Running, zone: &str, addresses: Vec<SocketAddr>) {
    let mut options = primary_options(zone);
    if let Role::Primary { secondaries, .. } = &mut options.role {
        *secondaries = addresses;
    }
    Options::update(running, options);
}

impl Lab {
    /// With a refresh so slow that only NOTIFY brings a change.
    async fn start(count: u8) -> Self {
        let primary = primary_options(ZONE).start().await.unwrap();
        let mut secondaries = Vec::new();
        for number in 2..2 + count {
            let options = secondary_options(number, primary.0.address, 3_600_000);
            secondaries.push(options.start().await.unwrap());
        }
        let addresses = secondaries.iter().map(|(ready, _)| ready.address).collect();
        set_secondaries(&primary.1, ZONE, addresses);
        Self { primary, secondaries }
    }

    fn servers(&self) -> Vec<SocketAddr> {
        std::iter::once(&self.primary).chain(&self.secondaries).map(|(ready, _)| ready.address).collect()
    }
}

/// What a command prints, given `input`; with whether it succeeded.
fn run(command: &mut Command, input: &str) -> (bool, String) {
    use std::io::Write;
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// nsupdate over TCP with `key` (`None`: unsigned) and these lines.
fn nsupdate(server: SocketAddr, key: Option<&str>, lines: &str) -> (bool, String) {
    let mut command = Command::new("nsupdate");
    command.args(["-v", "-t", "10"]);
    if let Some(key) = key {
        command.args(["-y", &format!("hmac-sha256:demo.:{key}")]);
    }
    run(
        &mut command,
        &format!("server {} {}\nzone example.org.\n{lines}\nsend\n", server.ip(), server.port()),
    )
}

fn dig(server: SocketAddr, arguments: &str) -> String {
    let mut command = Command::new("dig");
    command.args(["-p", &server.port().to_string(), &format!("@{}", server.ip()), "+norecurse", "+tries=1"]);
    run(command.args(arguments.split_ascii_whitespace()), "").1
}

/// One question over UDP, asked until it is answered.
fn ask(server: SocketAddr, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    let question = message.to_vec().unwrap();
    let mut answer = [0; 4096];
    for _ in 0..10 {
        socket.send(&question).unwrap();
        if let Ok(length) = socket.recv(&mut answer) {
            return Message::from_vec(&answer[..length]).unwrap();
        }
    }
    panic!("{server} does not answer");
}

fn serial(server: SocketAddr) -> Option<u32> {
    ask(server, "example.org.", RecordType::SOA).answers.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    })
}

fn addresses(server: SocketAddr, name: &str) -> Vec<String> {
    let mut found: Vec<_> =
        ask(server, name, RecordType::A).answers.iter().map(|a| a.data.to_string()).collect();
    found.sort();
    found
}

/// Waits until `condition` holds.
async fn until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < within, "not within {within:?}: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_of_an_authority() {
    let lab = Lab::start(1).await;
    for (number, server) in lab.servers().into_iter().enumerate() {
        for transport in ["+notcp", "+tcp"] {
            let soa = dig(server, &format!("example.org SOA +nsid {transport}"));
            assert!(soa.contains("status: NOERROR") && soa.contains("flags: qr aa;"), "{soa}");
            assert!(soa.contains("ns1.example.org. hostmaster.example.org. 1 3600 600 86400 30"), "{soa}");
            assert!(soa.contains(&format!("(\"ns{}\")", number + 1)), "NSID: {soa}");
            assert!(dig(server, &format!("WWW.example.org A +short {transport}")).contains("127.0.0.2\n"));
        }
        let missing = dig(server, "missing.example.org A");
        assert!(missing.contains("status: NXDOMAIN") && missing.contains("SOA\tns1."), "{missing}");
        let no_data = dig(server, "www.example.org MX");
        assert!(no_data.contains("status: NOERROR") && no_data.contains("ANSWER: 0"), "{no_data}");
        for foreign in ["example.com A", "org NS", "version.bind TXT CH"] {
            let refused = dig(server, foreign);
            assert!(refused.contains("status: REFUSED") && !refused.contains(" aa"), "{foreign}: {refused}");
        }
        let axfr = dig(server, "example.org AXFR +noedns");
        assert!(axfr.contains("XFR size: 12 records"), "{axfr}");
        let ixfr = dig(server, "example.org IXFR=0");
        assert!(ixfr.contains("XFR size: 12 records"), "{ixfr}");
        assert!(dig(server, "example.com AXFR").contains("Transfer failed"));
    }
    let (_, kdig) = run(
        Command::new("kdig").args([
            &format!("@{}", lab.primary.0.address.ip()),
            "-p",
            &lab.primary.0.address.port().to_string(),
            "+nsid",
            "example.org",
            "TXT",
        ]),
        "",
    );
    assert!(kdig.contains("v=spf1 mx -all") && kdig.contains("ns1"), "{kdig}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_zone_is_transferred_in_several_messages() {
    let zone = (0..5000).fold(ZONE.to_owned(), |mut zone, number| {
        writeln!(zone, "host{number} IN TXT \"{}\"", "x".repeat(60)).unwrap();
        zone
    });
    let (primary, _running) = primary_options(&zone).start().await.unwrap();
    let axfr = dig(primary.address, "example.org AXFR +onesoa");
    assert!(axfr.contains("XFR size: 5012 records"), "{}", &axfr[axfr.len() - 300..]);
    let (secondary, _running) = secondary_options(2, primary.address, 1000).start().await.unwrap();
    assert_eq!(secondary.serials.get("example.org."), Some(&1));
    assert_eq!(ask(secondary.address, "host4999.example.org.", RecordType::TXT).answers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_with_a_signature_is_answered_with_one() {
    let zone = (0..3000).fold(ZONE.to_owned(), |mut zone, number| {
        writeln!(zone, "host{number} IN TXT \"{}\"", "x".repeat(60)).unwrap();
        zone
    });
    let (ready, _running) = primary_options(&zone).start().await.unwrap();
    let signed = |question: &str| dig(ready.address, &format!("-y hmac-sha256:demo.:{KEY} {question}"));
    for question in ["example.org SOA +notcp", "example.org SOA +nsid +tcp", "missing.example.org A"] {
        let answer = signed(question);
        assert!(answer.contains("hmac-sha256.") && !answer.contains("verify"), "{answer}");
    }
    // A chain of signatures over many messages, of which dig checks every one.
    let axfr = signed("example.org AXFR +onesoa");
    assert!(
        axfr.contains("XFR size: 3012 records (messages ") && !axfr.contains("messages 1,"),
        "{}",
        &axfr[axfr.len() - 300..]
    );
    assert!(!axfr.contains("could not be validated") && !axfr.contains("verify"));
    let port = ready.address.port().to_string();
    let key = format!("hmac-sha256:demo.:{KEY}");
    let mut kdig = Command::new("kdig");
    kdig.args([&format!("@{}", ready.address.ip()), "-p", &port, "-y", &key, "example.org", "AXFR"]);
    let (good, said) = run(&mut kdig, "");
    assert!(
        good && said.contains("3012 records") && !said.contains("WARNING"),
        "{}",
        &said[said.len() - 500..]
    );
    let wrong = dig(ready.address, &format!("-y hmac-sha256:demo.:{WRONG_KEY} example.org SOA"));
    assert!(wrong.contains("BADSIG") || wrong.contains("NOTAUTH"), "{wrong}");
    assert!(!wrong.contains("hostmaster"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_signature_is_refused_as_old() {
    let lab = Lab::start(0).await;
    let name = Name::from_ascii("demo.").unwrap();
    let key = data_encoding::BASE64.decode(KEY.as_bytes()).unwrap();
    let signer = TSigner::new(key, TsigAlgorithm::HmacSha256, name, 300).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for (time, code, error) in [
        (now, ResponseCode::NoError, None),
        (now - 301, ResponseCode::NotAuth, Some(TsigError::BadTime)),
        (now + 310, ResponseCode::NotAuth, Some(TsigError::BadTime)),
        (5, ResponseCode::NotAuth, Some(TsigError::BadSig)),
    ] {
        let mut message = Message::new(9, MessageType::Query, OpCode::Update);
        message.add_query(Query::query(Name::from_ascii("example.org.").unwrap(), RecordType::SOA));
        message.finalize(&signer, time).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send_to(&message.to_vec().unwrap(), lab.primary.0.address).unwrap();
        let mut answer = [0; 512];
        let (length, _) = socket.recv_from(&mut answer).unwrap();
        let answer = Message::from_vec(&answer[..length]).unwrap();
        assert_eq!(answer.response_code, code, "{time}");
        assert_eq!(answer.signature().unwrap().data.error, error, "{time}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_signed_and_conditional_or_refused() {
    let lab = Lab::start(1).await;
    let server = lab.primary.0.address;
    let add = "update add new.example.org. 60 A 127.0.0.77";
    let check = |key, lines: &str, expected: &str| {
        let before = (serial(server), dig(server, "example.org AXFR"));
        let (good, said) = nsupdate(server, key, lines);
        assert!(!good && said.contains(expected), "{lines}: {said}");
        // Only the time of the question may differ.
        let records = |axfr: &str| {
            axfr.lines().filter(|line| !line.starts_with(';')).map(str::to_owned).collect::<Vec<_>>()
        };
        let after = (serial(server), dig(server, "example.org AXFR"));
        assert_eq!((before.0, records(&before.1)), (after.0, records(&after.1)), "{lines}");
    };
    check(None, add, "REFUSED");
    check(Some(WRONG_KEY), add, "BADSIG");
    check(Some(KEY), &format!("prereq yxrrset www.example.org. A 127.0.0.3\n{add}"), "NXRRSET");
    check(Some(KEY), &format!("prereq nxrrset www.example.org. A\n{add}"), "YXRRSET");
    check(Some(KEY), &format!("prereq nxdomain www.example.org.\n{add}"), "YXDOMAIN");
    check(Some(KEY), &format!("prereq yxdomain new.example.org.\n{add}"), "NXDOMAIN");
    let (good, said) = {
        let mut command = Command::new("nsupdate");
        command.args(["-v", "-y", &format!("hmac-sha256:other.:{KEY}")]);
        let script = format!("server {} {}\nzone example.org.\n{add}\nsend\n", server.ip(), server.port());
        run(&mut command, &script)
    };
    assert!(!good && said.contains("BADKEY"), "{said}");
    let (good, said) = nsupdate(lab.secondaries[0].0.address, Some(KEY), add);
    assert!(!good && said.contains("REFUSED"), "a secondary takes no updates: {said}");

    let swap = "prereq yxrrset www.example.org. A 127.0.0.2\nupdate delete www.example.org. A\nupdate add www.example.org. 60 A 127.0.0.3";
    let (good, said) = nsupdate(server, Some(KEY), swap);
    assert!(good, "{said}");
    assert_eq!(
        (serial(server), addresses(server, "www.example.org.")),
        (Some(2), vec!["127.0.0.3".to_owned()])
    );
    check(Some(KEY), swap, "NXRRSET");
    let secondary = lab.secondaries[0].0.address;
    until("the secondary has it", Duration::from_secs(5), || serial(secondary) == Some(2)).await;
    assert_eq!(addresses(secondary, "www.example.org."), ["127.0.0.3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_sees_whole_zones_only() {
    let lab = Lab::start(1).await;
    let (server, secondary) = (lab.primary.0.address, lab.secondaries[0].0.address);
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let done = done.clone();
        move || {
            let (mut seen, mut asked) = (Vec::new(), 0);
            while !done.load(Ordering::Relaxed) {
                // One transfer is one question about the whole zone: the three must be of one update.
                let zone = dig(secondary, "example.org AXFR +onesoa");
                let of = |name: &str, column: usize| {
                    let line =
                        zone.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{zone}"));
                    line.split_ascii_whitespace().nth(column).unwrap().to_owned()
                };
                let (a, b, serial) =
                    (of("a.example.org.", 4), of("b.example.org.", 4), of("example.org.", 6));
                assert_eq!(a, b, "{zone}");
                assert_eq!(a, format!("127.0.1.{}", serial.parse::<u32>().unwrap() - 1), "{zone}");
                // Never nothing in between, as with a change in two steps.
                assert_eq!(ask(secondary, "a.example.org.", RecordType::A).answers.len(), 1);
                if seen.last() != Some(&a) {
                    seen.push(a);
                }
                asked += 1;
            }
            (seen, asked)
        }
    });
    for number in 1..=50 {
        let (old, new) = (number - 1, number);
        let lines: String = ["a", "b"].map(|name| format!(
            "prereq yxrrset {name}.example.org. A 127.0.1.{old}\nupdate delete {name}.example.org. A\nupdate add {name}.example.org. 60 A 127.0.1.{new}\n"
        )).concat();
        let (good, said) = nsupdate(server, Some(KEY), &lines);
        assert!(good, "{number}: {said}");
    }
    until("the last update", Duration::from_secs(5), || serial(secondary) == Some(51)).await;
    done.store(true, Ordering::Relaxed);
    let (seen, asked) = reader.join().unwrap();
    assert!(seen.len() > 5 && asked > 10, "{asked} looks: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn six_servers_agree_within_200_ms() {
    let lab = Lab::start(5).await;
    let servers = lab.servers();
    let mut times = Vec::new();
    for number in 1..=15_u32 {
        let (old, new) = (number - 1, number);
        let (good, said) = nsupdate(
            servers[0],
            Some(KEY),
            &format!(
                "prereq yxrrset a.example.org. A 127.0.1.{old}\nupdate delete a.example.org. A\nupdate add a.example.org. 60 A 127.0.1.{new}"
            ),
        );
        assert!(good, "{said}");
        let expected = format!("127.0.1.{new}");
        let took = until("all six have it", Duration::from_secs(5), || {
            servers.iter().all(|&server| addresses(server, "a.example.org.") == [expected.as_str()])
        });
        times.push(took.await);
    }
    times.sort();
    println!(
        "update to agreement of six servers, from nsupdate's return: median {:?}, worst {:?}",
        times[7], times[14]
    );
    assert!(times[7] < Duration::from_millis(200), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secondary_outlives_its_primary_until_the_zone_expires() {
    let short = ZONE.replace("86400", "2");
    let (ready, primary) = primary_options(&short).start().await.unwrap();
    let (secondary, running) = secondary_options(2, ready.address, 100).start().await.unwrap();
    assert_eq!(secondary.serials.get("example.org."), Some(&1));
    let gone = Instant::now();
    primary.stop().await;
    while gone.elapsed() < Duration::from_secs(1) {
        assert_eq!(addresses(secondary.address, "www.example.org."), ["127.0.0.2"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let servfail =
        || ask(secondary.address, "www.example.org.", RecordType::A).response_code == ResponseCode::ServFail;
    until("it expires", Duration::from_secs(10), servfail).await;

    // The refresh alone, without a NOTIFY, brings it back.
    let mut options = primary_options(&short);
    options.settle(&ready);
    let (_, _primary) = options.start().await.unwrap();
    until("it is back", Duration::from_secs(10), || {
        addresses(secondary.address, "www.example.org.") == ["127.0.0.2"]
    })
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = Options { state: Some(directory.path().join("ns1")), ..primary_options(ZONE) };
    let (ready, running) = options.clone().start().await.unwrap();
    options.settle(&ready);
    let mut second = secondary_options(2, ready.address, 3_600_000);
    second.state = Some(directory.path().join("ns2"));
    let (second_ready, second_running) = second.clone().start().await.unwrap();
    second.settle(&second_ready);
    second_running.stop().await;

    let (good, said) = nsupdate(ready.address, Some(KEY), "update add new.example.org. 60 A 127.0.0.77");
    assert!(good, "{said}");
    running.stop().await;
    // Both come back with what they had, the secondary although its primary is dead.
    let (again, running) = second.clone().start().await.unwrap();
    assert_eq!(again, second_ready);
    assert_eq!(serial(again.address), Some(1));
    running.stop().await;
    let (again, running) = options.clone().start().await.unwrap();
    assert_eq!(again.serials.get("example.org."), Some(&2));
    assert_eq!(addresses(again.address, "new.example.org."), ["127.0.0.77"]);

    // A second server at the same address is refused, in words.
    let error = options.start().await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on {}", ready.address)), "{error}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notify_that_is_lost_is_repeated() {
    let (ready, primary) = primary_options(ZONE).start().await.unwrap();
    let (secondary, running) = secondary_options(2, ready.address, 3_600_000).start().await.unwrap();
    let address = secondary.address;
    running.stop().await;
    set_secondaries(&primary, ZONE, vec![address]);
    let (good, said) = nsupdate(ready.address, Some(KEY), "update add new.example.org. 60 A 127.0.0.77");
    assert!(good, "{said}");
    // It comes up with the zone from before, while the primary is still calling.
    let held = tokio::net::UdpSocket::bind(address).await.unwrap();
    let mut buffer = [0; 512];
    for _ in 0..2 {
        let (length, _) =
            tokio::time::timeout(Duration::from_secs(5), held.recv_from(&mut buffer)).await.unwrap().unwrap();
        let message = Message::from_vec(&buffer[..length]).unwrap();
        assert_eq!((message.op_code, message.authoritative), (OpCode::Notify, true));
        assert_eq!(message.queries.first().unwrap().query_type(), RecordType::SOA);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notify_from_a_stranger_is_refused() {
    let lab = Lab::start(1).await;
    let socket = UdpSocket::bind("127.0.0.99:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    for (zone, expected) in [("example.org.", ResponseCode::Refused), ("example.com.", ResponseCode::NotAuth)]
    {
        let mut message = Message::new(815, MessageType::Query, OpCode::Notify);
        message.add_query(Query::query(Name::from_ascii(zone).unwrap(), RecordType::SOA));
        socket.send_to(&message.to_vec().unwrap(), lab.secondaries[0].0.address).unwrap();
        let mut answer = [0; 512];
        let (length, _) = socket.recv_from(&mut answer).unwrap();
        let answer = Message::from_vec(&answer[..length]).unwrap();
        assert_eq!((answer.id, answer.op_code, answer.response_code), (815, OpCode::Notify, expected));
    }
}

#[tokio::test]
async fn bad_options_are_said_and_keep_their_secrets() {
    let with_key = |name: &str, secret: &str| {
        let keys = vec![TsigKey { name: name.into(), secret: Secret::new(secret) }];
        Options { keys, ..primary_options(ZONE) }
    };
    for (options, expected) in [
        (with_key("demo.", "not base64!"), "TSIG key demo.: the secret is not base64"),
        (with_key("de..mo", KEY), "is not a domain name"),
        (primary_options("www 60 IN A 127.0.0.1"), "zone example.org.: it has no SOA record"),
        (primary_options("nonsense"), "zone example.org.:"),
    ] {
        let error = options.start().await.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("not base64!"), "{error}");
    }
    assert!(!format!("{:?}", primary_options(ZONE)).contains(KEY));
}
