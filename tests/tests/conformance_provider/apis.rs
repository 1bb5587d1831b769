//! Providers whose accounts we do not have: each against a server on loopback that behaves as its public documentation says.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use dr_core::dns::{SetChange, ZoneChange};
use dr_core::estate::{ApiKind, ApiProvider};
use dr_core::world::{Atomicity, Commit, Provider};
use dr_core::{ErrorKind, RecordKey, RecordSet, RecordType, Secret};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const TOKEN: &str = "token-of-the-tests";

/// Record sets by relative name and type: TTL and data as in a zone file.
pub(crate) type Sets = BTreeMap<(String, String), (u64, Vec<String>)>;

#[derive(Default)]
pub(crate) struct Account {
    pub(crate) sets: Sets,
    /// Every state that visitors could have seen for www A.
    seen: Vec<Option<Vec<String>>>,
    /// What the next request is answered, whatever it is.
    pub(crate) next: Option<u16>,
    /// The next change is carried out and not answered.
    swallow: bool,
}

/// A request as it came.
pub(crate) struct Raw {
    pub(crate) method: String,
    pub(crate) target: String,
    headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Raw {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter_map(|line| line.split_once(": "));
        found.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

struct Asked {
    method: String,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    body: Value,
}

/// Serves one account of an API that speaks JSON; `answer` does what its documentation says.
async fn serve(
    header: &'static str,
    answer: fn(&mut Sets, &Asked) -> (u16, Value),
) -> (SocketAddr, Arc<Mutex<Account>>) {
    serve_raw(move |account, raw| {
        let (path, query) = raw.target.split_once('?').unwrap_or((&raw.target, ""));
        let asked = Asked {
            method: raw.method.clone(),
            path: path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            body: serde_json::from_slice(&raw.body).unwrap_or_default(),
        };
        let (status, said) = if raw.header("authorization") != Some(header) {
            (401, json!({ "message": "unknown token" }))
        } else if let Some(status) = account.next.take() {
            (status, json!({ "message": "not now" }))
        } else {
            answer(&mut account.sets, &asked)
        };
        (status, if status == 204 { String::new() } else { said.to_string() })
    })
    .await
}

/// Serves one account.
pub(crate) async fn serve_raw(
    answer: impl Fn(&mut Account, &Raw) -> (u16, String) + Send + 'static,
) -> (SocketAddr, Arc<Mutex<Account>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let account = Arc::new(Mutex::new(Account::default()));
    let ours = account.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            let mut lines = vec![];
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 || line.trim().is_empty() {
                    break;
                }
                lines.push(line.trim().to_owned());
            }
            let mut words = lines.first().map_or("", String::as_str).split(' ');
            let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap_or("/").to_owned());
            let mut raw = Raw { method, target, headers: lines, body: vec![] };
            raw.body = vec![0; raw.header("content-length").map_or(0, |text| text.parse().unwrap())];
            stream.read_exact(&mut raw.body).await.unwrap();
            let (status, said, silent) = {
                let mut account = ours.lock().unwrap();
                let (status, said) = answer(&mut account, &raw);
                let www = account.sets.get(&("www".to_owned(), "A".to_owned())).map(|(_, data)| data.clone());
                account.seen.push(www);
                let silent = raw.method != "GET" && std::mem::take(&mut account.swallow);
                (status, said, silent)
            };
            if silent {
                continue;
            }
            let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\n\r\n{said}", said.len());
            let _ = stream.get_mut().write_all(head.as_bytes()).await;
        }
    });
    (address, account)
}

fn www(ttl: u32, data: &[&str]) -> RecordSet {
    RecordSet::new("www.change.test".parse().unwrap(), RecordType::A, ttl, data.iter().copied())
}

pub(crate) fn opened(kind: ApiKind, server: SocketAddr, token: &str) -> Arc<dyn Provider> {
    let url = Some(format!("http://{server}"));
    let at = ApiProvider { kind, url, token_file: "none".into(), allow_gap: false };
    dr_core::world::providers::open(&at, &Secret::new(token.to_owned())).unwrap()
}

