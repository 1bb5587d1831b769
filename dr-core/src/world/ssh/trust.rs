//! Whether a host is the one it says it is.

use russh::keys::{Algorithm, EcdsaCurve};

use super::access::Access;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;
use crate::keys::{Certificate, KnownHosts, Place, PublicKey, Verdict};
use crate::time::Timestamp;

/// Everything by which one host's key is judged.
pub(super) struct Trust {
    remote: Remote,
    pins: Vec<PublicKey>,
    known: KnownHosts,
    files: Vec<String>,
}

/// A certificate that a host showed, and whether what it says is signed by the authority that it names.
pub(super) struct Shown {
    pub(super) certificate: Certificate,
    pub(super) signature_holds: bool,
}

impl Trust {
    /// Reads the pins and the known_hosts files.
    pub(super) async fn gather(access: &Access, remote: &Remote) -> Result<Self> {
        let name = remote.known_hosts_name();
        let mut pins = vec![];
        for pin in access.pins.get(&name).into_iter().flatten() {
            let pin = pin.parse().map_err(|why: String| {
                Error::new(ErrorKind::Usage, format!("read the pinned host keys of {name}"), why)
                    .hint("copy a line from /etc/ssh/ssh_host_*_key.pub of that host")
            })?;
            pins.push(pin);
        }
        let mut known = KnownHosts::default();
        let mut files = vec![];
        for path in &access.known_hosts {
            let file = path.display().to_string();
            match tokio::fs::read(path).await {
                Ok(content) => known.read(&file, &content),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(format!("read {file}"), error)),
            }
            files.push(file);
        }
        Ok(Self { remote: remote.clone(), pins, known, files })
    }

    /// By certificates of this authority, and by nothing else.
    pub(super) fn by_authority(remote: &Remote, authority: &str) -> Self {
        let mut known = KnownHosts::default();
        known.read("the authority", format!("@cert-authority * {authority}\n").as_bytes());
        Self { remote: remote.clone(), pins: vec![], known, files: vec![] }
    }

    /// Which kinds of host key to ask for: those that are known for this host, so that it proves itself by a key that can be
    /// judged; for a host of which nothing is known, every kind that this build can check.
    pub(super) fn algorithms(&self) -> Result<Vec<Algorithm>> {
        let names: Vec<&str> = if self.pins.is_empty() {
            self.known.keys(&self.remote).map(|(key, _)| key.algorithm()).collect()
        } else {
            self.pins.iter().map(PublicKey::algorithm).collect()
        };
        let wanted: Vec<Algorithm> = CHECKABLE
            .iter()
            .filter(|row| names.is_empty() || names.contains(&row.0))
            .map(|row| row.1.clone())
            .collect();
        if wanted.is_empty() {
            let why = format!("only {} is known for it, which this build cannot check", names.join(" and "));
            return Err(self.error(ErrorKind::Unsupported, why).hint(self.scan_hint()));
        }
        Ok(wanted)
    }

    /// Which kinds of certificate to ask for before keys: none unless an authority is known for this host, and no pin decides.
    pub(super) fn certificates(&self) -> Vec<Algorithm> {
        let wanted = self.pins.is_empty() && self.known.authorities(&self.remote).next().is_some();
        CHECKABLE.iter().filter(|_| wanted).map(|row| row.1.clone()).collect()
    }

    /// What is known of a key, and whether it is pinned; none if nothing is pinned for this host.
    pub(super) fn standing(&self, key: &PublicKey) -> (Verdict, Option<bool>) {
        let pinned = (!self.pins.is_empty()).then(|| self.pins.contains(key));
        (self.known.judge(&self.remote, key), pinned)
    }

    /// Judges the certificate that the host showed for the key that it has just proved to hold. As ssh does, one that is not good
    /// enough is no harm where the key itself is known.
    pub(super) fn judge_certificate(&self, shown: &Shown, at: Timestamp) -> Result<()> {
        let certificate = &shown.certificate;
        for key in [certificate.authority(), certificate.key()] {
            if let Verdict::Revoked(place) = self.known.judge(&self.remote, key) {
                return Err(self.revoked(key, &place));
            }
        }
        let authority =
            self.known.authorities(&self.remote).find(|(authority, _)| *authority == certificate.authority());
        let why = match authority {
            None => "no authority that is known for this host has signed it".to_owned(),
            Some((_, place)) if !shown.signature_holds => {
                format!("the signature on it is not that of the authority in {place}")
            }
            Some(_) => match certificate.stands_for_host(&self.remote.host, at) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            },
        };
        self.judge(certificate.key()).map_err(|by_key| {
            let id = certificate.id().escape_debug().to_string();
            let why = format!("its certificate '{id}' does not count: {why}; {}", by_key.message());
            self.error(ErrorKind::HostKey, why).hint(
                "renew the host's certificate with dr keys ca host, or correct the @cert-authority line; ssh-keygen -L shows what a \
                 certificate says",
            )
        })
    }

    /// Judges the key that the host has just proved to hold.
    pub(super) fn judge(&self, key: &PublicKey) -> Result<()> {
        let verdict = self.known.judge(&self.remote, key);
        if let Verdict::Revoked(place) = verdict {
            return Err(self.revoked(key, &place));
        }
        if !self.pins.is_empty() {
            return if self.pins.contains(key) { Ok(()) } else { Err(self.changed_pin(key)) };
        }
        match verdict {
            Verdict::Known(_) => Ok(()),
            Verdict::Changed(place) => {
                let file = &place.file;
                let name = self.remote.known_hosts_name();
                let why = format!("its host key {} is not the one in {place}", shown(key));
                Err(self.error(ErrorKind::HostKey, why).hint(format!(
                    "if the host was reinstalled, compare the fingerprint on its console and remove the old line with \
                     ssh-keygen -f '{file}' -R '{name}'; if not, somebody may stand between you and it"
                )))
            }
            _ => Err(self.unknown(key)),
        }
    }

    fn revoked(&self, key: &PublicKey, place: &Place) -> Error {
        let why = format!("its host key, or that of its authority, {} is revoked in {place}", shown(key));
        self.error(ErrorKind::HostKey, why).hint(
            "whoever holds this key can pretend to be that host: give the host a new key, and make sure of it on another way",
        )
    }

    /// The host and we have no kind of host key in common.
    pub(super) fn no_common_kind(&self, theirs: &[String]) -> Error {
        let offers = theirs.join(", ");
        let something = !self.pins.is_empty() || self.known.keys(&self.remote).next().is_some();
        if something {
            let why =
                format!("it has none of the kinds of host key that are known for it; it offers {offers}");
            return self.error(ErrorKind::HostKey, why).hint(self.scan_hint());
        }
        let why = format!("it has no host key of a kind that this build can check; it offers {offers}");
        self.error(ErrorKind::Unsupported, why)
            .hint("make an ed25519 host key on it: ssh-keygen -A, then reload sshd")
    }

    fn changed_pin(&self, key: &PublicKey) -> Error {
        let pins: Vec<String> = self.pins.iter().map(shown).collect();
        let why = format!("its host key {} is none of the pinned ones ({})", shown(key), pins.join(", "));
        self.error(ErrorKind::HostKey, why).hint(
            "if the host was reinstalled, compare the fingerprint on its console (ssh-keygen -lf \
             /etc/ssh/ssh_host_ed25519_key.pub) and correct host_keys in the estate; if not, somebody may stand between you \
             and it",
        )
    }

    fn unknown(&self, key: &PublicKey) -> Error {
        let line = key.clone().with_comment("");
        let file = self.files.first().map_or("a known_hosts file", String::as_str);
        let authority = self.known.authorities(&self.remote).next();
        let why = match authority {
            Some((_, place)) => {
                format!(
                    "its host key {} is unknown, and it shows no certificate by the authority in {place}",
                    shown(key)
                )
            }
            None => format!("its host key {} is unknown", shown(key)),
        };
        self.error(ErrorKind::HostKey, why).hint(format!(
            "compare the fingerprint on the host's console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub); if it is the \
             same, dr keys trust {} takes it up in {file}, or pin '{line}' under host_keys in the estate",
            self.remote
        ))
    }

    fn scan_hint(&self) -> String {
        let Remote { host, port, .. } = &self.remote;
        format!(
            "add its ed25519 key: ssh-keyscan -t ed25519 -p {port} {host}, compared with \
             /etc/ssh/ssh_host_ed25519_key.pub on its console"
        )
    }

    fn error(&self, kind: ErrorKind, why: String) -> Error {
        Error::new(kind, format!("trust {}", self.remote.authority()), why)
    }
}

fn shown(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint())
}

/// The kinds of host key that this build can check, best first.
pub(super) const CHECKABLE: &[(&str, Algorithm)] = &[
    ("ssh-ed25519", Algorithm::Ed25519),
    ("ecdsa-sha2-nistp256", Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }),
    ("ecdsa-sha2-nistp384", Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 }),
    ("ecdsa-sha2-nistp521", Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 }),
];
