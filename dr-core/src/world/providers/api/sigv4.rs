//! The signature that AWS wants on every request (Signature Version 4), over aws-lc-rs.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

use crate::secret::Secret;
use crate::time::Timestamp;

/// Who asks.
pub(super) struct Credentials {
    id: String,
    secret: Secret,
    session: Option<Secret>,
}

impl Credentials {
    /// From one line, `ID:SECRET` or `ID:SECRET:SESSION`, as none of the three has a colon in it.
    pub(super) fn read(line: &Secret) -> Result<Self, String> {
        let mut parts = line.reveal().trim().splitn(3, ':');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        match (part(), part(), part()) {
            (Some(id), Some(secret), session) if id.chars().all(|c| c.is_ascii_alphanumeric()) => Ok(Self {
                id: id.to_owned(),
                secret: Secret::new(secret.to_owned()),
                session: session.map(|session| Secret::new(session.to_owned())),
            }),
            _ => {
                Err("write ACCESS_KEY_ID:SECRET_ACCESS_KEY into the file, and :SESSION_TOKEN if there is one"
                    .to_owned())
            }
        }
    }
}

/// What is asked of which service, where.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    /// Escaped as it is sent.
    pub(super) path: &'a str,
    /// Sorted and escaped as it is sent.
    pub(super) query: &'a str,
    pub(super) body: &'a [u8],
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// Further headers that are signed, in lower case.
    pub(super) headers: &'a [(&'a str, &'a str)],
}

/// The headers that a request has to carry.
pub(super) fn sign(asked: &Asked<'_>, by: &Credentials, at: Timestamp) -> Vec<(&'static str, Secret)> {
    let time = basic(at);
    let day = time.get(..8).unwrap_or_default();
    let mut headers: Vec<(&str, &str)> = vec![("host", asked.host), ("x-amz-date", &time)];
    headers.extend(by.session.as_ref().map(|session| ("x-amz-security-token", session.reveal())));
    headers.extend(asked.headers);
    headers.sort_unstable();
    let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let Asked { method, path, query, region, service, .. } = asked;
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", hashed(asked.body));
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hashed(canonical.as_bytes()));
    let first = format!("AWS4{}", by.secret.reveal());
    let key =
        [day, region, service, "aws4_request"].iter().fold(first.into_bytes(), |key, part| mac(&key, part));
    let signature = HEXLOWER.encode(&mac(&key, &to_sign));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        by.id
    );
    let mut signed =
        vec![("x-amz-date", Secret::new(time.clone())), ("authorization", Secret::new(authorization))];
    signed.extend(by.session.clone().map(|session| ("x-amz-security-token", session)));
    signed
}

fn hashed(octets: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, octets).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// ISO 8601 without separators: 20150830T123600Z.
fn basic(at: Timestamp) -> String {
    let whole = Timestamp::from_micros(at.as_micros().div_euclid(1_000_000) * 1_000_000).to_string();
    let seconds = whole.split(['.', 'Z']).next().unwrap_or_default();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that AWS's own documentation of the signature reckons through.
    #[test]
    fn the_documented_example() {
        let by =
            Credentials::read(&Secret::new("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into()));
        let asked = Asked {
            method: "GET",
            host: "iam.amazonaws.com",
            path: "/",
            query: "Action=ListUsers&Version=2010-05-08",
            body: b"",
            region: "us-east-1",
            service: "iam",
            headers: &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
        };
        let at = Timestamp::from_micros(1_440_938_160_999_999);
        assert_eq!(basic(at), "20150830T123600Z");
        let headers = sign(&asked, &by.unwrap(), at);
        let said = headers.iter().find(|(name, _)| *name == "authorization").unwrap().1.reveal().to_owned();
        let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_line_of_credentials() {
        let read = |line: &str| Credentials::read(&Secret::new(line.to_owned()));
        let with_session = read("AKIA1:a/b+c:token==").unwrap();
        assert_eq!(with_session.session.as_ref().map(Secret::reveal), Some("token=="));
        for bad in ["", "AKIA1", "AKIA1:", ":secret", "AKIA 1:secret"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