/// What cannot be done is said so, with what to do about it.
async fn says_what_is_wrong(
    kind: ApiKind,
    provider: &Arc<dyn Provider>,
    (server, account, stranger): (SocketAddr, &Mutex<Account>, &str),
    back: &ZoneChange,
) {
    for (status, expected) in
        [(429, ErrorKind::Busy), (403, ErrorKind::Rejected), (503, ErrorKind::Unreachable)]
    {
        account.lock().unwrap().next = Some(status);
        let error = provider.rehearse(back).await.unwrap_err();
        assert_eq!((error.kind(), error.advice().is_some()), (expected, true), "{kind:?} {error:?}");
    }
    let stranger = opened(kind, server, stranger).rehearse(back).await.unwrap_err();
    assert_eq!(stranger.kind(), ErrorKind::Rejected);
    if provider.abilities(&back.zone).min_ttl_s == 0 {
        return;
    }
    let low = SetChange { to: Some(www(1, &["192.0.2.9"])), ..back.sets[0].clone() };
    let hasty = ZoneChange { sets: vec![low], ..back.clone() };
    assert_eq!(
        provider.commit(&hasty).await.unwrap_err().kind(),
        ErrorKind::Usage,
        "a TTL that it does not take"
    );
    assert!(!format!("{:?}", provider.abilities(&back.zone)).contains(TOKEN));
}

/// What nobody answered is read back: an API that writes all at once has all of it, or nothing, and the mark says which. One that writes set
/// after set may have stopped before the mark: then it is not said to be done, and doing the rest brings it there.
async fn settled_by_its_mark(
    kind: ApiKind,
    provider: &Arc<dyn Provider>,
    server: SocketAddr,
    change: &ZoneChange,
    mark: &RecordSet,
) {
    let keys: Vec<RecordKey> = change.sets.iter().map(|set| set.key.clone()).collect();
    let now = provider.read(&change.zone, server, &keys).await.unwrap();
    let wanted: Vec<Option<RecordSet>> = change.sets.iter().map(|set| set.to.clone()).collect();
    if provider.abilities(&change.zone).atomicity == Atomicity::WholeChange {
        assert_eq!(now, wanted, "{kind:?}");
    }
    if now != wanted {
        assert_eq!(now.last(), Some(&None), "{kind:?}: the mark comes last");
        let rest: Vec<SetChange> = std::iter::zip(&change.sets, now)
            .map(|(set, from)| SetChange { from, ..set.clone() })
            .filter(|set| set.from != set.to)
            .collect();
        assert_eq!(
            provider.commit(&ZoneChange { sets: rest, ..change.clone() }).await.unwrap(),
            Commit::Applied
        );
    }
    assert_eq!(
        provider.read(&change.zone, server, &[mark.key()]).await.unwrap(),
        [Some(mark.clone())],
        "{kind:?}"
    );
}

/// What all of them must do.
async fn keeps_its_promises(
    kind: ApiKind,
    header: &'static str,
    answer: fn(&mut Sets, &Asked) -> (u16, Value),
) {
    fulfilled(kind, serve(header, answer).await, [TOKEN, "another"]).await;
}

fn change(primary: SocketAddr, sets: Vec<(Option<RecordSet>, Option<RecordSet>)>) -> ZoneChange {
    let sets = sets
        .into_iter()
        .map(|(from, to)| SetChange { key: from.as_ref().or(to.as_ref()).unwrap().key(), from, to })
        .collect();
    ZoneChange {
        zone: "change.test".parse().unwrap(),
        primary,
        key: None,
        through: None,
        require: vec![],
        sets,
    }
}

