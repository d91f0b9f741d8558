//! The destinations that `--net` opens, and that nothing else is: a real command, a
//! real relay, a real server on this machine.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::{Command, Output};
use std::thread::JoinHandle;

/// bash can connect without any program being there.
fn bash(net: &[&str], script: &str) -> (String, i32) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cairn"));
    command
        .args(["sandbox", "--timeout", "20", "--workspace"])
        .arg(folder.path());
    for word in net {
        command.args(["--net", word]);
    }
    let Output {
        stdout,
        stderr,
        status,
    } = command.args(["--", "bash", "-c", script]).output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    let errors = String::from_utf8_lossy(&stderr);
    (text + &errors, status.code().unwrap())
}

fn has_bash() -> bool {
    Command::new("bash").arg("--version").output().is_ok()
}

/// Asks the relay, which `http_proxy` names, with a request's first line.
fn ask(line: &str) -> String {
    format!(
        "p=${{http_proxy##*:}}; exec 3<>/dev/tcp/127.0.0.1/$p && \
         printf '{line}\\r\\n\\r\\n' >&3 && cat <&3"
    )
}

/// Serves one connection after the other; counts them.
fn server() -> (TcpListener, u16, JoinHandle<usize>) {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let serving = server.try_clone().unwrap();
    let served = std::thread::spawn(move || {
        let mut count = 0;
        loop {
            let (mut stream, _) = serving.accept().unwrap();
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).unwrap();
            if bytes.starts_with(b"stop") {
                return count;
            }
            count += 1;
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let first = text.lines().next().unwrap_or_default();
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\nserved {first}\n");
        }
    });
    (server, port, served)
}

#[test]
fn what_is_named_is_reached_and_nothing_else() {
    if !has_bash() {
        return;
    }
    let (_server, port, served) = server();
    let named = format!("127.0.0.1:{port}");
    let net = ["a.example:443", named.as_str()];

    let (text, status) = bash(&net, &ask(&format!("GET http://{named}/x HTTP/1.1")));
    assert_eq!(
        (text.as_str(), status),
        ("HTTP/1.1 200 OK\r\n\r\nserved GET /x HTTP/1.1\n", 0)
    );
    let through = format!("CONNECT {named} HTTP/1.1\\r\\n\\r\\nhello");
    let (text, _) = bash(&net, &ask(&through));
    assert!(
        text.contains(" 200 ") && text.contains("served hello"),
        "{text}"
    );

    // Not past the relay, and not by it.
    let direct = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached");
    let (text, status) = bash(&net, &direct);
    assert!(text.contains("refused") && status != 0, "{text}");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other_port = other.local_addr().unwrap().port();
    for line in [
        format!("CONNECT 127.0.0.1:{other_port} HTTP/1.1"),
        format!("GET http://127.0.0.1:{other_port}/ HTTP/1.1"),
        format!("CONNECT localhost:{port} HTTP/1.1"),
        "CONNECT 169.254.169.254:80 HTTP/1.1".to_owned(),
    ] {
        let (text, _) = bash(&net, &ask(&line));
        assert!(
            text.starts_with("HTTP/1.1 403 ") && text.contains("by --net "),
            "{line}: {text}"
        );
    }
    other.set_nonblocking(true).unwrap();
    assert!(other.accept().is_err());

    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_nonblocking(true).unwrap();
    let udp_port = udp.local_addr().unwrap().port();
    for target in [
        format!("udp/127.0.0.1/{udp_port}"),
        "tcp/169.254.169.254/80".to_owned(),
        "tcp/1.1.1.1/53".to_owned(),
    ] {
        let (text, _) = bash(&net, &format!("echo bad > /dev/{target} && echo sent"));
        assert!(
            target.starts_with("udp") || !text.contains("sent"),
            "{target}: {text}"
        );
    }
    assert!(udp.recv(&mut [0; 8]).is_err());

    let mut last = std::net::TcpStream::connect(&named).unwrap();
    last.write_all(b"stop").unwrap();
    assert_eq!(served.join().unwrap(), 2);
}

/// A loopback of its own comes with it, and the variables say where the relay is.
#[test]
fn programs_are_told_of_the_relay() {
    let script = "env | grep -i _proxy= | sort";
    let (text, _) = bash(&["A.example:443,127.0.0.1:1"], script);
    let relay = "http://127.0.0.1:3128";
    for line in [
        format!("https_proxy={relay}"),
        format!("HTTP_PROXY={relay}"),
        format!("all_proxy={relay}"),
        "NO_PROXY=localhost,::1".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    for net in ["off", "loopback"] {
        assert_eq!(bash(&[net], script).0, "");
    }
}

/// A flood of requests and one that never ends: the command ends as it would.
#[test]
fn a_hostile_client_ends_with_its_command() {
    if !has_bash() {
        return;
    }
    let script = "p=${http_proxy##*:}; for i in $(seq 200); do \
        (exec 3<>/dev/tcp/127.0.0.1/$p; printf 'GET http://a.example/ HTTP/1.1\\r\\nX: ' >&3; \
        head -c 200000 /dev/zero | tr '\\0' x >&3; sleep 100) 2>/dev/null & done; sleep 1; echo over";
    let started = std::time::Instant::now();
    let (text, status) = bash(&["a.example:80"], script);
    assert_eq!((text.as_str(), status), ("over\n", 0));
    assert!(started.elapsed().as_secs() < 15);
}

#[test]
fn words_that_make_no_sense_are_usage() {
    for (net, words) in [
        (&["github.com"][..], "HOST:PORT"),
        (&["*.github.com:443"], "not a host's name"),
        (&["a.example:0"], "1 to 65535"),
        (&["off", "a.example:1"], "`off` stands alone"),
    ] {
        let (text, status) = bash(net, "echo ran");
        assert_eq!(status, 2, "{text}");
        assert!(text.contains(words) && text.lines().count() == 1, "{text}");
    }
}
