//! Certificates: signed on terms that give away no more than is meant, written down before they are, and put beside their key.

use std::path::{Path, PathBuf};

use super::read_public_key;
use crate::error::{Error, ErrorKind, Result};
use crate::keys::{Bearer, Certificate, Issued, Permit, PublicKey, Terms};
use crate::secret::Secret;
use crate::time::Period;
use crate::toolkit::Toolkit;
use crate::world::ssh::register::{self, Register};
use crate::world::ssh::{Authority, SshAgent};

/// What a certificate shall say.
///
/// ```
/// use dr_core::{keys::Bearer, toolkit::CertifyOptions};
/// let options = CertifyOptions::new(Bearer::User, vec!["deploy".into()]);
/// assert_eq!(options.good_for.as_secs(), 8 * 3600);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifyOptions {
    /// Whom it speaks of.
    pub bearer: Bearer,
    /// The accounts, or the names and addresses of the host. Never none.
    pub names: Vec<String>,
    /// How long it is good: at most 31 days for users, 397 for hosts.
    pub good_for: Period,
    /// What sshd writes into its log; none for the key's comment.
    pub id: Option<String>,
    /// The only addresses and networks from where it is good.
    pub from: Vec<String>,
    /// What runs, whatever is asked for.
    pub command: Option<String>,
    /// What is allowed beside commands.
    pub permits: Vec<Permit>,
    /// The socket of an ssh-agent that holds the authority's key; it signs, and only the public half of the authority is read.
    pub by_agent: Option<PathBuf>,
}

impl CertifyOptions {
    /// For these names, good for a day's work (users) or 90 days (hosts), without restrictions and allowed nothing but commands.
    #[must_use]
    pub fn new(bearer: Bearer, names: Vec<String>) -> Self {
        let hours = if bearer == Bearer::User { 8 } else { 90 * 24 };
        let good_for = Period::from_secs(hours * 3600);
        Self {
            bearer,
            names,
            good_for,
            id: None,
            from: vec![],
            command: None,
            permits: vec![],
            by_agent: None,
        }
    }
}

impl Toolkit {
    /// Signs a certificate for a public key with the authority's private key, and puts it beside the public key: `NAME.pub` gets
    /// `NAME-cert.pub`; an earlier one is replaced. Its number is taken from the register beside the authority's key
    /// (`AUTHORITY.issued`), which is locked and written first: no number is ever used twice, whatever crashes. Gives the certificate and where
    /// it was put.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// use dr_core::{keys::{Bearer, KeyKind}, toolkit::CertifyOptions};
    /// let dir = tempfile::tempdir().unwrap();
    /// let (ca, key) = (dir.path().join("ca"), dir.path().join("ann"));
    /// toolkit.generate_key(&ca, KeyKind::Ed25519, "our authority", None).await.unwrap();
    /// toolkit.generate_key(&key, KeyKind::Ed25519, "ann", None).await.unwrap();
    /// let options = CertifyOptions::new(Bearer::User, vec!["deploy".into()]);
    /// let (certificate, path) = toolkit.certify_key(&ca, None, &key.with_extension("pub"), &options).await.unwrap();
    /// assert_eq!((certificate.serial(), certificate.id()), (1, "ann"));
    /// assert_eq!(path, dir.path().join("ann-cert.pub"));
    /// assert_eq!(toolkit.issued_certificates(&ca).unwrap().len(), 1);
    /// # });
    /// ```
    ///
    /// # Errors
    /// `Usage` if there is no public key in the file; `Refused` if the terms give away too much (no names, too long, restrictions that
    /// sshd could not read); what is wrong with the authority's key; what the disk says.
    pub async fn certify_key(
        &self,
        authority: &Path,
        passphrase: Option<&Secret>,
        public_key: &Path,
        options: &CertifyOptions,
    ) -> Result<(Certificate, PathBuf)> {
        let operation = || certifying(public_key);
        let mut terms = self.may_certify_key(public_key, options)?;
        let mut signer = Signer::open(authority, passphrase, options.by_agent.as_deref()).await?;
        if *signer.public() == terms.key {
            return Err(Error::new(ErrorKind::Refused, operation(), "this is the authority's own key"));
        }
        let mut register = Register::open(&private_path(authority))?;
        terms.serial = register.next();
        register.write(&Issued::of(&terms))?;
        let certificate = match &mut signer {
            Signer::File(authority) => authority.certify(&terms)?,
            Signer::Agent(agent, authority) => agent.certify(authority, &terms).await?,
        };
        let certificate = certificate.with_comment(terms.key.comment());
        let path = certificate_path(public_key);
        put(&path, &format!("{certificate}\n")).map_err(|error| Error::io(operation(), error))?;
        Ok((certificate, path))
    }

