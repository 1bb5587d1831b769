//! What a name server does with each message: queries from the published zones, transfers, updates, notifies.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use hickory_net::{runtime::Time, xfer::Protocol};
use hickory_proto::{
    op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode},
    rr::{LowerName, Name, Record, RecordType, TSigner, rdata::opt::NSIDPayload},
    serialize::binary::BinEncodable,
};
use hickory_server::{
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo},
    zone_handler::{Catalog, MessageResponseBuilder},
};
use tokio::sync::{Mutex, Notify};

use super::{
    signature::{self, Signing},
    transfer, update,
    zone::Zone,
};

/// Bytes of records in one message of a transfer, before compression: with a record that comes on top of it
/// still a message that TCP can carry, whatever the record.
const TRANSFER_BYTES: usize = 16 * 1024;

/// One consistent state of all zones: a query is answered from one of these as a whole.
struct Published {
    zones: BTreeMap<LowerName, Arc<Zone>>,
    catalog: Catalog,
}

/// A name server's zones and who may do what with them.
pub(super) struct Authority {
    /// In answers to NSID (RFC 5001).
    name: String,
    /// All zones it is to serve, loaded or not.
    configured: Vec<Name>,
    /// Who may change zones at a primary; answers to what they have signed are signed too.
    keys: Vec<TSigner>,
    published: RwLock<Arc<Published>>,
    /// Held from reading a zone to publishing the next: one change at a time.
    writing: Mutex<()>,
    pub(super) part: Part,
    /// Directory for the zones as they are now.
    state: Option<PathBuf>,
}

/// What sets a primary apart from a secondary.
pub(super) enum Part {
    Primary { secondaries: RwLock<Vec<SocketAddr>>, address: IpAddr },
    Secondary { primary: IpAddr, changed: Notify },
}

impl Authority {
    pub(super) fn new(
        name: String,
        configured: Vec<Name>,
        keys: Vec<TSigner>,
        part: Part,
        state: Option<PathBuf>,
    ) -> Self {
        let published = RwLock::new(Arc::new(Published { zones: BTreeMap::new(), catalog: Catalog::new() }));
        Self { name, configured, keys, published, writing: Mutex::new(()), part, state }
    }

    pub(super) fn configured(&self) -> &[Name] {
        &self.configured
    }

    pub(super) fn zone(&self, origin: &Name) -> Option<Arc<Zone>> {
        self.published().zones.get(&LowerName::from(origin)).cloned()
    }

    /// What was kept of the zone by an earlier run.
    pub(super) fn saved(&self, origin: &Name) -> io::Result<Option<Zone>> {
        self.state_file(origin).map_or(Ok(None), |file| Zone::load(origin, &file))
    }

    /// Swaps in `zone`, in one go, and keeps it over a restart. Nothing changes where that fails.
    pub(super) async fn publish(&self, zone: Zone) -> io::Result<()> {
        let _one = self.writing.lock().await;
        self.publish_locked(zone)
    }

    fn publish_locked(&self, zone: Zone) -> io::Result<()> {
        if let Some(file) = self.state_file(&zone.soa_record().name) {
            zone.save(&file)?;
        }
        let mut zones = self.published().zones.clone();
        zones.insert(zone.origin(), Arc::new(zone));
        self.swap(zones)
    }

    /// Stops to serve a zone that is too old to be trusted (SOA EXPIRE).
    pub(super) async fn withdraw(&self, origin: &Name) -> io::Result<()> {
        let _one = self.writing.lock().await;
        let mut zones = self.published().zones.clone();
        zones.remove(&LowerName::from(origin));
        self.swap(zones)
    }

    fn swap(&self, zones: BTreeMap<LowerName, Arc<Zone>>) -> io::Result<()> {
        let mut catalog = Catalog::new();
        catalog.set_nsid(Some(NSIDPayload::new(self.name.as_bytes()).map_err(io::Error::other)?));
        for (origin, zone) in &zones {
            catalog.upsert(origin.clone(), vec![zone.handler()]);
        }
        *self.published.write().unwrap_or_else(PoisonError::into_inner) =
            Arc::new(Published { zones, catalog });
        Ok(())
    }

