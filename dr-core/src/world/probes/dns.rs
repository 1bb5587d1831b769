//! A name server answers authoritatively for a zone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use tokio::net::UdpSocket;

use super::{Looked, judge, unknown, wrong};
use crate::estate::ZoneName;

/// A datagram may be lost: the question is sent so many times over the time there is.
const TRIES: u32 = 3;

pub(super) async fn look(server: SocketAddr, zone: &ZoneName, within: Duration) -> Looked {
    let id = u16::from_le_bytes(getrandom_bytes()?);
    let name = Name::from_ascii(format!("{}.", zone.as_str().trim_end_matches('.')))
        .map_err(|why| unknown(why.to_string()))?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::SOA));
    let question = message.to_vec().map_err(|why| unknown(why.to_string()))?;

    let here: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let seen = |why: std::io::Error| judge(server, &why);
    let socket = UdpSocket::bind((here, 0)).await.map_err(|why| unknown(why.to_string()))?;
    // Connected: the kernel drops what others send, and a port nobody listens on shows as refused.
    socket.connect(server).await.map_err(seen)?;
    let mut buffer = [0; 4096];
    loop {
        socket.send(&question).await.map_err(seen)?;
        let again = tokio::time::sleep(within / TRIES);
        tokio::pin!(again);
        loop {
            let length = tokio::select! {
                () = &mut again => break,
                received = socket.recv(&mut buffer) => received.map_err(seen)?,
            };
            match Message::from_vec(&buffer[..length]) {
                // Not the answer to this question: somebody guesses, or it is late. The right one may still come.
                Ok(answer) if answer.metadata.id != id || !repeats(&answer, &name) => {}
                Ok(answer) => return judge_answer(&answer, &name),
                Err(why) => return Err(wrong(format!("{server} sent what is no DNS message: {why}"))),
            }
        }
    }
}

fn repeats(answer: &Message, name: &Name) -> bool {
    let same = |query: &Query| query.name == *name && query.query_type == RecordType::SOA;
    // Some servers that refuse leave the question out.
    answer.metadata.message_type == MessageType::Response
        && (answer.queries.is_empty() || answer.queries.iter().all(same))
}

fn judge_answer(answer: &Message, zone: &Name) -> Looked {
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(wrong(format!("it answers {} for {zone}", answer.metadata.response_code)));
    }
    if !answer.metadata.authoritative {
        return Err(wrong(format!("it answers without authority for {zone}")));
    }
    let is_soa =
        |record: &hickory_proto::rr::Record| record.name == *zone && record.record_type() == RecordType::SOA;
    if answer.answers.iter().any(is_soa) {
        Ok(())
    } else {
        Err(wrong(format!("it sends no SOA record of {zone}")))
    }
}

fn getrandom_bytes() -> Result<[u8; 2], crate::failover::Sight> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|why| unknown(format!("no random numbers: {why}")))?;
    Ok(bytes)
}