/// With the token of the account, and one that is of none.
pub(crate) async fn fulfilled(
    kind: ApiKind,
    (server, account): (SocketAddr, Arc<Mutex<Account>>),
    [token, stranger]: [&str; 2],
) {
    let provider = opened(kind, server, token);
    let change = |sets| change(server, sets);
    let read = async |set: &RecordSet| {
        let zone = "change.test".parse().unwrap();
        provider.read(&zone, server, &[set.key()]).await.unwrap().remove(0)
    };
    let (old, new) =
        (www(3600, &["192.0.2.1", "192.0.2.2"]), www(7200, &["192.0.2.2", "192.0.2.3", "192.0.2.4"]));
    let mail = RecordSet::new(
        "change.test".parse().unwrap(),
        RecordType::MX,
        3600,
        ["10 mail.change.test", "20 mx.example.com"],
    );
    let text = RecordSet::new("note.change.test".parse().unwrap(), RecordType::TXT, 3600, ["\"v=1 -all\""]);
    let make =
        change(vec![(None, Some(old.clone())), (None, Some(mail.clone())), (None, Some(text.clone()))]);
    assert_eq!(provider.commit(&make).await.unwrap(), Commit::Applied);
    for set in [&old, &mail, &text] {
        assert_eq!(read(set).await.as_ref(), Some(set), "{kind:?}");
    }
    account.lock().unwrap().seen.clear();
    let there = change(vec![(Some(old.clone()), Some(new.clone()))]);
    provider.rehearse(&there).await.unwrap();
    assert_eq!(provider.commit(&there).await.unwrap(), Commit::Applied);
    assert_eq!(read(&new).await, Some(new.clone()));
    let seen = account.lock().unwrap().seen.clone();
    assert!(seen.iter().all(|set| set.as_ref().is_some_and(|set| !set.is_empty())), "never empty: {seen:?}");
    // Somebody was faster: nothing is written.
    assert_eq!(
        provider.commit(&there).await.unwrap(),
        Commit::Conflict { observed: vec![Some(new.clone())] }
    );
    // A TTL alone, and back.
    let slower = RecordSet { ttl: 10_800, ..new.clone() };
    assert_eq!(
        provider.commit(&change(vec![(Some(new.clone()), Some(slower.clone()))])).await.unwrap(),
        Commit::Applied
    );
    assert_eq!(read(&new).await, Some(slower.clone()));
    // Done, but not answered: nobody knows, and what it wrote last says whose it was.
    let mark = RecordSet::new(
        "_dr-change.change.test".parse().unwrap(),
        RecordType::TXT,
        3600,
        ["\"change=0123456789abcdef\""],
    );
    account.lock().unwrap().swallow = true;
    let back = change(vec![(Some(slower), Some(old.clone())), (None, Some(mark.clone()))]);
    assert!(matches!(provider.commit(&back).await.unwrap(), Commit::Unknown { .. }), "{kind:?}");
    settled_by_its_mark(kind, &provider, server, &back, &mark).await;
    says_what_is_wrong(kind, &provider, (server, &account, stranger), &back).await;
    // Gone.
    let now = read(&old).await.unwrap();
    assert_eq!(
        provider.commit(&change(vec![(Some(now), None), (Some(text.clone()), None)])).await.unwrap(),
        Commit::Applied
    );
    assert_eq!((read(&old).await, read(&text).await), (None, None));
    // An alias in the place of records leaves a gap, unless all of it is one change.
    let key = RecordKey::new("www.change.test".parse().unwrap(), RecordType::CNAME);
    let alias = RecordSet::new(key.owner, RecordType::CNAME, 3600, ["www.example.com"]);
    let swap = change(vec![(Some(old), None), (None, Some(alias))]);
    let refused = provider.rehearse(&swap).await.unwrap_err().kind();
    let expected = if matches!(kind, ApiKind::Desec | ApiKind::Route53) {
        ErrorKind::Conflict
    } else {
        ErrorKind::Refused
    };
    assert_eq!(refused, expected, "{kind:?}");
}

