use std::future::Future;

use hickory_proto::op::{Message, OpCode, Query};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::estate::TsigAlgorithm;
use crate::secret::Secret;

const SHORT: Patience = Patience {
    connect: Duration::from_millis(500),
    message: Duration::from_millis(500),
    whole: Duration::from_millis(1500),
};

/// Serves one connection after another with what `serve` does, after it has read the question.
async fn server<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream, Vec<u8>) -> F + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            serve(stream, question).await;
        }
    });
    address
}

fn soa() -> Record {
    let (ns, mailbox) =
        (Name::from_ascii("ns1.example.org.").unwrap(), Name::from_ascii("h.example.org.").unwrap());
    let data = RData::SOA(SOA::new(ns, mailbox, 3, 3600, 900, 1_209_600, 300));
    Record::from_rdata(Name::from_ascii("example.org.").unwrap(), 60, data)
}

fn address(number: usize) -> Record {
    let owner = Name::from_ascii(format!("h{number}.example.org.")).unwrap();
    Record::from_rdata(owner, 60, RData::A(A([192, 0, 2, 1].into())))
}

/// An answer to the question with these records, as the wire library writes it.
fn answer(question: &[u8], records: Vec<Record>) -> Vec<u8> {
    let id = u16::from_be_bytes([question[0], question[1]]);
    let mut answer = Message::response(id, OpCode::Query);
    answer.add_query(Query::query(
        Name::from_ascii("example.org.").unwrap(),
        hickory_proto::rr::RecordType::AXFR,
    ));
    answer.add_answers(records);
    answer.to_vec().unwrap()
}

fn key() -> TsigSigner {
    let secret = Secret::new("c2VjcmV0cyBvZiB0aGUgbGFiIHByb3RlY3Qgbm90aGk=".to_owned());
    TsigSigner::new(&"lab-key".parse().unwrap(), TsigAlgorithm::HmacSha256, &secret).unwrap()
}

async fn ask(server: SocketAddr, key: Option<&TsigSigner>) -> Result<Transferred, Failure> {
    let zone = "example.org".parse().unwrap();
    let limits = TransferLimits { octets: 100_000, records: 5000 };
    let asked = Asked { zone: &zone, server, since: None, limits };
    let begun = Instant::now();
    let came = transfer(&asked, key, SHORT).await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    came
}

#[tokio::test]
async fn an_honest_server_is_believed() {
    let server = server(async |mut stream, question| {
        write_message(&mut stream, &answer(&question, vec![soa(), address(1)])).await.unwrap();
        write_message(&mut stream, &answer(&question, vec![address(2), soa()])).await.unwrap();
    })
    .await;
    let zone = ask(server, None).await.unwrap();
    assert_eq!(zone.sets().len(), 3);
    // With a key, what is not signed is not believed.
    let Err(Failure::Tsig(TsigFault::Missing, _)) = ask(server, Some(&key())).await else { panic!() };
}

#[tokio::test]
async fn who_drips_or_never_ends_gets_no_more_than_the_limits() {
    let drips = server(async |mut stream, question| {
        let whole = answer(&question, vec![soa(), address(1)]);
        let _ = stream.write_u16(u16::try_from(whole.len()).unwrap()).await;
        for octet in whole {
            if stream.write_all(&[octet]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(matches!(ask(drips, None).await, Err(Failure::Silent)));
    let drips_messages = server(async |mut stream, question| {
        for number in 0..1000 {
            let records = if number == 0 { vec![soa()] } else { vec![address(number)] };
            if write_message(&mut stream, &answer(&question, records)).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(matches!(ask(drips_messages, None).await, Err(Failure::Silent)));
    let endless = server(async |mut stream, question| {
        let mut begun = false;
        loop {
            let first = (!std::mem::replace(&mut begun, true)).then(soa);
            let records = first.into_iter().chain((0..500).map(address)).collect();
            if write_message(&mut stream, &answer(&question, records)).await.is_err() {
                return;
            }
        }
    })
    .await;
    let Err(Failure::Fault(TransferFault::TooLarge(_))) = ask(endless, None).await else { panic!() };
}

#[tokio::test]
async fn refusals_and_garbage_are_told_apart() {
    let refuses = server(async |mut stream, question| {
        let mut refused = answer(&question, vec![]);
        refused[3] |= 5;
        write_message(&mut stream, &refused).await.unwrap();
    })
    .await;
    let zone = "example.org".parse().unwrap();
    for key in [None, Some(key())] {
        let failure = ask(refuses, key.as_ref()).await.unwrap_err();
        let asked = Asked { zone: &zone, server: refuses, since: None, limits: TransferLimits::default() };
        let error = failure.into_error(&asked, Some(&"lab-key".parse().unwrap()), "transfer it".to_owned());
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(
            error.message().contains("REFUSED") && error.advice().unwrap().contains("lab-key"),
            "{error:?}"
        );
    }
    let garbage = server(async |mut stream, _| {
        write_message(&mut stream, b"HTTP/1.1 400 Bad Request").await.unwrap();
    })
    .await;
    assert!(matches!(ask(garbage, None).await, Err(Failure::Fault(TransferFault::Malformed(_)))));
    let hangs_up = server(async |_, _| {}).await;
    assert!(matches!(ask(hangs_up, None).await, Err(Failure::Broken(_))));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(ask(nobody, None).await, Err(Failure::Broken(_))));
    let clocks = Failure::Tsig(TsigFault::BadTime(Some(1000)), 5000);
    let asked = Asked { zone: &zone, server: nobody, since: None, limits: TransferLimits::default() };
    assert!(
        clocks.into_error(&asked, None, "transfer it".to_owned()).advice().unwrap().contains("4000 s apart")
    );
}
