//! TLS towards servers that must prove who they are, and until when.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::error::{Error, ErrorKind, Result};
use crate::estate::DnsName;

/// Where systems keep the authorities that they trust: Debian and its kin, Red Hat's, SUSE's, Alpine's and the BSDs'.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// A file of authorities is looked at again after so long: it may have been updated.
const FRESH_FOR: Duration = Duration::from_secs(60);

/// What is trusted, by the file that says so. Reading one takes milliseconds, and services are looked at every second.
#[derive(Clone, Default)]
pub(in crate::world) struct Authorities(Arc<Mutex<Read>>);

type Read = BTreeMap<Option<PathBuf>, (SystemTime, Arc<ClientConfig>)>;

impl Authorities {
    /// A handshake with the server called `name`, whose certificate must be good for that name, and trusted by the file at
    /// `authorities` or else by the system.
    pub(in crate::world) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        name: &DnsName,
        authorities: Option<&Path>,
    ) -> Result<io::Result<TlsStream<S>>> {
        let config = self.config(authorities)?;
        let text = name.as_str().trim_end_matches('.').to_owned();
        let name = ServerName::try_from(text).map_err(|why| {
            Error::new(ErrorKind::Usage, format!("verify {name}"), why.to_string())
                .hint("certificates are for names of hosts: letters, digits and hyphens")
        })?;
        Ok(TlsConnector::from(config).connect(name, stream).await)
    }

    fn config(&self, authorities: Option<&Path>) -> Result<Arc<ClientConfig>> {
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, now) = (authorities.map(Path::to_owned), SystemTime::now());
        if let Some((at, config)) = read.get(&key)
            && now.duration_since(*at).is_ok_and(|age| age < FRESH_FOR)
        {
            return Ok(Arc::clone(config));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder =
            builder.map_err(|why| Error::new(ErrorKind::Internal, "prepare TLS", why.to_string()))?;
        let config = builder.with_root_certificates(roots(authorities)?).with_no_client_auth();
        let config = Arc::new(config);
        read.insert(key, (now, Arc::clone(&config)));
        Ok(config)
    }
}

/// The authorities of one file, or of the system's.
fn roots(authorities: Option<&Path>) -> Result<RootCertStore> {
    let path = match authorities {
        Some(path) => path,
        None => SYSTEM_FILES.iter().map(Path::new).find(|path| path.exists()).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                "find the authorities that this system trusts",
                "there is no such file",
            )
            .hint("install ca-certificates, or name a file with `authorities`")
        })?,
    };
    let operation = || format!("read the authorities in {}", path.display());
    let text = std::fs::read(path).map_err(|why| Error::io(operation(), why))?;
    let mut roots = RootCertStore::empty();
    // One that cannot be used (systems carry odd ones) takes nothing away from the others.
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&text).flatten());
    if roots.is_empty() {
        let why = "no certificate in it can be used";
        return Err(Error::new(ErrorKind::Corrupt, operation(), why)
            .hint("it has one or more blocks that begin with -----BEGIN CERTIFICATE-----"));
    }
    Ok(roots)
}

/// When the server's own certificate ends; none if it cannot be told.
pub(in crate::world) fn ends<S>(stream: &TlsStream<S>) -> Option<SystemTime> {
    let shown = stream.get_ref().1.peer_certificates()?.first()?;
    let certificate = Certificate::from_der(shown).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_system_time())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_authorities_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        let fails = |kind| assert_eq!(roots(Some(&path)).unwrap_err().kind(), kind);
        fails(ErrorKind::NotFound);
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n")
            .unwrap();
        fails(ErrorKind::Corrupt);
        std::fs::write(&path, b"\xff\0").unwrap();
        fails(ErrorKind::Corrupt);
    }
}
