//! `dr agent --run`: keeps the seats of a host, looks at other hosts for those who ask, and answers people.
//!
//! One process does all of it, for all sites. It listens on no port: it asks the other agents by SSH, and they ask it so.

mod answers;
mod bell;
mod deeds;
mod hear;
mod history;
mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use self::bell::Bell;
use self::deeds::Hands;
use self::history::History;
use self::look::Lookout;
use super::Toolkit;
use super::seats::{Driver, SeatHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{Estate, HostId, ObserverId, ProbeSpec, Remote, Site, SiteId};
use crate::failover::{
    Charter, Guard, Kept, Lease, Mark, Order, Phase, Speaker, Standing, Vote, held_path, standing_path,
};
use crate::keys::PublicKey;
use crate::time::{Period, Timestamp};
use crate::world::seat_file::SeatFile;
use crate::world::ssh::{Connector, SecretKey};
use crate::world::talk::{self, Neighbour};
use crate::world::warden::Warden;
use crate::world::{Cancel, Control};

/// What an agent is, and whom it knows.
///
/// ```
/// use dr_core::toolkit::AgentSettings;
/// let observer: AgentSettings = serde_json::from_str(r#"{"observer": "nl", "key": "/etc/dr/agent.key"}"#).unwrap();
/// assert!(observer.host.is_none() && observer.charters.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// The host that it keeps seats for.
    #[serde(default)]
    pub host: Option<HostId>,
    /// The observer that it is.
    #[serde(default)]
    pub observer: Option<ObserverId>,
    /// The seats.
    #[serde(default)]
    pub charters: Vec<Charter>,
    /// Everybody whose word counts, and how they are reached.
    #[serde(default)]
    pub parties: Vec<Party>,
    /// What an observer looks at to know that its own line is not cut.
    #[serde(default)]
    pub anchors: Vec<(IpAddr, ProbeSpec)>,
    /// The private key that it signs with.
    pub key: PathBuf,
    /// The private key by which it logs in at others to ask them, if that is another than the usual ones: it need open nothing but
    /// `dr agent --votes`.
    #[serde(default)]
    pub login: Option<PathBuf>,
    /// A command that is run for everything that people are to be told; it finds it as a line of JSON on its standard input.
    #[serde(default)]
    pub tell: Vec<String>,
}

impl AgentSettings {
    /// With what the estate says, where the settings do not say otherwise: the seats of every site of the host that has services, whom
    /// the agent knows, an observer's anchors.
    ///
    /// Errors: `Usage` for what the estate lacks, or what cannot work.
    ///
    /// ```
    /// use dr_core::{Estate, toolkit::AgentSettings};
    /// let estate = Estate::from_toml(r#"observers.nl = { failure_domain = "nl", ssh = "dr@nl.example.net" }"#).unwrap();
    /// let settings: AgentSettings = serde_json::from_str(r#"{"observer": "nl", "key": "/etc/dr/agent.key"}"#).unwrap();
    /// assert_eq!(settings.completed(&estate).unwrap().parties.len(), 1);
    /// ```
    pub fn completed(mut self, estate: &Estate) -> Result<Self> {
        let refused = |why: String| Error::new(ErrorKind::Usage, "begin as an agent", why);
        if self.parties.is_empty() {
            for (id, host) in &estate.hosts {
                let (who, keys) = (Speaker::Host(id.clone()), host.agent_keys.clone());
                self.parties.push(Party { who, remote: host.ssh.clone(), keys });
            }
            for (id, post) in &estate.observers {
                let Some(remote) = post.ssh.clone() else { continue };
                let (who, keys) = (Speaker::Observer(id.clone()), post.keys.clone());
                self.parties.push(Party { who, remote, keys });
            }
        }
        if let (Some(me), true) = (&self.host, self.charters.is_empty()) {
            let mine = |site: &Site| site.services.is_some() && (site.home == *me || site.standby == *me);
            for id in estate.sites.iter().filter(|(_, site)| mine(site)).map(|(id, _)| id) {
                self.charters.push(Charter::of(estate, id, me).map_err(refused)?);
            }
        }
        if let (Some(observer), true) = (&self.observer, self.anchors.is_empty()) {
            let post = estate.observers.get(observer);
            let post = post.ok_or_else(|| refused(format!("the estate has no observer {observer}")))?;
            self.anchors = post.anchors.iter().map(|anchor| (anchor.address, anchor.probe.clone())).collect();
        }
        Ok(self)
    }
}

