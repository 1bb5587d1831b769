//! Route 53, against a server on loopback that behaves as its API reference says: XML, signed requests, change batches that are done whole or
//! not at all.

use std::collections::BTreeMap;
use std::fmt::Write;

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use dr_core::dns::{SetChange, ZoneChange};
use dr_core::estate::ApiKind;
use dr_core::world::Commit;
use dr_core::{ErrorKind, RecordKey, RecordSet, RecordType};

use crate::apis::{Account, Raw, Sets, fulfilled, opened, serve_raw};

const ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ZONE: &str = "Z0123456789ABC";

/// What stands between two tags, for the first time.
fn between<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    rest.split_once(&format!("</{tag}>")).map(|(inside, _)| inside)
}

/// Everything that stands between such tags.
fn all<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let parts = text.split(open.as_str()).skip(1);
    parts.map(|part| part.split_once(close.as_str()).unwrap().0).collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// Whether the request is signed as AWS says, from what came over the line.
fn is_signed(raw: &Raw) -> bool {
    let Some(said) = raw.header("authorization") else { return false };
    let part = |name: &str| {
        said.split([' ', ',']).find_map(|part| part.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    let (credential, names, signature) = (part("Credential="), part("SignedHeaders="), part("Signature="));
    let Some((id, scope)) = credential.split_once('/') else { return false };
    let time = raw.header("x-amz-date").unwrap_or_default();
    let (path, query) = raw.target.split_once('?').unwrap_or((&raw.target, ""));
    let mut sorted: Vec<&str> = query.split('&').collect();
    sorted.sort_unstable();
    let mut canonical = format!("{}\n{path}\n{}\n", raw.method, sorted.join("&"));
    for name in names.split(';') {
        let _ = writeln!(canonical, "{name}:{}", raw.header(name).unwrap_or_default());
    }
    let hash = |octets: &[u8]| HEXLOWER.encode(digest::digest(&digest::SHA256, octets).as_ref());
    let _ = write!(canonical, "\n{names}\n{}", hash(&raw.body));
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let first = format!("AWS4{SECRET}").into_bytes();
    let key = scope.split('/').fold(first, |key, part| mac(&key, part));
    let [host, date] = ["host", "x-amz-date"].map(|wanted| names.split(';').any(|name| name == wanted));
    let whose =
        scope.ends_with("/us-east-1/route53/aws4_request") && time.starts_with(scope.get(..8).unwrap_or("-"));
    id == ID && host && date && whose && signature == HEXLOWER.encode(&mac(&key, &to_sign))
}

fn error(status: u16, code: &str) -> (u16, String) {
    let text = "<?xml version=\"1.0\"?>\n<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type>";
    (
        status,
        format!(
            "{text}<Code>{code}</Code><Message>Rate &amp; more</Message></Error><RequestId>1</RequestId></ErrorResponse>"
        ),
    )
}

fn invalid(message: &str) -> (u16, String) {
    let text = "<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages>";
    (
        400,
        format!("{text}<Message>{message}</Message></Messages><RequestId>1</RequestId></InvalidChangeBatch>"),
    )
}

/// The relative name and the type.
fn key(name: &str, rtype: &str) -> (String, String) {
    let name = name.replace("%2A", "*").trim_end_matches('.').to_lowercase();
    let below = name.strip_suffix("change.test").unwrap().trim_end_matches('.').to_owned();
    (if below.is_empty() { "@".to_owned() } else { below }, rtype.to_owned())
}

/// A batch is done whole, or not at all and says why.
fn batch(sets: &mut Sets, body: &str) -> Result<(), String> {
    let mut after = sets.clone();
    assert!(body.contains("<ChangeBatch>") && !all(body, "Change").is_empty(), "{body}");
    for change in all(body, "Change") {
        let of = |tag: &str| between(change, tag).unwrap().to_owned();
        let (key, ttl) = (key(&of("Name"), &of("Type")), of("TTL").parse::<u64>().unwrap());
        let values: Vec<String> =
            all(change, "Value").into_iter().map(|v| v.replace("&quot;", "\"")).collect();
        match of("Action").as_str() {
            "UPSERT" => {
                if values.iter().any(|value| value == "0.0.0.0") {
                    return Err("Invalid Resource Record: '0.0.0.0'".to_owned());
                }
                let other =
                    |taken: &(String, String)| taken.0 == key.0 && (taken.1 == "CNAME") != (key.1 == "CNAME");
                if after.keys().any(other) {
                    return Err("RRSet of type CNAME conflicts with another".to_owned());
                }
                after.insert(key, (ttl, values));
            }
            "DELETE" => match after.get(&key) {
                Some((was, there)) if (*was, there) == (ttl, &values) => {
                    after.remove(&key);
                }
                Some(_) => return Err("but the values provided do not match the current values".to_owned()),
                None => return Err("Tried to delete it, but it was not found".to_owned()),
            },
            other => panic!("{other}"),
        }
    }
    *sets = after;
    Ok(())
}

fn listed(sets: &Sets, query: &BTreeMap<&str, &str>) -> String {
    assert_eq!(query["maxitems"], "1");
    // From there on, in their order: who asks has to see whether it is the one.
    let from = key(query["name"], query["type"]);
    let mut list = String::new();
    if let Some(((name, rtype), (ttl, values))) = sets.range(from..).next() {
        let owner = if name == "@" {
            "change.test.".to_owned()
        } else {
            format!("{}.change.test.", name.replace('*', "\\052"))
        };
        let content = if values.first().is_some_and(|value| value == "alias") {
            "<AliasTarget><HostedZoneId>Z2</HostedZoneId></AliasTarget>".to_owned()
        } else {
            let records: Vec<String> = values
                .iter()
                .map(|value| {
                    format!(
                        "<ResourceRecord><Value>{}</Value></ResourceRecord>",
                        value.replace('"', "&quot;")
                    )
                })
                .collect();
            format!("<TTL>{ttl}</TTL><ResourceRecords>{}</ResourceRecords>", records.concat())
        };
        list = format!(
            "<ResourceRecordSet><Name>{owner}</Name><Type>{rtype}</Type>{content}</ResourceRecordSet>"
        );
    }
    format!(
        "<?xml version=\"1.0\"?>\n<ListResourceRecordSetsResponse><ResourceRecordSets>{list}</ResourceRecordSets>\
         <IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>"
    )
}

fn route53(account: &mut Account, raw: &Raw) -> (u16, String) {
    if !is_signed(raw) {
        return error(403, "SignatureDoesNotMatch");
    }
    match account.next.take() {
        Some(429) => return error(400, "Throttling"),
        Some(403) => return error(403, "AccessDenied"),
        Some(status) => return error(status, "ServiceUnavailable"),
        None => {}
    }
    let (path, query) = raw.target.split_once('?').unwrap_or((&raw.target, ""));
    let query: BTreeMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    match (raw.method.as_str(), path) {
        ("GET", "/2013-04-01/hostedzonesbyname") => {
            assert_eq!(query["dnsname"], "change.test");
            let zone = |id: &str, name: &str, private| {
                format!(
                    "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}.</Name><Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
                )
            };
            let zones = zone("Z9", "change.test", true)
                + &zone(ZONE, "change.test", false)
                + &zone("Z8", "change.tester", false);
            (
                200,
                format!(
                    "<ListHostedZonesByNameResponse><HostedZones>{zones}</HostedZones></ListHostedZonesByNameResponse>"
                ),
            )
        }
        ("GET", _) if path == format!("/2013-04-01/hostedzone/{ZONE}/rrset") => {
            (200, listed(&account.sets, &query))
        }
        ("POST", _) if path == format!("/2013-04-01/hostedzone/{ZONE}/rrset/") => {
            match batch(&mut account.sets, std::str::from_utf8(&raw.body).unwrap()) {
                Ok(()) => {
                    let info = "<ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status></ChangeInfo>";
                    (
                        200,
                        format!(
                            "<ChangeResourceRecordSetsResponse>{info}</ChangeResourceRecordSetsResponse>"
                        ),
                    )
                }
                Err(why) => invalid(&why),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn route53_as_documented() {
    let right = format!("{ID}:{SECRET}");
    fulfilled(ApiKind::Route53, serve_raw(route53).await, [&right, "AKIDEXAMPLE:another/secret"]).await;
}

#[tokio::test]
async fn a_batch_is_whole_and_what_is_not_plain_is_left_alone() {
    let (server, account) = serve_raw(route53).await;
    let provider = opened(ApiKind::Route53, server, &format!("{ID}:{SECRET}"));
    let name = |first: &str| format!("{first}.change.test").parse().unwrap();
    let old = RecordSet::new(name("*"), RecordType::A, 60, ["192.0.2.1"]);
    let alias = RecordSet::new(name("*"), RecordType::CNAME, 60, ["www.example.com"]);
    let change = |sets: Vec<(Option<&RecordSet>, Option<&RecordSet>)>| ZoneChange {
        zone: "change.test".parse().unwrap(),
        primary: server,
        key: None,
        through: None,
        require: vec![],
        sets: sets
            .into_iter()
            .map(|(from, to)| SetChange {
                key: from.or(to).unwrap().key(),
                from: from.cloned(),
                to: to.cloned(),
            })
            .collect(),
    };
    assert_eq!(provider.commit(&change(vec![(None, Some(&old))])).await.unwrap(), Commit::Applied);
    // The TTL that is there counts where something is removed, not the one that was planned with.
    let planned = RecordSet { ttl: 30, ..old.clone() };
    let swap = change(vec![(Some(&planned), None), (None, Some(&alias))]);
    provider.fits(&swap).unwrap();
    assert_eq!(provider.commit(&swap).await.unwrap(), Commit::Applied, "an alias takes its place at once");
    // One bad record, and nothing of the batch is done.
    let bad = RecordSet::new(name("bad"), RecordType::A, 60, ["0.0.0.0"]);
    let refused =
        provider.commit(&change(vec![(Some(&alias), Some(&alias)), (None, Some(&bad))])).await.unwrap_err();
    assert_eq!((refused.kind(), refused.advice().is_some()), (ErrorKind::Rejected, true), "{refused:?}");
    let keys = [alias.key(), bad.key(), old.key()];
    let zone = "change.test".parse().unwrap();
    assert_eq!(provider.read(&zone, server, &keys).await.unwrap(), [Some(alias), None, None]);
    // A rule of its own is no record set.
    account.lock().unwrap().sets.insert(("shop".into(), "A".into()), (0, vec!["alias".into()]));
    let shop = RecordKey::new(name("shop"), RecordType::A);
    assert_eq!(provider.read(&zone, server, &[shop]).await.unwrap_err().kind(), ErrorKind::Refused);
    // So many at once it would not take; a plan says so before.
    let many: Vec<RecordSet> =
        (0..501).map(|n| RecordSet::new(name(&format!("n{n}")), RecordType::A, 60, ["192.0.2.1"])).collect();
    let all = change(many.iter().map(|set| (None, Some(set))).collect());
    assert_eq!(provider.fits(&all).unwrap_err().kind(), ErrorKind::Usage);
}