    fn published(&self) -> Arc<Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn state_file(&self, origin: &Name) -> Option<PathBuf> {
        let name = origin.to_ascii().to_ascii_lowercase();
        // The names are our own, but no label may become a path.
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '_' })
            .collect();
        self.state.as_ref().map(|directory| directory.join(format!("zone-{name}json")))
    }

    /// Sends NOTIFY to every secondary, in the background.
    pub(super) fn notify(&self, zone: &Zone) {
        let Part::Primary { secondaries, address, .. } = &self.part else { return };
        for &secondary in secondaries.read().unwrap_or_else(PoisonError::into_inner).iter() {
            let (from, soa) = (*address, zone.soa_record());
            tokio::spawn(async move {
                match transfer::notify(from, secondary, soa).await {
                    Ok(true) => {}
                    Ok(false) => tracing::warn!(%secondary, "no acknowledgement of NOTIFY"),
                    Err(error) => tracing::warn!(%secondary, %error, "NOTIFY"),
                }
            });
        }
    }

    /// Tells every secondary about every zone: after the list of secondaries has changed.
    pub(super) fn notify_all(&self) {
        for zone in self.published().zones.values() {
            self.notify(zone);
        }
    }

    /// An UPDATE message (RFC 2136), of which it is known whether one of our keys has signed it.
    async fn update(&self, request: &Request, is_signed: bool) -> ResponseCode {
        if !is_signed || matches!(self.part, Part::Secondary { .. }) {
            return ResponseCode::Refused;
        }
        let [question] = request.queries.queries() else { return ResponseCode::FormErr };
        if question.query_type() != RecordType::SOA {
            return ResponseCode::FormErr;
        }
        let _one = self.writing.lock().await;
        let Some(zone) = self.published().zones.get(question.name()).cloned() else {
            return ResponseCode::NotAuth;
        };
        let after =
            update::check(&zone, &request.answers).and_then(|()| update::apply(&zone, &request.authorities));
        match after {
            Err(code) => code,
            Ok(None) => ResponseCode::NoError,
            Ok(Some(after)) => match self.publish_locked(after.clone()) {
                Ok(()) => {
                    self.notify(&after);
                    ResponseCode::NoError
                }
                Err(error) => {
                    tracing::error!(%error, "cannot keep an updated zone");
                    ResponseCode::ServFail
                }
            },
        }
    }

    /// A NOTIFY message (RFC 1996): heeded if it comes from the primary.
    fn notified(&self, request: &Request) -> ResponseCode {
        let Part::Secondary { primary, changed } = &self.part else { return ResponseCode::NotImp };
        let [question] = request.queries.queries() else { return ResponseCode::FormErr };
        if !self.configured.iter().any(|zone| LowerName::from(zone) == *question.name()) {
            return ResponseCode::NotAuth;
        }
        if request.src().ip() != *primary {
            return ResponseCode::Refused;
        }
        changed.notify_one();
        ResponseCode::NoError
    }

    /// A whole zone for another server on this machine: AXFR, and IXFR answered in full (RFC 1995, section 4).
    async fn transfer<R: ResponseHandler>(
        &self,
        request: &Request,
        name: &LowerName,
        handle: R,
    ) -> ResponseInfo {
        let refusal = |code| Reply { code, ..Reply::to(request) };
        if !request.src().ip().is_loopback() {
            return refusal(ResponseCode::Refused).send(request, handle).await;
        }
        let Some(zone) = self.published().zones.get(name).cloned() else {
            return refusal(ResponseCode::NotAuth).send(request, handle).await;
        };
        let mut records = zone.records();
        if request.protocol() == Protocol::Udp {
            let kind = request.queries.queries().first().map(|question| question.query_type());
            if kind == Some(RecordType::AXFR) {
                return refusal(ResponseCode::FormErr).send(request, handle).await;
            }
            // Over UDP an IXFR gets the SOA alone: "ask again over TCP".
            records.truncate(1);
        } else {
            records.push(zone.soa_record());
        }
        let mut last = None;
        for records in messages(&records) {
            let reply = Reply { authoritative: true, records, ..Reply::to(request) };
            last = Some(reply.send(request, handle.clone()).await);
        }
        match last {
            Some(info) => info,
            None => refusal(ResponseCode::ServFail).send(request, handle).await,
        }
    }

    async fn dispatch<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        handle: R,
        is_signed: bool,
    ) -> ResponseInfo {
        let question = request.queries.queries().first();
        match (request.metadata.message_type, request.metadata.op_code, question) {
            (MessageType::Query, OpCode::Update, _) => {
                let code = self.update(request, is_signed).await;
                Reply { code, ..Reply::to(request) }.send(request, handle).await
            }
            (MessageType::Query, OpCode::Notify, _) => {
                let code = self.notified(request);
                Reply { code, authoritative: true, ..Reply::to(request) }.send(request, handle).await
            }
            (MessageType::Query, OpCode::Query, Some(question)) => {
                let published = self.published();
                if matches!(question.query_type(), RecordType::AXFR | RecordType::IXFR) {
                    return self.transfer(request, question.name(), handle).await;
                }
                if self.is_missing(question.name(), &published) {
                    return Reply { code: ResponseCode::ServFail, ..Reply::to(request) }
                        .send(request, handle)
                        .await;
                }
                published.catalog.handle_request::<R, T>(request, handle).await
            }
            _ => self.published().catalog.handle_request::<R, T>(request, handle).await,
        }
    }

    /// Whether `name` belongs to a zone that should be here and is not.
    fn is_missing(&self, name: &LowerName, published: &Published) -> bool {
        let is_in = |zone: &Name| LowerName::from(zone).zone_of(name);
        self.configured
            .iter()
            .any(|zone| is_in(zone) && !published.zones.contains_key(&LowerName::from(zone)))
    }
}