/// Where an agent has its files, and what it starts.
///
/// ```
/// use dr_core::toolkit::AgentPlaces;
/// let places = AgentPlaces { directory: "/var/lib/dr/agent".into(), home: "/root".into(), program: None };
/// assert!(places.program.is_none(), "the warden is started by somebody else");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlaces {
    /// Where it keeps its files and its sockets.
    pub directory: PathBuf,
    /// The directory that the estate's relative `state_dir` is below: the home directory.
    pub home: PathBuf,
    /// `dr` itself, where the warden is not started by something else.
    pub program: Option<PathBuf>,
}

/// Somebody whose word counts.
///
/// ```
/// use dr_core::{failover::Speaker, toolkit::Party};
/// let who = Speaker::Observer("nl".parse().unwrap());
/// let party = Party { who, remote: "dr@nl.example.net".parse().unwrap(), keys: vec![] };
/// assert!(party.keys.is_empty(), "nothing that it says is believed");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// Who.
    pub who: Speaker,
    /// How it is reached.
    pub remote: Remote,
    /// The keys that sign for it, as they stand in a .pub file.
    pub keys: Vec<String>,
}

/// What a person asks of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::toolkit) enum AgentAsk {
    /// How the seats are; of all sites if none is named.
    Status {
        /// The sites.
        sites: Vec<SiteId>,
    },
    /// An order for a seat.
    Order {
        /// The site.
        site: SiteId,
        /// The order.
        order: Order,
    },
    /// What was told lately, oldest first.
    History {
        /// So many at most.
        last: usize,
    },
}

/// What an agent answers a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::toolkit) enum AgentSaid {
    /// How the seats are.
    Status(Vec<SeatStatus>),
    /// It is followed.
    Done {
        /// Where the seat stands now.
        said: String,
    },
    /// It is not, and why.
    Refused {
        /// Why.
        why: String,
    },
    /// What was told.
    History(Vec<Told>),
}

/// Something that people were told.
///
/// ```
/// let why = serde_json::from_str::<dr_core::toolkit::Told>("{}").unwrap_err();
/// assert!(why.to_string().contains("missing field"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// About which site.
    pub site: SiteId,
    /// What.
    pub news: super::seats::News,
}

/// How a seat is.
///
/// ```
/// let why = serde_json::from_str::<dr_core::toolkit::SeatStatus>("{}").unwrap_err();
/// assert!(why.to_string().contains("missing field"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatStatus {
    /// The site.
    pub site: SiteId,
    /// The host of the seat.
    pub host: HostId,
    /// Where it stands.
    pub phase: Phase,
    /// The same in words: what is so, why, what comes next.
    pub said: String,
    /// What the host is for the site.
    pub standing: Standing,
    /// What the coordinator was last known to hold.
    pub lease: Option<Lease>,
    /// For how long that has been the same.
    pub lease_age: Option<Period>,
    /// Whether the services may serve now.
    pub serves: bool,
    /// What observers said last, and how long ago that was asked for.
    pub votes: Vec<Heard>,
    /// What the guards said last.
    pub guards: Vec<Guard>,
}

/// What an observer said.
///
/// ```
/// let why = serde_json::from_str::<dr_core::toolkit::Heard>("{}").unwrap_err();
/// assert!(why.to_string().contains("missing field"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heard {
    /// What it said.
    pub vote: Vote,
    /// How long ago it was asked.
    pub age: Period,
}

/// Asks the agent in this directory.
///
/// Errors: `NotFound` if none runs there.
pub(in crate::toolkit) async fn ask_agent(directory: &std::path::Path, ask: &AgentAsk) -> Result<AgentSaid> {
    let operation = "ask the agent of this host";
    let odd = |why: serde_json::Error| Error::new(ErrorKind::Protocol, operation, why.to_string());
    let said = talk::ask(directory, &serde_json::to_string(ask).map_err(odd)?).await?;
    serde_json::from_str(&said).map_err(odd)
}