    /// What a certificate for the key in this file would say, but for its number. Nothing is signed or written.
    ///
    /// ```
    /// # let toolkit = dr_core::toolkit::Toolkit::new(dr_core::world::sim::SimWorld::new().world(), Default::default());
    /// use dr_core::{keys::Bearer, toolkit::CertifyOptions};
    /// let dir = tempfile::tempdir().unwrap();
    /// let key = dir.path().join("ann.pub");
    /// std::fs::write(&key, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ ann").unwrap();
    /// let nobody = CertifyOptions::new(Bearer::User, vec![]);
    /// assert_eq!(toolkit.may_certify_key(&key, &nobody).unwrap_err().kind(), dr_core::ErrorKind::Refused);
    /// ```
    ///
    /// # Errors
    /// `Usage` if there is no public key in the file; `Refused` if the terms give away too much.
    pub fn may_certify_key(&self, public_key: &Path, options: &CertifyOptions) -> Result<Terms> {
        let key = read_public_key(public_key)?;
        let id = options.id.clone().unwrap_or_else(|| key.comment().to_owned());
        let terms = Terms {
            bearer: options.bearer,
            id: if id.is_empty() { key.fingerprint() } else { id },
            key,
            serial: 1,
            names: options.names.clone(),
            at: self.world.clock.read().wall,
            good_for: options.good_for.as_duration(),
            from: options.from.clone(),
            command: options.command.clone(),
            permits: options.permits.clone(),
        };
        let refused =
            |why| Error::new(ErrorKind::Refused, certifying(public_key), why).hint("nothing was signed");
        terms.check().map_err(refused)?;
        Ok(terms)
    }

    /// What an authority has signed, by the register beside its private key, which need not be opened.
    ///
    /// # Errors
    /// `NotFound` if it has signed nothing yet, or what the disk says.
    pub fn issued_certificates(&self, authority: &Path) -> Result<Vec<Issued>> {
        register::issued(&private_path(authority))
    }
}

fn certifying(public_key: &Path) -> String {
    format!("certify {}", public_key.display())
}

/// Where the authority's private key is.
enum Signer {
    File(Authority),
    Agent(SshAgent, PublicKey),
}

impl Signer {
    async fn open(authority: &Path, passphrase: Option<&Secret>, agent: Option<&Path>) -> Result<Self> {
        let Some(socket) = agent else {
            return Ok(Self::File(Authority::load(authority, passphrase).await?));
        };
        let mut path = private_path(authority).into_os_string();
        path.push(".pub");
        let path = PathBuf::from(path);
        let operation = || format!("use the authority {}", path.display());
        let public = read_public_key(&path)?;
        let mut agent = SshAgent::open(socket).await?;
        // Before a number is used up for it.
        if !agent.list().await?.iter().any(|held| held.key == public) {
            let why = format!("the ssh-agent does not hold {}", public.fingerprint());
            return Err(Error::new(ErrorKind::NotFound, operation(), why)
                .hint("dr keys agent add FILE gives it to the agent"));
        }
        Ok(Self::Agent(agent, public))
    }

    fn public(&self) -> &PublicKey {
        match self {
            Self::File(authority) => authority.public(),
            Self::Agent(_, public) => public,
        }
    }
}

/// The private key's file, whichever half was named: the register lies beside it.
fn private_path(authority: &Path) -> PathBuf {
    let public = authority.extension().is_some_and(|extension| extension == "pub");
    if public { authority.with_extension("") } else { authority.to_owned() }
}

/// `ann-cert.pub` for `ann.pub`, where ssh and sshd look for it.
fn certificate_path(public_key: &Path) -> PathBuf {
    let mut name = public_key.with_extension("").into_os_string();
    if public_key.extension().is_none_or(|extension| extension != "pub") {
        name = public_key.as_os_str().to_owned();
    }
    name.push("-cert.pub");
    name.into()
}

/// Whole or not at all: written beside, and renamed. It is no secret.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text)?;
    std::fs::File::open(&beside)?.sync_all()?;
    std::fs::rename(&beside, path)
}
