//! What is no agent, or lies.

use dr_core::ErrorKind;
use dr_core::mirror::wire::{FrameHead, FrameKind, Hello, MAGIC, PROTOCOL};
use dr_core::world::agent::{Restrictions, serve};
use dr_core::world::endpoints::AgentEndpoint;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scan;

fn greeting(content: &[u8]) -> Vec<u8> {
    let head = FrameHead { length: content.len() as u32, kind: FrameKind::Hello, id: 0, unpacked: 0 };
    [MAGIC.as_slice(), &head.to_bytes(), content].concat()
}

fn frame(kind: FrameKind, id: u32, content: &[u8]) -> Vec<u8> {
    let head = FrameHead { length: content.len() as u32, kind, id, unpacked: 0 };
    [&head.to_bytes()[..], content].concat()
}

/// What a client makes of whoever says this: the error of opening, or else of scanning.
async fn error_from(said: Vec<u8>) -> dr_core::Error {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        theirs.write_all(&said).await.unwrap();
        let mut heard = [0; 100];
        // It stays until the client has said something, then it is gone.
        let _ = theirs.read(&mut heard).await;
    });
    match AgentEndpoint::over(ours, "/srv").await {
        Err(error) => error,
        Ok(tree) => scan(&tree).await.unwrap_err(),
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(20), work).await.expect("it ends")
    })
}

#[test]
fn another_version_is_named() {
    let hello = Hello { version: "9.9.9".into(), ..Hello::default() }.content();
    let other = [&(PROTOCOL + 1).to_be_bytes()[..], &hello[4..], b"whatever that means"].concat();
    let error = run(error_from(greeting(&other)));
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains(&format!("version {}", PROTOCOL + 1)), "{error}");
}

#[test]
fn what_a_login_shell_says_before_is_skipped() {
    let hello = Hello { version: "9.9.9".into(), ..Hello::default() }.content();
    // Carries, and the root.
    let opened = frame(FrameKind::Reply, 0, b"\x01\x01\x04/srv");
    let said = [b"Welcome to Debian!\n".as_slice(), &greeting(&hello), &opened].concat();
    let error = run(error_from(said));
    assert_eq!(error.kind(), ErrorKind::Unreachable, "it opened, and then the line ended: {error:?}");
    let error = run(error_from(b"bash: dr: command not found\n".to_vec()));
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.message().contains("command not found"), "{error}");
}

#[test]
fn lies_of_an_agent_are_errors() {
    let hello = Hello { version: "9.9.9".into(), ..Hello::default() }.content();
    let opened = frame(FrameKind::Reply, 0, b"\x01\x01\x04/srv");
    let start = [greeting(&hello), opened].concat();
    // The scan comes between or after the pings and the options: every number that it can have is answered.
    let lies: [(FrameKind, &[u8]); 5] = [
        (FrameKind::Pack, b"\x01\x00\x00\x0b../../passwd\x01\x00\x00\x00\x00"),
        (FrameKind::Pack, b"\x63"),
        (FrameKind::Reply, b"\xff\xff"),
        (FrameKind::Credit, b"\xff\xff\xff\xff\x0f"),
        (FrameKind::Call, b"\x02"),
    ];
    for (kind, content) in lies {
        let answers: Vec<u8> = (1..10).flat_map(|id| frame(kind, id, content)).collect();
        let error = run(error_later(start.clone(), answers));
        assert!(matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Unreachable), "{kind:?}: {error:?}");
    }
}

/// As [`error_from`], with more said once a request has come.
async fn error_later(first: Vec<u8>, then: Vec<u8>) -> dr_core::Error {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        theirs.write_all(&first).await.unwrap();
        let mut heard = vec![0; 1 << 16];
        loop {
            // Whatever the client asks, and whenever, it gets the same.
            let often = std::time::Duration::from_millis(50);
            let is_over =
                matches!(tokio::time::timeout(often, theirs.read(&mut heard)).await, Ok(Ok(0) | Err(_)));
            if is_over || theirs.write_all(&then).await.is_err() {
                return;
            }
        }
    });
    let tree = AgentEndpoint::over(ours, "/srv").await.unwrap();
    match scan(&tree).await {
        Err(error) => error,
        Ok(seen) => panic!("{seen:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn garbage_ends_in_an_error(garbage in proptest::collection::vec(any::<u8>(), 0..2000), greets in any::<bool>()) {
        let hello = Hello { version: "9.9.9".into(), ..Hello::default() }.content();
        let start = if greets { greeting(&hello) } else { vec![] };
        run(error_from([start, garbage].concat()));
    }

    #[test]
    fn an_agent_bears_any_client(garbage in proptest::collection::vec(any::<u8>(), 0..2000), greets in any::<bool>()) {
        let hello = Hello { version: "9.9.9".into(), ..Hello::default() }.content();
        let start = if greets { greeting(&hello) } else { vec![] };
        run(async {
            let (mut ours, theirs) = tokio::io::duplex(1 << 20);
            let (input, output) = tokio::io::split(theirs);
            let agent = tokio::spawn(serve(Restrictions::default(), input, output));
            ours.write_all(&[start, garbage].concat()).await.unwrap();
            ours.shutdown().await.unwrap();
            let mut said = vec![];
            ours.read_to_end(&mut said).await.unwrap();
            // An error or not: it ends, and does not panic.
            let _ = agent.await.unwrap();
        });
    }
}
