//! The words of `dr keys`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use dr_core::keys::KeyKind;
use dr_core::{Period, Remote};

/// `dr keys ca`.
#[derive(Subcommand, Debug)]
pub(crate) enum Ca {
    /// Sign a certificate by which a key may log in: KEY.pub gets KEY-cert.pub beside it
    User {
        /// The public key's file
        key: PathBuf,
        /// Who signs, and what it says
        #[command(flatten)]
        signing: Signing,
        /// How long it is good, 31 days at most
        #[arg(long = "for", value_name = "SPAN", default_value = "8h")]
        good_for: Period,
        /// Only from this address or network (repeatable)
        #[arg(long, value_name = "PLACE")]
        from: Vec<String>,
        /// Run this, whatever is asked for
        #[arg(long, value_name = "COMMAND")]
        command: Option<String>,
        /// Allow this beside commands (repeatable)
        #[arg(long, value_name = "WHAT")]
        permit: Vec<PermitWord>,
    },
    /// Sign a certificate by which a host proves itself: ssh_host_ed25519_key.pub gets ssh_host_ed25519_key-cert.pub beside it
    Host {
        /// The public key's file
        key: PathBuf,
        /// Who signs, and what it says
        #[command(flatten)]
        signing: Signing,
        /// How long it is good, 397 days at most
        #[arg(long = "for", value_name = "SPAN", default_value = "90d")]
        good_for: Period,
    },
    /// Bring a host its certificate (NAME-cert.pub), or the authority whose users it is to let in (NAME.pub), and have sshd use it
    Install {
        /// The file of the certificate, or of the authority's public key
        file: PathBuf,
        /// root at the host, or an account that may sudo -n, by the name that the certificate is for
        remote: Remote,
        /// After how long the host takes everything back, if nobody says that all is well
        #[arg(long, value_name = "SPAN", default_value = "2m")]
        after: Period,
    },
    /// What an authority has signed
    List {
        /// The authority's private key, which is not opened
        #[arg(long, value_name = "FILE")]
        ca: PathBuf,
    },
}

/// What both kinds of certificate have.
#[derive(Args, Debug)]
pub(crate) struct Signing {
    /// The authority's private key: an ed25519 key that is used for nothing else
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: PathBuf,
    /// An account, or a name or address of the host (repeatable; never none, that would be all)
    #[arg(long = "name", value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// What sshd writes into its log when it is used [default: the key's comment]
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// The file whose first line is the passphrase of the authority's key [default: it has none]
    #[arg(long, value_name = "FILE", conflicts_with = "ask_passphrase")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Ask for the passphrase of the authority's key on the terminal
    #[arg(long)]
    pub(crate) ask_passphrase: bool,
    /// The ssh-agent ($SSH_AUTH_SOCK) holds the authority's key and signs; --ca names its public half
    #[arg(long, conflicts_with_all = ["passphrase_file", "ask_passphrase"])]
    pub(crate) by_agent: bool,
}

/// `dr keys agent`.
#[derive(Subcommand, Debug)]
pub(crate) enum AgentWords {
    /// The keys that it holds
    List,
    /// Give it a private key
    Add {
        /// The private key's file
        key: PathBuf,
        /// It forgets the key after so long
        #[arg(long = "for", value_name = "SPAN")]
        lifetime: Option<Period>,
        /// It asks a person before each use
        #[arg(long)]
        confirm: bool,
        /// The file whose first line is the key's passphrase [default: it has none]
        #[arg(long, value_name = "FILE", conflicts_with = "ask_passphrase")]
        passphrase_file: Option<PathBuf>,
        /// Ask for the key's passphrase on the terminal
        #[arg(long)]
        ask_passphrase: bool,
    },
    /// Let it forget a key
    Remove {
        /// The public key's file
        key: PathBuf,
    },
}

/// What a user's certificate may allow.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PermitWord {
    /// A terminal.
    Terminal,
    /// Forwarded connections.
    Ports,
    /// Bringing an ssh-agent along.
    Agent,
}

