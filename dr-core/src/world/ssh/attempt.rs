//! Everything that can be offered to a host, in order, until it lets us in.

use russh::{MethodKind, MethodSet};

use super::access::Access;
use super::agent::{HeldKey, SshAgent};
use super::identity::Identity;
use super::login::{Connection, Knock};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::Remote;

/// Logs in by everything that the access allows, in order: key files, agent, password.
pub(super) async fn log_in(access: &Access, connection: &mut Connection) -> Result<()> {
    let mut attempt = Attempt { tried: vec![], refusals: vec![], offers: MethodSet::empty() };
    let done = attempt.run(access, connection).await;
    match (done, connection.last_words.get()) {
        (Ok(true), _) => Ok(()),
        (Ok(false), _) => Err(attempt.refused(&connection.remote)),
        // Said over the encrypted connection, so it was the host that said it: MaxAuthTries in its sshd_config.
        (Err(error), Some(words)) if words.contains("Too many authentication failures") => {
            Err(attempt.too_many(&connection.remote).caused_by(error))
        }
        (Err(error), _) => Err(error),
    }
}

/// What was tried so far, and what the host still takes.
struct Attempt {
    tried: Vec<String>,
    /// What kept us from trying more.
    refusals: Vec<Error>,
    offers: MethodSet,
}

impl Attempt {
    /// Whether we are in, after everything was tried.
    async fn run(&mut self, access: &Access, connection: &mut Connection) -> Result<bool> {
        if self.note(connection.knock().await?) {
            return Ok(true);
        }
        for path in &access.identities {
            if !self.wants(MethodKind::PublicKey) {
                break;
            }
            // One that cannot be used is no reason not to try the next: an agent often holds what is locked in its file.
            let identity = match Identity::load(path, access.passphrase.as_ref()).await {
                Ok(identity) => identity,
                Err(error) => {
                    self.refusals.push(error);
                    continue;
                }
            };
            // What names the account opens it where its authority is trusted; what does not, only where a file says so.
            let certificate = identity.certificate(&connection.remote);
            let (named, other) = match certificate {
                Some((certificate, true)) => (Some(certificate), None),
                Some((certificate, false)) => (None, Some(certificate)),
                None => (None, None),
            };
            if let Some(certificate) = named {
                self.tried.push(format!("the certificate of {}", path.display()));
                if self.note(connection.offer_certificate(&identity, certificate).await?) {
                    return Ok(true);
                }
            }
            self.tried.push(format!("{} ({})", path.display(), identity.key.public().fingerprint()));
            if self.note(connection.offer(&identity).await?) {
                return Ok(true);
            }
            if let Some(certificate) = other.filter(|_| self.wants(MethodKind::PublicKey)) {
                let user = &connection.remote.user;
                self.tried.push(format!("the certificate of {}, which is not for {user}", path.display()));
                if self.note(connection.offer_certificate(&identity, certificate).await?) {
                    return Ok(true);
                }
            }
        }
        if self.try_agent(access, connection).await? {
            return Ok(true);
        }
        let by_password = self.wants(MethodKind::Password) || self.wants(MethodKind::KeyboardInteractive);
        if let (true, Some(password)) = (by_password, access.passwords.get(&connection.remote)) {
            self.tried.push("the password".to_owned());
            let offers = self.offers.clone();
            if self.note(connection.offer_password(&offers, password).await?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether we are in; if not, what the host takes from here on.
    fn note(&mut self, knock: Knock) -> bool {
        match knock {
            Knock::Open => true,
            Knock::Shut { offers, partial } => {
                if partial {
                    self.annotate(" (accepted, and the host wants more)");
                }
                self.offers = offers;
                false
            }
        }
    }

    fn annotate(&mut self, remark: &str) {
        if let Some(last) = self.tried.last_mut() {
            last.push_str(remark);
        }
    }

    fn wants(&self, method: MethodKind) -> bool {
        self.offers.contains(&method)
    }

    async fn try_agent(&mut self, access: &Access, connection: &mut Connection) -> Result<bool> {
        let Some(socket) = &access.use_agent else { return Ok(false) };
        if !self.wants(MethodKind::PublicKey) {
            return Ok(false);
        }
        let opened = async {
            let mut agent = SshAgent::bound(socket, connection.handle.agent_session_binding()).await?;
            let keys = agent.list().await?;
            Ok((agent, keys))
        };
        let (mut agent, keys) = match opened.await {
            Ok(opened) => opened,
            Err(error) => {
                self.refusals.push(error);
                return Ok(false);
            }
        };
        for HeldKey { key, .. } in keys.into_iter().filter(|held| held.certificate.is_none()) {
            if !self.wants(MethodKind::PublicKey) {
                break;
            }
            let name = format!("the agent's {} ({})", key.comment(), key.fingerprint());
            self.tried.push(name);
            match connection.offer_agent(&mut agent, &key).await? {
                Some(knock) => {
                    if self.note(knock) {
                        return Ok(true);
                    }
                }
                None => self.annotate(" (the agent would not sign)"),
            }
        }
        Ok(false)
    }

    fn too_many(&self, remote: &Remote) -> Error {
        let why = format!("it refused {} and wants no more of them on one connection", self.tried.join(", "));
        Error::new(ErrorKind::Authentication, format!("log in to {remote}"), why)
            .hint("name the right key with --identity, so that it is tried first")
    }

    fn refused(mut self, remote: &Remote) -> Error {
        if self.tried.is_empty() && !self.refusals.is_empty() {
            return self.refusals.swap_remove(0);
        }
        let unused: String = self.refusals.iter().map(|error| format!("; {error}")).collect();
        let offers = method_names(&self.offers).join(", ");
        let user = &remote.user;
        let why = match self.tried.as_slice() {
            [] => format!("there was nothing to log in with; it takes {offers}"),
            tried => format!("it refused {}; it takes {offers}{unused}", tried.join(", ")),
        };
        let hint = if self.tried.is_empty() {
            "name a private key with --identity or in the estate, or an ssh-agent".to_owned()
        } else {
            format!(
                "check that the account '{user}' is the right one; on the host, sshd's log says why: often the mode or owner \
                 of ~{user}, .ssh or authorized_keys, or an account that is locked (passwd -S {user})"
            )
        };
        let takes_passwords = self.wants(MethodKind::Password) || self.wants(MethodKind::KeyboardInteractive);
        let hint = match self.tried.iter().any(|tried| tried == "the password") {
            false if takes_passwords => {
                format!("{hint}; it may take a password: dr keys install --password brings a first key by it")
            }
            _ => hint,
        };
        let error = Error::new(ErrorKind::Authentication, format!("log in to {remote}"), why).hint(hint);
        match self.refusals.pop() {
            Some(cause) => error.caused_by(cause),
            None => error,
        }
    }
}

/// The methods as the host names them.
pub(super) fn method_names(methods: &MethodSet) -> Vec<String> {
    methods.iter().map(String::from).collect()
}