/// What the parts of a running agent share.
struct Shared {
    toolkit: Toolkit,
    /// The keys by which everybody signs.
    keys: BTreeMap<Speaker, Vec<PublicKey>>,
    key: Arc<SecretKey>,
    seats: BTreeMap<SiteId, Keeping>,
    lookout: Lookout,
    history: Arc<History>,
    /// Sites whose other host is known to keep them by other terms: nothing is decided about those.
    other_terms: Mutex<BTreeSet<SiteId>>,
}

/// A seat that is kept here.
struct Keeping {
    charter: Charter,
    handle: SeatHandle,
}

impl Toolkit {
    /// Is an agent until it is cancelled. `ready` is called when every seat is kept and questions are answered.
    ///
    /// Errors: `Locked` if there is an agent in that directory already; what a seat has kept that cannot be read, or is of a newer
    /// version: nothing is begun then.
    pub async fn run_agent(
        &self,
        settings: AgentSettings,
        places: &AgentPlaces,
        connector: Arc<Connector>,
        control: &Control,
        ready: impl FnOnce() + Send,
    ) -> Result<()> {
        let listening = talk::listen(&places.directory)?;
        let key = Arc::new(SecretKey::load(&settings.key, None)?);
        let keys = keys_of(&settings.parties)?;
        let history = Arc::new(History::open(&places.directory, control.clone(), Bell::new(settings.tell)));
        let neighbours: BTreeMap<Speaker, Arc<Neighbour>> = settings
            .parties
            .iter()
            .map(|party| {
                let neighbour = Neighbour::new(connector.clone(), party.remote.clone());
                (party.who.clone(), Arc::new(neighbour))
            })
            .collect();
        let (mut seats, mut drivers) = (BTreeMap::new(), vec![]);
        for charter in &settings.charters {
            let other = neighbours.get(&Speaker::Host(charter.other.clone())).cloned();
            let (driver, handle) = self.seat(charter, places, &key, other, &history)?;
            drivers.push(driver);
            seats.insert(charter.site.clone(), Keeping { charter: charter.clone(), handle });
        }
        let lookout = Lookout::new(self.clone(), settings.observer, settings.anchors);
        let toolkit = self.clone();
        let other_terms = Mutex::default();
        let shared = Arc::new(Shared { toolkit, keys, key, seats, lookout, history, other_terms });
        let mut tasks = JoinSet::new();
        for driver in drivers {
            let cancel = control.cancel.clone();
            tasks.spawn(async move { driver.run(&cancel).await });
        }
        for (who, neighbour) in neighbours {
            tasks.spawn(hear::hear(shared.clone(), who, neighbour, control.cancel.clone()));
        }
        let answering = answers::answering(shared.clone());
        let cancel: Cancel = control.cancel.clone();
        tasks.spawn(async move { listening.answer(answering, &cancel).await });
        ready();
        control.cancel.cancelled().await;
        // The services stop at the time they were told, or go on with the next agent.
        tasks.shutdown().await;
        Ok(())
    }