/// `dr keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key pair: PATH and PATH.pub; nothing is ever overwritten
    Generate {
        /// The private key's file
        path: PathBuf,
        /// ed25519, ecdsa-p256, ecdsa-p384 or ecdsa-p521; with RSA built in also rsa-3072 and rsa-4096
        #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "ed25519")]
        kind: KeyKind,
        /// The comment in the public key
        #[arg(long, short = 'C', default_value = "")]
        comment: String,
        /// Write the private key unencrypted (for machines)
        #[arg(long, conflicts_with = "passphrase_file")]
        no_passphrase: bool,
        /// The file whose first line is the passphrase [default: asked on the terminal]
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Put a public key into an account's authorized_keys, and prove that it lets us in
    Install {
        /// The public key's file
        key: PathBuf,
        /// The account: user@host or user@host:port
        remote: Remote,
        /// The file whose first line is the account's password [default: keys only, or asked with --password]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Ask for the account's password on the terminal
        #[arg(long, conflicts_with = "password_file")]
        password: bool,
        /// What the key may do
        #[command(flatten)]
        allow: KeyAllow,
        /// If the key is there with other options, replace them
        #[arg(long)]
        replace: bool,
        /// The file on the host [default: where its sshd looks, AuthorizedKeysFile]
        #[arg(long, value_name = "PATH")]
        file: Option<String>,
    },
    /// Who can log in as whom, where, by which key, and what is wrong with that
    Audit {
        /// Accounts to look from: user@host; as root all accounts of the host are seen [default: every host of the estate]
        remotes: Vec<Remote>,
        /// Look at this authorized_keys file on this machine, and at no host
        #[arg(long, value_name = "FILE", conflicts_with = "remotes")]
        file: Option<PathBuf>,
        /// The keys that are expected, one a line as in a .pub file: any other one is a finding
        #[arg(long, value_name = "FILE")]
        known: Option<PathBuf>,
        /// Compare with the inventory in this file, then write the new one there
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// Write a page for a browser here: one file that needs no other
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// A certificate authority's private key: what it signed and has to be renewed is a finding (repeatable)
        #[arg(long, value_name = "FILE")]
        ca: Vec<PathBuf>,
    },
    /// Show the keys by which a host proves itself, compare them with what is known and with the DNS, and take them up after a yes
    Trust {
        /// The host, as any account of it: user@host or user@host:port
        remote: Remote,
        /// Compare with the SSHFP records that this resolver gives: an address, address:port, or system for that of /etc/resolv.conf.
        /// That they are signed (DNSSEC) is believed of one on this machine only
        #[arg(long, value_name = "ADDRESS", value_parser = name_server)]
        dns: Option<std::net::SocketAddr>,
        /// The host is known: log in, and take up the other keys that it announces and proves to hold, such as the next one
        #[arg(long, conflicts_with = "dns")]
        update: bool,
        /// The fingerprints were compared on the host's console: write new keys to known_hosts without asking
        #[arg(long)]
        yes: bool,
    },
    /// The SSHFP records of host keys, to be published under the host's own name (never under one that moves)
    Sshfp {
        /// The host's name
        name: dr_core::DnsName,
        /// The files of its public keys: /etc/ssh/ssh_host_*_key.pub
        #[arg(required = true)]
        keys: Vec<PathBuf>,
    },
    /// Certificates: sign one for a user or a host, bring it to a host, list what was signed
    #[command(subcommand)]
    Ca(Ca),
    /// The ssh-agent of $SSH_AUTH_SOCK: what it holds, give it a key, let it forget one
    #[command(subcommand)]
    Agent(AgentWords),
    /// Switch passwords off on a host, once every account is proved to open by a key; it takes itself back if that fails
    #[command(
        after_help = "If the line breaks, or this machine dies: wait for --after; the host then opens itself again. 'dr log' names the run, \
                            'dr failover undo RUN' (or resume) clears up. To have passwords back later: dr keys unlock. \
                            Accounts that are not named lose their passwords too: dr keys audit shows which have no key."
    )]
    LockDown {
        /// The account to do it with, root or one that may sudo: user@host
        remote: Remote,
        /// An account that must open by a key afterwards, beside that one (repeatable)
        #[arg(long, value_name = "NAME")]
        account: Vec<dr_core::Account>,
        /// After how long the host opens itself again if nobody says that all is well
        #[arg(long, value_name = "SPAN", default_value = "2m")]
        after: Period,
    },
    /// Have passwords back: take what lock-down wrote out of sshd's configuration again, and nothing else
    Unlock {
        /// The account to do it with, root or one that may sudo: user@host
        remote: Remote,
    },
    /// Put a new key into the place of an old one: added and proved everywhere, then the old one removed and refused everywhere
    Rotate {
        /// The old public key's file
        old: PathBuf,
        /// The new public key's file; its private half must be beside it, or among the identities
        new: PathBuf,
        /// The accounts: user@host [default: those of every host of the estate]
        remotes: Vec<Remote>,
        /// How long both keys open
        #[arg(long, value_name = "SPAN", default_value = "0s")]
        grace: Period,
        /// The file on the hosts [default: the one that holds the old key, where sshd looks]
        #[arg(long, value_name = "PATH")]
        file: Option<String>,
    },
    /// Take a key out of every key file and put it on every sshd's list of revoked keys, once another one is proved on every host
    Revoke {
        /// The file of the public key, or of a certificate (-cert.pub), which goes while its key stays
        key: PathBuf,
        /// Leave sshd's list of revoked keys (RevokedKeys) alone
        #[arg(long)]
        key_files_only: bool,
        /// Where sshd is told of its list: after how long the host forgets it again, if nobody says that all is well
        #[arg(long, value_name = "SPAN", default_value = "2m")]
        after: Period,
        /// Accounts to work from: user@host; as root all accounts of the host are seen [default: every host of the estate]
        remotes: Vec<Remote>,
    },
    /// Ask a host whether it would let a public key in; the private half is not needed
    Probe {
        /// The public key's file
        key: PathBuf,
        /// The account: user@host or user@host:port
        remote: Remote,
    },
    /// Log in afresh with a key and nothing else
    Verify {
        /// The public key's file; its private half must be beside it, or among the identities
        key: PathBuf,
        /// The account: user@host or user@host:port
        remote: Remote,
    },
}

