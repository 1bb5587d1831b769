//! Transaction signatures (TSIG, RFC 8945): whether a request is signed by one we know, and signing the answer.

use std::sync::{Arc, Mutex, PoisonError};

use hickory_net::NetError;
use hickory_proto::{
    ProtoError,
    op::{Message, ResponseCode},
    rr::{
        Record, TSigResponseContext, TSigner,
        rdata::{
            TSIG,
            tsig::{TsigError, make_tsig_record},
        },
    },
    serialize::binary::{BinDecoder, BinEncoder},
};
use hickory_server::{
    server::{Request, ResponseHandler, ResponseInfo},
    zone_handler::{MessageResponse, MessageResponseBuilder, Queries},
};

/// Looks at the signature of `request`, if it has one: what to refuse it with, if anything, and what signs every
/// answer to it, refusals included.
pub(super) fn check(
    keys: &[TSigner],
    request: &Request,
    now: u64,
) -> Option<(Result<(), ResponseCode>, Signer)> {
    let signature = request.signature.as_deref()?;
    let id = request.metadata.id;
    let refused = |context| Some((Err(ResponseCode::NotAuth), Signer { first: Some(context), next: None }));
    let Some(key) = keys.iter().find(|key| *key.signer_name() == signature.name) else {
        return refused(TSigResponseContext::unknown_key(id, now, signature.name.clone()));
    };
    let (time, fudge) = (signature.data.time, u64::from(signature.data.fudge));
    if now.abs_diff(time) > fudge {
        let verified = time >= fudge && key.verify_message_byte(request.as_slice(), None, true).is_ok();
        let (key, mac) = (key.clone(), signature.data.mac.clone());
        return refused(match verified {
            true => TSigResponseContext::new(id, now, key, mac, Some(TsigError::BadTime)),
            false => TSigResponseContext::bad_signature(id, now, key),
        });
    }
    let Ok((mac, _, _)) = key.verify_message_byte(request.as_slice(), None, true) else {
        return refused(TSigResponseContext::bad_signature(id, now, key.clone()));
    };
    let first = Some(TSigResponseContext::new(id, now, key.clone(), mac, None));
    Some((Ok(()), Signer { first, next: Some(Chain { key: key.clone(), mac: Vec::new(), id, time: now }) }))
}

/// Signs the answers to one request, in their order.
pub(super) struct Signer {
    first: Option<TSigResponseContext>,
    /// For the second and later messages of a transfer.
    next: Option<Chain>,
}

struct Chain {
    key: TSigner,
    /// Of the message before.
    mac: Vec<u8>,
    id: u16,
    time: u64,
}

impl Signer {
    fn sign(&mut self, message: &[u8]) -> Result<Box<Record<TSIG>>, ProtoError> {
        let signature = match (self.first.take(), &self.next) {
            (Some(first), _) => first.sign(message)?,
            (None, Some(chain)) => chain.sign(message)?,
            (None, None) => return Err(ProtoError::from("a refusal is one message")),
        };
        if let Some(chain) = &mut self.next {
            chain.mac.clone_from(&signature.data.mac);
        }
        Ok(signature)
    }
}

impl Chain {
    /// RFC 8945, section 5.3.1: over the MAC before, the message, and the time.
    fn sign(&self, message: &[u8]) -> Result<Box<Record<TSIG>>, ProtoError> {
        let fudge = self.key.fudge();
        let length =
            u16::try_from(self.mac.len()).map_err(|_| ProtoError::from("a MAC of more than 64 KiB"))?;
        let time = &self.time.to_be_bytes()[2..];
        let signed = [&length.to_be_bytes()[..], &self.mac, message, time, &fudge.to_be_bytes()].concat();
        let mac = self.key.sign(&signed).map_err(|error| ProtoError::from(error.to_string()))?;
        let data = TSIG::new(self.key.algorithm().clone(), self.time, fudge, mac, self.id, None, Vec::new());
        Ok(Box::new(make_tsig_record(self.key.signer_name().clone(), data)))
    }
}

/// A response handler that signs what goes through it.
#[derive(Clone)]
pub(super) struct Signing<R> {
    inner: R,
    question: Arc<[u8]>,
    questions: usize,
    signer: Arc<Mutex<Signer>>,
}

impl<R> Signing<R> {
    pub(super) fn new(inner: R, request: &Request, signer: Signer) -> Self {
        let questions = request.queries.len();
        Self {
            inner,
            question: request.queries.as_bytes().into(),
            questions,
            signer: Arc::new(Mutex::new(signer)),
        }
    }
}

#[async_trait::async_trait]
impl<R: ResponseHandler> ResponseHandler for Signing<R> {
    async fn send_response<'a>(
        &mut self,
        response: MessageResponse<
            '_,
            'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
            impl Iterator<Item = &'a Record> + Send + 'a,
        >,
    ) -> Result<ResponseInfo, NetError> {
        // What is signed are bytes, and writing a response uses it up: read back, it can be written twice.
        let mut bytes = Vec::with_capacity(512);
        response.destructive_emit(&mut BinEncoder::new(&mut bytes))?;
        let message = Message::from_vec(&bytes).map_err(ProtoError::from)?;
        let queries =
            Queries::read(&mut BinDecoder::new(&self.question), self.questions).map_err(ProtoError::from)?;
        let response = || {
            MessageResponseBuilder::new(&queries, message.edns.as_ref()).build(
                message.metadata,
                &message.answers,
                &message.authorities,
                &[],
                &message.additionals,
            )
        };
        let mut bytes = Vec::with_capacity(512);
        response().destructive_emit(&mut BinEncoder::new(&mut bytes))?;
        let signature = self.signer.lock().unwrap_or_else(PoisonError::into_inner).sign(&bytes)?;
        let mut response = response();
        response.set_signature(signature);
        self.inner.send_response(response).await
    }
}