    fn seat(
        &self,
        charter: &Charter,
        places: &AgentPlaces,
        key: &Arc<SecretKey>,
        other: Option<Arc<Neighbour>>,
        history: &Arc<History>,
    ) -> Result<(Driver, SeatHandle)> {
        let operation = format!("keep the seat of {} on {}", charter.site, charter.me);
        let missing = |why: String, hint: &str| Error::new(ErrorKind::NotFound, &*operation, why).hint(hint);
        let site = self.estate.sites.get(&charter.site);
        let site = site.ok_or_else(|| missing("the estate has no such site".into(), "look at its name"))?;
        let host = self.estate.hosts.get(&charter.me);
        let host = host.ok_or_else(|| missing(format!("the estate has no host {}", charter.me), "add it"))?;
        let services = site.services.clone().ok_or_else(|| {
            missing(
                "nothing says how its services are started and stopped".into(),
                "give the site [sites.NAME.services] with start and stop",
            )
        })?;
        let file = SeatFile::new(&places.directory, &charter.site, &charter.me);
        let standing = places.home.join(standing_path(&host.state_dir, &charter.site));
        let held = places.home.join(held_path(&host.state_dir, &charter.site));
        let kept = match file.read()? {
            Some(kept) => kept,
            // A host that was told what it is, by a plan of a person, goes on as that.
            None => match std::fs::read(&standing) {
                Ok(bytes) => {
                    let told = Standing::from_bytes(&bytes)
                        .map_err(|why| Error::new(ErrorKind::Corrupt, &*operation, why))?;
                    Kept { standing: told, applied: told.epoch, ..Kept::default() }
                }
                Err(why) if why.kind() == std::io::ErrorKind::NotFound => Kept::default(),
                Err(why) => return Err(Error::io(&*operation, why)),
            },
        };
        let warden = Warden::at(places.directory.clone(), places.program.clone());
        let hands = Hands {
            toolkit: self.clone(),
            charter: charter.clone(),
            services,
            file,
            standing,
            held,
            directory: places.directory.clone(),
            warden,
            other,
            key: key.clone(),
            history: history.clone(),
            grounds: Mutex::default(),
        };
        let mut mark = [0; 16];
        getrandom::fill(&mut mark).map_err(|why| {
            Error::new(ErrorKind::Internal, &*operation, format!("no random numbers: {why}"))
        })?;
        let mark = Mark(u128::from_be_bytes(mark));
        Ok(Driver::new(charter.clone(), kept, mark, self.world.clock.clone(), Arc::new(hands)))
    }
}

/// The keys of everybody; an error names what is no key, and who has the key of another.
fn keys_of(parties: &[Party]) -> Result<BTreeMap<Speaker, Vec<PublicKey>>> {
    let refused = |why: String| Error::new(ErrorKind::Usage, "begin as an agent", why);
    let (mut keys, mut whose) = (BTreeMap::new(), BTreeMap::new());
    for Party { who, keys: lines, .. } in parties {
        let mut own = vec![];
        for line in lines {
            let key: PublicKey = line.parse().map_err(|why| refused(format!("a key of {who}: {why}")))?;
            // A host may have an observer of its own; two observers of one key would be one that votes twice, and of two hosts
            // of one key each could say that the other has stopped.
            let identity = (matches!(who, Speaker::Host(_)), key.blob().to_vec());
            if let Some(other) = whose.insert(identity, who).filter(|other| *other != who) {
                return Err(refused(format!(
                    "{who} and {other} have one key: one of them could speak for both"
                ))
                .hint("give each a key of its own"));
            }
            own.push(key);
        }
        if keys.insert(who.clone(), own).is_some() {
            return Err(refused(format!("{who} is there twice")));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const BOB: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKwzLMr0lYl9cyv6Ln3IhbzIL2b9nZDGzjCBfE3wcvUa";

    fn check(parties: &[(&str, &str)], refused: Option<&str>) {
        let party = |(who, key): &(&str, &str)| Party {
            who: serde_json::from_str(who).unwrap(),
            remote: "dr@nl.example.net".parse().unwrap(),
            keys: vec![(*key).to_owned()],
        };
        let parties: Vec<Party> = parties.iter().map(party).collect();
        match (keys_of(&parties), refused) {
            (Ok(_), None) => {}
            (Err(why), Some(said)) => assert!(why.to_string().contains(said), "{why}"),
            (got, _) => panic!("{got:?} for {parties:?}"),
        }
    }

    #[test]
    fn nobody_speaks_for_two() {
        let (uk, us) = (r#"{"host": "uk"}"#, r#"{"host": "us"}"#);
        let (nl, de) = (r#"{"observer": "nl"}"#, r#"{"observer": "de"}"#);
        check(&[(uk, ANN), (us, BOB), (nl, ANN)], None);
        check(&[(nl, ANN), (de, ANN)], Some("have one key"));
        check(&[(nl, ANN), (de, &format!("{ANN} with another comment"))], Some("have one key"));
        check(&[(uk, ANN), (us, ANN)], Some("have one key"));
        check(&[(uk, ANN), (nl, ANN), (us, ANN)], Some("have one key"));
        check(&[(nl, ANN), (nl, BOB)], Some("is there twice"));
        check(&[(nl, "ssh-ed25519 AAAA")], Some("a key of the observer nl"));
    }
}