/// What `dr keys install` lets a key do.
#[derive(Args, Debug)]
pub(crate) struct KeyAllow {
    /// Nothing but commands: no forwarding, no terminal (restrict, sshd(8))
    #[arg(long)]
    pub(crate) restrict: bool,
    /// This command and no other; brings --restrict
    #[arg(long, value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Mirroring this directory and nothing else; brings --restrict
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) mirror: Option<String>,
    /// With --mirror: what answers on the host
    #[arg(long, value_enum, default_value = "agent", requires = "mirror")]
    pub(crate) by: MirrorByWord,
    /// With --mirror: the key may read the directory and not write it
    #[arg(long, requires = "mirror")]
    pub(crate) read_only: bool,
    /// Only from here: an address, a network, or a pattern for names; ! before it excludes (repeatable)
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: Vec<String>,
    /// Only until then: 2027-01-31, 2027-01-31T12:00:00Z, or a span from now such as 90d
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Connections through the host to here and nowhere else: HOST:PORT (repeatable); brings --restrict
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) permit_open: Vec<String>,
}

/// What answers on the host when a key may only mirror.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MirrorByWord {
    /// dr itself: confined to the directory
    Agent,
    /// rsync's rrsync: confined to the directory
    Rrsync,
    /// sshd's own SFTP server: begins in the directory and is not confined to it
    Sftp,
}

/// A name server's address, or the first one of resolv.conf.
fn name_server(text: &str) -> Result<std::net::SocketAddr, String> {
    if text == "system" {
        return crate::context::system_resolver();
    }
    dr_core::estate::server_address(text)
}
