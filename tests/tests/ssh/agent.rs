//! OpenSSH's ssh-agent, as we list it, sign with it, and give and take keys.

use std::fs;

use super::login::Agent;
use super::*;
use dr_core::keys::{Bearer, KeyKind, PublicKey};
use dr_core::toolkit::{CertifyOptions, Toolkit};
use dr_core::world::sim::SimWorld;
use dr_core::world::ssh::{AgentTerms, SecretKey, SshAgent};

impl Agent {
    /// What ssh-add says of it.
    fn listed(&self) -> String {
        let output = Command::new("ssh-add").arg("-l").env("SSH_AUTH_SOCK", &self.socket).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

fn kinds() -> impl Iterator<Item = KeyKind> {
    KeyKind::all().filter(|kind| {
        let rsa = matches!(kind, KeyKind::Rsa3072 | KeyKind::Rsa4096);
        !rsa || (cfg!(feature = "rsa") && *kind == KeyKind::Rsa3072)
    })
}

#[tokio::test]
async fn keys_are_given_listed_used_and_taken_back() {
    let desk = Desk::new();
    let theirs = Agent::start(&desk);
    let mut agent = SshAgent::open(&theirs.socket).await.unwrap();
    assert!(agent.list().await.unwrap().is_empty());
    for kind in kinds() {
        // Several: numbers that begin with zeros are written in another way.
        for count in 0..4 {
            let key = SecretKey::generate_kind(kind, &format!("{kind} {count}")).unwrap();
            agent.add(&key, &AgentTerms::default()).await.unwrap_or_else(|error| panic!("{kind}: {error:?}"));
            let held = agent.list().await.unwrap();
            assert_eq!(
                (held.len(), &held[0].key, held[0].key.comment()),
                (1, key.public(), key.public().comment())
            );
            assert!(theirs.listed().contains(&key.public().fingerprint()));
            // What it signs is taken for a signature by the key: as a certificate, which is verified when it is put together.
            let other = SecretKey::generate("bearer").unwrap();
            let terms = certificates::terms(Bearer::User, other.public(), &["ann"]);
            let certificate = agent.certify(key.public(), &terms).await.unwrap();
            let path = desk.file("bearer-cert.pub", format!("{certificate}\n"), 0o644);
            let said = run(Command::new("ssh-keygen").arg("-L").arg("-f").arg(path));
            assert!(said.contains(&key.public().fingerprint()), "{said}");
            agent.remove(key.public()).await.unwrap();
            assert!(theirs.listed().contains("no identities"));
            fails(agent.remove(key.public()).await, ErrorKind::Refused, &["does not hold"]);
            fails(agent.sign(key.public(), b"x").await, ErrorKind::Refused, &["does not hold"]);
        }
    }
    fails(SshAgent::open(&desk.path("nobody")).await, ErrorKind::NotFound, &["nobody", "SSH_AUTH_SOCK"]);
}

#[tokio::test]
async fn terms_are_kept() {
    let desk = Desk::new();
    let theirs = Agent::start(&desk);
    let mut agent = SshAgent::open(&theirs.socket).await.unwrap();
    let key = SecretKey::generate("short").unwrap();
    let terms = AgentTerms { lifetime: Some(Duration::from_secs(1)), ..AgentTerms::default() };
    agent.add(&key, &terms).await.unwrap();
    assert!(agent.sign(key.public(), b"x").await.is_ok());
    eventually("the agent to forget", || theirs.listed().contains("no identities")).await;
    // There is nobody to ask, so nobody says yes.
    let terms = AgentTerms { confirm: true, ..AgentTerms::default() };
    agent.add(&key, &terms).await.unwrap();
    fails(agent.sign(key.public(), b"x").await, ErrorKind::Refused, &["a person said no"]);
}

#[tokio::test]
async fn an_authority_in_the_agent_signs_with_the_same_register() {
    let desk = Desk::new();
    let theirs = Agent::start(&desk);
    let toolkit = Toolkit::new(SimWorld::new().world(), Default::default());
    let (ca, key) = (desk.key("ca", &[]), desk.key("ann", &[]).with_extension("pub"));
    let mut options = CertifyOptions::new(Bearer::User, vec!["deploy".into()]);
    toolkit.certify_key(&ca, None, &key, &options).await.unwrap();
    options.by_agent = Some(theirs.socket.clone());
    let absent = toolkit.certify_key(&ca, None, &key, &options).await;
    fails(absent, ErrorKind::NotFound, &["does not hold", "dr keys agent add"]);
    theirs.add(&ca);
    // Its private half may be gone from here.
    fs::remove_file(&ca).unwrap();
    for (number, named) in [(2, ca.clone()), (3, ca.with_extension("pub"))] {
        let (certificate, path) = toolkit.certify_key(&named, None, &key, &options).await.unwrap();
        let authority: PublicKey = public(&ca).parse().unwrap();
        assert_eq!((certificate.serial(), certificate.authority()), (number, &authority));
        run(Command::new("ssh-keygen").arg("-L").arg("-f").arg(path));
    }
    assert_eq!(toolkit.issued_certificates(&ca).unwrap().len(), 3);
}

/// An agent that says anything.
#[tokio::test]
async fn lies_of_an_agent_are_errors() {
    let desk = Desk::new();
    let lies: [&[u8]; 7] = [
        b"",
        b"\0\0\0\0",
        b"\0\0\0\x05\x0c\0\0\0\x01",
        b"\0\0\0\x05\x0c\xff\xff\xff\xff",
        b"\0\0\0\x01\x05",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x0d\x0c\0\0\0\x01\xff\xff\xff\xff\0\0\0\0",
    ];
    for (number, lie) in lies.into_iter().enumerate() {
        let socket = desk.path(&format!("liar{number}"));
        let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let liar = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 5]).unwrap();
            stream.write_all(lie).unwrap();
        });
        let mut agent = SshAgent::open(&socket).await.unwrap();
        fails(agent.list().await, ErrorKind::Protocol, &["ssh-agent"]);
        liar.join().unwrap();
    }
}
