//! The relay between a client and a server that are both real.

use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::sandbox::network::Network;

fn relay(allowed: &str) -> (SocketAddr, Relay) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    let network: Network = allowed.parse().unwrap();
    let relay = Relay::start(port, network.hosts().unwrap()).unwrap();
    (address, relay)
}

fn server() -> (TcpListener, SocketAddr) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

/// Sends a request and reads to the end.
fn ask(relay: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(relay).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // It may be answered before it was sent whole.
    let _ = stream.write_all(request);
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8(text).unwrap()
}

/// Serves one connection: reads `bytes` bytes, answers, ends.
fn serve_once(server: TcpListener, bytes: usize, answer: &'static str) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut text = vec![0; bytes];
        stream.read_exact(&mut text).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(text).unwrap()
    })
}

#[test]
fn a_tunnel_carries_bytes_both_ways() {
    let (server, to) = server();
    let (at, _relay) = relay(&to.to_string());
    let served = serve_once(server, 4, "pong");
    // What is sent at once with the head belongs to the tunnel.
    let got = ask(at, format!("CONNECT {to} HTTP/1.1\r\n\r\nping").as_bytes());
    assert_eq!(served.join().unwrap(), "ping");
    assert_eq!(got, "HTTP/1.1 200 Connection established\r\n\r\npong");
}

#[test]
fn plain_requests_are_passed_on() {
    let (server, to) = server();
    let (at, _relay) = relay(&to.to_string());
    let expected = format!(
        "PUT /x HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbody"
    );
    let served = serve_once(server, expected.len(), "HTTP/1.1 204 No Content\r\n\r\n");
    let request = format!(
        "PUT http://{to}/x HTTP/1.1\r\nHost: evil\r\nProxy-Connection: keep-alive\r\nContent-Length: 4\r\n\r\nbody"
    );
    assert_eq!(
        ask(at, request.as_bytes()),
        "HTTP/1.1 204 No Content\r\n\r\n"
    );
    assert_eq!(served.join().unwrap(), expected);
}

#[test]
fn a_name_is_looked_up_here() {
    let (server, to) = server();
    let to = format!("localhost:{}", to.port());
    let (at, _relay) = relay(&to);
    let served = serve_once(server, 1, "");
    let got = ask(at, format!("CONNECT {to} HTTP/1.1\r\n\r\nx").as_bytes());
    assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
    served.join().unwrap();
}

#[test]
fn all_else_is_refused() {
    let (server, to) = server();
    let (at, _relay) = relay(&format!("{to},localhost:1"));
    let port = to.port();
    for (request, status) in [
        (
            format!("CONNECT 127.0.0.1:{} HTTP/1.1", port.wrapping_add(1).max(1)),
            "403",
        ),
        (format!("CONNECT localhost:{port} HTTP/1.1"), "403"),
        (format!("CONNECT [::1]:{port} HTTP/1.1"), "403"),
        ("CONNECT 169.254.169.254:80 HTTP/1.1".to_owned(), "403"),
        (
            "GET http://169.254.169.254/latest HTTP/1.1".to_owned(),
            "403",
        ),
        (
            format!("CONNECT 127.0.0.1\0.example:{port} HTTP/1.1"),
            "400",
        ),
        (format!("CONNECT 2130706433:{port} HTTP/1.1"), "400"),
        ("GET /x HTTP/1.1".to_owned(), "400"),
        ("\u{5}\u{1}\u{0}".to_owned(), "400"),
        ("CONNECT localhost:1 HTTP/1.1".to_owned(), "502"),
    ] {
        let got = ask(at, format!("{request}\r\n\r\n").as_bytes());
        assert!(
            got.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request:?}: {got}"
        );
        assert!(
            got.contains("\r\n\r\ncairn: ") && got.ends_with('\n'),
            "{got}"
        );
    }
    let why = ask(at, b"CONNECT other.example:443 HTTP/1.1\r\n\r\n");
    let line =
        "cairn: other.example:443 is not allowed; the user allows it by --net other.example:443\n";
    assert!(why.ends_with(line), "{why}");
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err(), "it was reached");
}

#[test]
fn a_head_without_end_is_cut() {
    let (at, _relay) = relay("a.example:443");
    let bomb = [
        b"GET http://a.example/ HTTP/1.1\r\nX: ".to_vec(),
        vec![b'x'; 1 << 20],
    ]
    .concat();
    let got = ask(at, &bomb);
    assert!(got.starts_with("HTTP/1.1 431 "), "{got}");
}

#[test]
fn connections_are_counted() {
    let (at, _relay) = relay("a.example:443");
    let open: Vec<TcpStream> = (0..MOST_GUESTS)
        .map(|_| TcpStream::connect(at).unwrap())
        .collect();
    let got = ask(at, b"");
    assert!(got.starts_with("HTTP/1.1 503 "), "{got}");
    drop(open);
    // Room comes back as soon as their ends were seen.
    let again = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(5));
        ask(at, b"x\r\n\r\n").starts_with("HTTP/1.1 400 ")
    });
    assert!(again);
}

/// Whatever its connections are at: waiting for a request, or passing bytes on.
#[test]
fn its_end_is_the_end_of_all() {
    let (server, to) = server();
    let (at, relay) = relay(&to.to_string());
    let mut silent = TcpStream::connect(at).unwrap();
    let mut busy = TcpStream::connect(at).unwrap();
    busy.write_all(format!("CONNECT {to} HTTP/1.1\r\n\r\n").as_bytes())
        .unwrap();
    let (mut upstream, _) = server.accept().unwrap();
    busy.read_exact(&mut [0; 12]).unwrap();
    drop(relay);
    let mut rest = Vec::new();
    assert_eq!(upstream.read_to_end(&mut rest).unwrap_or(0), 0);
    assert_eq!(silent.read_to_end(&mut rest).unwrap_or(0), 0);
    assert!(TcpStream::connect(at).is_err());
}
