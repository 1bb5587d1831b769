//! The lab's line between two servers: late, narrow, cut, restored.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use dr_tests::Proxy;
use dr_tests::proxy::{Line, State};

/// Sends back what it gets, on every connection.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    addr
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn round_trip(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Duration> {
    let start = Instant::now();
    stream.write_all(text)?;
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back)?;
    assert_eq!(back, text);
    Ok(start.elapsed())
}

#[test]
fn a_line_as_good_as_none_and_then_a_long_one() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    assert!(round_trip(&mut stream, b"hello").unwrap() < Duration::from_millis(500));
    assert_eq!(proxy.passed(), (5, 5));

    proxy.set(Line { delay: Duration::from_millis(80), ..Line::default() });
    let took = round_trip(&mut stream, b"far").unwrap();
    assert!(took >= Duration::from_millis(160), "{took:?}");
    let start = Instant::now();
    round_trip(&mut connect(&proxy), b"from the start").unwrap();
    assert!(
        start.elapsed() >= Duration::from_millis(320),
        "a handshake and a round trip: {:?}",
        start.elapsed()
    );
}

#[test]
fn a_narrow_line_is_shared_and_a_long_one_holds_much() {
    let proxy = Proxy::start(echo());
    let megabyte = vec![7; 1_000_000];
    proxy.set(Line { delay: Duration::from_millis(50), ..Line::default() });
    let mut stream = connect(&proxy);
    let mut copy = stream.try_clone().unwrap();
    let took = std::thread::scope(|scope| {
        let start = Instant::now();
        scope.spawn(|| copy.write_all(&megabyte).unwrap());
        stream.read_exact(&mut vec![0; megabyte.len()]).unwrap();
        start.elapsed()
    });
    assert!(took < Duration::from_secs(2), "delay alone is no limit: {took:?}");

    proxy.set(Line { bytes_per_second: Some(1_000_000), ..Line::default() });
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut stream = connect(&proxy);
                let mut copy = stream.try_clone().unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(|| copy.write_all(&megabyte[..500_000]).unwrap());
                    stream.read_exact(&mut vec![0; 500_000]).unwrap();
                });
            });
        }
    });
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(990) && took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_cut_line_and_its_return() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    round_trip(&mut stream, b"before").unwrap();

    proxy.set_state(State::BlackHole);
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let silent = round_trip(&mut stream, b"lost").unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::WouldBlock, "nobody is told");
    proxy.set_state(State::Up);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut late = [0; 4];
    stream.read_exact(&mut late).unwrap();
    assert_eq!(&late, b"lost", "TCP tries again");

    proxy.set_state(State::Reset);
    let kind = stream.read(&mut [0]).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::ConnectionReset);
    let new = round_trip(&mut connect(&proxy), b"new").unwrap_err().kind();
    assert!(matches!(new, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{new:?}");
    proxy.set_state(State::Up);
    round_trip(&mut connect(&proxy), b"again").unwrap();
}

#[test]
fn the_end_of_a_stream_passes_and_a_dropped_proxy_closes_all() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"bye").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"bye");

    let mut open = connect(&proxy);
    round_trip(&mut open, b"open").unwrap();
    let addr = proxy.addr();
    drop(proxy);
    assert!(!matches!(open.read(&mut [0]), Ok(1..)));
    assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}