fn key(name: &str, rtype: &str) -> (String, String) {
    (if name.is_empty() { "@" } else { name }.to_owned(), rtype.to_owned())
}

fn texts(values: &Value) -> Vec<String> {
    values.as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// GET and PATCH of /domains/{name}/rrsets/: the bulk request is all or nothing.
fn desec(sets: &mut Sets, asked: &Asked) -> (u16, Value) {
    let part = |at: usize| asked.path[at].as_str();
    if asked.method == "GET" {
        return match sets.get(&key(part(3), part(4))) {
            Some((ttl, records)) => {
                (200, json!({ "ttl": ttl, "records": records, "name": "x", "type": part(4) }))
            }
            None => (404, json!({ "detail": "Not found." })),
        };
    }
    assert_eq!((asked.method.as_str(), part(2)), ("PATCH", "rrsets"));
    let all = asked.body.as_array().unwrap();
    if all.iter().any(|set| set["ttl"].as_u64().is_some_and(|ttl| ttl < 3600)) {
        return (400, json!([{ "ttl": ["Ensure this value is greater than or equal to 3600."] }]));
    }
    for set in all {
        let key = key(word(&set["subname"]), word(&set["type"]));
        match texts(&set["records"]) {
            none if none.is_empty() => sets.remove(&key),
            records => sets.insert(key, (set["ttl"].as_u64().unwrap(), records)),
        };
    }
    (200, asked.body.clone())
}

/// GET, PUT and DELETE of /domains/{fqdn}/records/{name}/{type}.
fn gandi(sets: &mut Sets, asked: &Asked) -> (u16, Value) {
    let key = key(&asked.path[3], &asked.path[4]);
    match asked.method.as_str() {
        "GET" => match sets.get(&key) {
            Some((ttl, values)) => {
                (200, json!({ "rrset_name": key.0, "rrset_ttl": ttl, "rrset_values": values }))
            }
            None => (404, json!({ "code": 404, "cause": "Not Found" })),
        },
        "PUT" => {
            let ttl = asked.body["rrset_ttl"].as_u64().unwrap();
            sets.insert(key, (ttl, texts(&asked.body["rrset_values"])));
            (201, json!({ "message": "DNS Record Created" }))
        }
        "DELETE" => {
            sets.remove(&key);
            (204, Value::Null)
        }
        other => panic!("{other}"),
    }
}

/// Record sets of /zones/{name}/rrsets, changed by actions that run for a while.
fn hetzner(sets: &mut Sets, asked: &Asked) -> (u16, Value) {
    let running = (201, json!({ "action": { "id": 7, "status": "running" } }));
    if asked.path[0] == "actions" {
        return (200, json!({ "action": { "id": 7, "status": "success" } }));
    }
    let values = |records: &Value| -> Vec<String> {
        records.as_array().unwrap().iter().map(|record| word(&record["value"]).to_owned()).collect()
    };
    if asked.method == "POST" && asked.path.len() == 3 {
        let key = key(word(&asked.body["name"]), word(&asked.body["type"]));
        sets.insert(key, (asked.body["ttl"].as_u64().unwrap(), values(&asked.body["records"])));
        return running;
    }
    let key = key(&asked.path[3], &asked.path[4]);
    match (asked.method.as_str(), asked.path.get(6).map(String::as_str)) {
        ("GET", _) => match sets.get(&key) {
            Some((ttl, data)) => {
                let records: Vec<Value> = data.iter().map(|value| json!({ "value": value })).collect();
                (200, json!({ "rrset": { "ttl": ttl, "records": records } }))
            }
            None => (404, json!({ "error": { "code": "not_found" } })),
        },
        ("POST", Some("set_records")) => {
            sets.get_mut(&key).unwrap().1 = values(&asked.body["records"]);
            running
        }
        ("POST", Some("change_ttl")) => {
            sets.get_mut(&key).unwrap().0 = asked.body["ttl"].as_u64().unwrap();
            running
        }
        ("DELETE", _) => {
            sets.remove(&key);
            running
        }
        other => panic!("{other:?}"),
    }
}

/// Records of /zones/{id}/dns_records, and batches of deletes, patches and posts, in that order. An identifier is name, type and data.
fn cloudflare(sets: &mut Sets, asked: &Asked) -> (u16, Value) {
    let name = |full: &str| full.strip_suffix("change.test").unwrap().trim_end_matches('.').to_owned();
    if asked.path.len() == 1 {
        return (200, json!({ "success": true, "result": [{ "id": "zone1", "name": asked.query["name"] }] }));
    }
    if asked.method == "GET" {
        let key = key(&name(&asked.query["name"]), &asked.query["type"]);
        let Some((ttl, data)) = sets.get(&key) else {
            return (200, json!({ "success": true, "result": [] }));
        };
        let record = |data: &String| {
            let (priority, content) = data.split_once(' ').filter(|_| key.1 == "MX").unwrap_or(("", data));
            let id = format!("{}|{}|{data}", key.0, key.1);
            json!({ "id": id, "content": content, "priority": priority.parse::<u16>().ok(), "ttl": ttl, "proxied": false })
        };
        return (200, json!({ "success": true, "result": data.iter().map(record).collect::<Vec<_>>() }));
    }
    assert_eq!(asked.path[3], "batch");
    let data = |record: &Value| match record["priority"].as_u64() {
        Some(priority) => format!("{priority} {}", word(&record["content"])),
        None => word(&record["content"]).to_owned(),
    };
    for (kind, record) in ["deletes", "patches", "posts"]
        .into_iter()
        .flat_map(|kind| asked.body[kind].as_array().unwrap().iter().map(move |record| (kind, record)))
    {
        if kind == "posts" {
            let key = key(&name(word(&record["name"])), word(&record["type"]));
            let set = sets.entry(key).or_insert_with(|| (record["ttl"].as_u64().unwrap(), vec![]));
            set.1.push(data(record));
            continue;
        }
        let id: Vec<&str> = word(&record["id"]).splitn(3, '|').collect();
        let key = key(id[0], id[1]);
        let set = sets.get_mut(&key).unwrap();
        let at = set.1.iter().position(|there| there == id[2]).unwrap();
        if kind == "patches" {
            set.0 = record["ttl"].as_u64().unwrap();
            set.1[at] = data(record);
        } else {
            set.1.remove(at);
            if set.1.is_empty() {
                sets.remove(&key);
            }
        }
    }
    (200, json!({ "success": true, "result": {} }))
}

#[tokio::test]
async fn desec_as_documented() {
    keeps_its_promises(ApiKind::Desec, "Token token-of-the-tests", desec).await;
}

#[tokio::test]
async fn gandi_as_documented() {
    keeps_its_promises(ApiKind::Gandi, "Bearer token-of-the-tests", gandi).await;
}

#[tokio::test]
async fn hetzner_as_documented() {
    keeps_its_promises(ApiKind::Hetzner, "Bearer token-of-the-tests", hetzner).await;
}

#[tokio::test]
async fn cloudflare_as_documented() {
    keeps_its_promises(ApiKind::Cloudflare, "Bearer token-of-the-tests", cloudflare).await;
}

#[tokio::test]
async fn a_token_never_goes_over_the_network_in_the_open() {
    for url in
        ["http://api.example.org/v1", "ftp://127.0.0.1", "https://user:word@api.example.org", "nothing"]
    {
        let at = ApiProvider {
            kind: ApiKind::Desec,
            url: Some(url.into()),
            token_file: "none".into(),
            allow_gap: false,
        };
        let Err(error) = dr_core::world::providers::open(&at, &Secret::new(TOKEN.to_owned())) else {
            panic!("{url}")
        };
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(!format!("{error:?}").contains(TOKEN));
    }
}