#[async_trait::async_trait]
impl RequestHandler for Authority {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        handle: R,
    ) -> ResponseInfo {
        let Some((verdict, signer)) = signature::check(&self.keys, request, T::current_time()) else {
            return self.dispatch::<R, T>(request, handle, false).await;
        };
        let handle = Signing::new(handle, request, signer);
        match verdict {
            Ok(()) => self.dispatch::<Signing<R>, T>(request, handle, true).await,
            Err(code) => Reply { code, ..Reply::to(request) }.send(request, handle).await,
        }
    }
}

/// `records` in their order, cut into what goes into one message each.
fn messages(records: &[Record]) -> Vec<&[Record]> {
    let mut bytes = 0;
    records
        .chunk_by(|record, _| {
            bytes += record.to_bytes().map_or(TRANSFER_BYTES, |bytes| bytes.len());
            let fits = bytes < TRANSFER_BYTES;
            if !fits {
                bytes = 0;
            }
            fits
        })
        .collect()
}

/// An answer made here and not by the catalog.
struct Reply<'r> {
    code: ResponseCode,
    authoritative: bool,
    records: &'r [Record],
    edns: Option<Edns>,
}

impl<'r> Reply<'r> {
    fn to(request: &Request) -> Self {
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().max(512));
            edns
        });
        Reply { code: ResponseCode::NoError, authoritative: false, records: &[], edns }
    }

    async fn send<R: ResponseHandler>(self, request: &Request, mut handle: R) -> ResponseInfo {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.response_code = self.code;
        metadata.authoritative = self.authoritative;
        let failed = ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() });
        let answer = MessageResponseBuilder::new(&request.queries, self.edns.as_ref()).build(
            metadata,
            self.records,
            &[],
            &[],
            &[],
        );
        handle.send_response(answer).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "an answer did not get away");
            failed
        })
    }
}
