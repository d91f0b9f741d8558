//! What a command asks the relay for: the head of an HTTP request, read strictly, and
//! written anew where it is passed on, so that who checks it and who answers it read
//! the same.

use crate::sandbox::network::Destination;

/// More than the head of any request has. Bytes.
pub const MOST_HEAD: usize = 16 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Bytes both ways, whatever they are.
    Tunnel(Destination),
    /// This head, then bytes.
    Forward { to: Destination, head: Vec<u8> },
}

impl Request {
    pub fn destination(&self) -> &Destination {
        match self {
            Self::Tunnel(to) | Self::Forward { to, .. } => to,
        }
    }
}

/// Of the client with its proxy, or with the connection that ends here.
const HOP: &[&str] = &["connection", "keep-alive", "te", "upgrade", "host"];

/// The length of the head at the start of these bytes, once all of it is there.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let at = bytes.windows(END.len()).position(|window| window == END)?;
    Some(at + END.len())
}

/// Reads a head with its last empty line.
///
/// # Errors
/// When it is not one that everybody reads alike: says what is wrong.
pub fn parse(head: &[u8]) -> Result<Request, String> {
    let text = str::from_utf8(head).map_err(|_| "the request is not text")?;
    let text = text.strip_suffix("\r\n\r\n").unwrap_or(text);
    let mut lines = text.split("\r\n");
    // Neither a line's end of another kind nor a NUL.
    let is_odd = |c: char| c.is_control() && c != '\t';
    if lines.clone().any(|line| line.contains(is_odd)) {
        return Err("the request has control characters".into());
    }
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, version @ ("HTTP/1.1" | "HTTP/1.0")] = first[..] else {
        return Err("not a request of HTTP/1".into());
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err("not a method".into());
    }
    let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
    if method == "CONNECT" {
        let to = target.parse().map_err(|error| format!("{error}"))?;
        return Ok(Request::Tunnel(to));
    }
    let (to, path) = absolute(target)?;
    let lengths = |name: &str| fields.iter().filter(|(known, _)| known == name).count();
    if lengths("content-length") + lengths("transfer-encoding") > 1 {
        return Err("its body has more than one length".into());
    }
    // What `Connection` names is of this connection, too.
    let named: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name == "connection")
        .flat_map(|(_, value)| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let host = match to.port {
        80 => to.host.to_string(),
        _ => to.to_string(),
    };
    // The client's version: it is the one to understand the answer.
    let mut head = format!("{method} {path} {version}\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in &fields {
        let is_length = name == "content-length" || name == "transfer-encoding";
        let ends_here = HOP.contains(&name.as_str())
            || name.starts_with("proxy-")
            || named.contains(name) && !is_length;
        if !ends_here {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    Ok(Request::Forward {
        to,
        head: head.into_bytes(),
    })
}

/// A header: its name in lower case, and its value.
fn field(line: &str) -> Result<(String, &str), String> {
    match line.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.bytes().all(is_token) => {
            Ok((name.to_ascii_lowercase(), value.trim_matches([' ', '\t'])))
        }
        _ => Err("not a header".into()),
    }
}

/// What may stand in a method or in a header's name.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The destination and the path of `http://host[:port]/path`.
fn absolute(target: &str) -> Result<(Destination, String), String> {
    const SCHEME: &str = "http://";
    let scheme = target.get(..SCHEME.len());
    let (Some(scheme), Some(rest)) = (scheme, target.get(SCHEME.len()..)) else {
        return Err("the target has no http:// and host".into());
    };
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return Err("the target has no http:// and host".into());
    }
    if !rest.is_ascii() || rest.contains('#') {
        return Err("not a target".into());
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let has_port = match authority.rfind(']') {
        Some(at) => authority[at..].contains(':'),
        None => authority.contains(':'),
    };
    let authority = match has_port {
        true => authority.to_owned(),
        false => format!("{authority}:80"),
    };
    let to = authority.parse().map_err(|error| format!("{error}"))?;
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    Ok((to, path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(head: &str) -> Result<Request, String> {
        let head = head.replace('\n', "\r\n");
        assert_eq!(head_length(head.as_bytes()), Some(head.len()));
        parse(head.as_bytes())
    }

    fn forward(to: &str, head: &str) -> Request {
        Request::Forward {
            to: to.parse().unwrap(),
            head: head.replace('\n', "\r\n").into(),
        }
    }

    #[test]
    fn what_is_passed_on_is_written_anew() {
        let tunnel = read("CONNECT Git.example.:443 HTTP/1.1\nHost: other.example\n\n");
        let to = "git.example:443".parse().unwrap();
        assert_eq!(tunnel, Ok(Request::Tunnel(to)));
        let got = read(
            "POST HTTP://A.example/x?y=1 HTTP/1.0\nHost: b.example\nProxy-Authorization: x\n\
             Connection: keep-alive, X-Mine, content-length\nX-Mine: 1\nTE: trailers\n\
             Content-Length: 3\nAccept:  */* \n\n",
        );
        let expected = forward(
            "a.example:80",
            "POST /x?y=1 HTTP/1.0\nhost: a.example\nconnection: close\ncontent-length: 3\n\
             accept: */*\n\n",
        );
        assert_eq!(got, Ok(expected));
        for (target, to, first) in [
            ("http://a:81", "a:81", "GET / HTTP/1.1\nhost: a:81"),
            ("http://[::1]", "[::1]:80", "GET / HTTP/1.1\nhost: [::1]"),
            (
                "http://[::1]:8?q",
                "[::1]:8",
                "GET /?q HTTP/1.1\nhost: [::1]:8",
            ),
        ] {
            let got = read(&format!("GET {target} HTTP/1.1\n\n"));
            assert_eq!(
                got,
                Ok(forward(to, &format!("{first}\nconnection: close\n\n")))
            );
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let long = "a".repeat(300);
        for head in [
            "GET / HTTP/1.1\nHost: a\n\n",
            "GET https://a/ HTTP/1.1\n\n",
            "GET http://user@a/ HTTP/1.1\n\n",
            "GET http://a\0.b/ HTTP/1.1\n\n",
            "GET http://a/#b HTTP/1.1\n\n",
            "GET http:///x HTTP/1.1\n\n",
            "GET  http://a/ HTTP/1.1\n\n",
            "GET http://a/ HTTP/2\n\n",
            "GET http://a/\n\n",
            "G(T http://a/ HTTP/1.1\n\n",
            "CONNECT a HTTP/1.1\n\n",
            "CONNECT a:443:80 HTTP/1.1\n\n",
            "CONNECT a\0.b:443 HTTP/1.1\n\n",
            "CONNECT http://a:443 HTTP/1.1\n\n",
            &format!("CONNECT {long}:443 HTTP/1.1\n\n"),
            "GET http://a/ HTTP/1.1\nX : y\n\n",
            "GET http://a/ HTTP/1.1\nX: y\n folded\n\n",
            "GET http://a/ HTTP/1.1\nX: y\rZ: a\n\n",
            "GET http://a/ HTTP/1.1\nnone\n\n",
            "GET http://a/ HTTP/1.1\nContent-Length: 1\nContent-Length: 2\n\n",
            "GET http://a/ HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked\n\n",
        ] {
            assert!(read(head).is_err(), "{head:?}");
        }
        assert!(parse(b"GET http://a/ HTTP/1.1\nX: y\r\n\r\n").is_err());
        assert!(parse(b"GET http://a/\xff HTTP/1.1\r\n\r\n").is_err());
        assert_eq!(head_length(b"GET http://a/ HTTP/1.1\r\n\r"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_rewritten_head_is_one(path in "[!-~]{0,20}", value in "[ -~\u{80}-\u{ff}\r\n]{0,20}") {
            let head = format!("GET http://a.example/{path} HTTP/1.1\r\nX: {value}\r\n\r\n");
            if let Ok(Request::Forward { head, .. }) = parse(head.as_bytes()) {
                prop_assert_eq!(head_length(&head), Some(head.len()));
            }
        }
    }
}
