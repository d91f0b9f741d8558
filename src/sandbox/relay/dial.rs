//! Connecting to a destination that is allowed. Looking up a name can't be broken off,
//! so it is done beside: who waits for it is free to leave.

use std::io::{self, PipeReader};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::addresses::is_public;
use crate::sandbox::network::{Destination, Destinations, Host};

/// For all addresses of a name together.
const PATIENCE: Duration = Duration::from_secs(15);
/// No more of them are tried.
const MOST_ADDRESSES: usize = 8;
/// At a time, in the whole process.
const MOST_DIALS: usize = 64;

static DIALS: AtomicUsize = AtomicUsize::new(0);

/// A connection on its way.
pub struct Dial {
    /// Closed when there is an answer.
    pub answered: PipeReader,
    answer: Receiver<Result<TcpStream, String>>,
}

impl Dial {
    pub fn start(to: Destination, allowed: Arc<Destinations>) -> io::Result<Self> {
        let place = Place::take().ok_or_else(|| io::Error::other("too many at a time"))?;
        let (answered, tell) = io::pipe()?;
        let (sender, answer) = mpsc::channel();
        let work = std::thread::Builder::new().name("relay-dial".into());
        work.spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(dial(&to, &allowed));
            drop((tell, place));
        })?;
        Ok(Self { answered, answer })
    }

    /// `None` until it is `answered`.
    pub fn answer(&self) -> Option<Result<TcpStream, String>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err("it could not be looked up".into())),
        }
    }
}

/// One of those that may dial.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let more = |taken| (taken < MOST_DIALS).then_some(taken + 1);
        let taken = DIALS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        DIALS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn dial(to: &Destination, allowed: &Destinations) -> Result<TcpStream, String> {
    let until = Instant::now() + PATIENCE;
    let mut addresses: Vec<SocketAddr> = match &to.host {
        Host::Address(address) => vec![(*address, to.port).into()],
        Host::Name(name) => (name.as_str(), to.port)
            .to_socket_addrs()
            .map_err(|error| format!("{to} can't be looked up: {error}"))?
            .collect(),
    };
    addresses.truncate(MOST_ADDRESSES);
    let mut why = format!("{to} has no address");
    let mut waiting = addresses.len() as u32;
    for address in addresses {
        // One that does not answer leaves some time to the others.
        let left = until.saturating_duration_since(Instant::now()) / waiting.max(1);
        waiting = waiting.saturating_sub(1);
        if !may_lead_to(to, address.ip(), allowed) {
            why = not_public(to, address);
            continue;
        }
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) if leads_back(&stream) && !is_named(to, address.ip(), allowed) => {
                why = not_public(to, address);
            }
            Ok(stream) => return Ok(stream),
            Err(error) => why = format!("{to} can't be reached: {error}"),
        }
    }
    Err(why)
}

fn not_public(to: &Destination, address: SocketAddr) -> String {
    format!(
        "{to} is {}, which is not a public address; the user allows it by --net {to},{address}",
        address.ip()
    )
}

fn may_lead_to(to: &Destination, address: IpAddr, allowed: &Destinations) -> bool {
    is_public(address) || is_named(to, address, allowed)
}

/// Whether the user has named this very address.
fn is_named(to: &Destination, address: IpAddr, allowed: &Destinations) -> bool {
    let address = address.to_canonical();
    match &to.host {
        Host::Address(named) => *named == address,
        Host::Name(name) if name == "localhost" && address.is_loopback() => true,
        Host::Name(_) => allowed.contains(&Destination {
            host: Host::Address(address),
            port: to.port,
        }),
    }
}

/// Whether both ends are this machine.
fn leads_back(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(here), Ok(there)) => here.ip() == there.ip(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::network::Network;

    #[test]
    fn a_name_leads_to_the_public_or_to_what_was_named() {
        let network: Network = "evil.example:80,localhost:80,10.0.0.1:80".parse().unwrap();
        let allowed = network.hosts().unwrap();
        let may = |to: &str, address: &str| {
            may_lead_to(&to.parse().unwrap(), address.parse().unwrap(), allowed)
        };
        assert!(may("evil.example:80", "1.1.1.1"));
        assert!(may("evil.example:80", "10.0.0.1"));
        assert!(may("evil.example:80", "::ffff:10.0.0.1"));
        assert!(!may("evil.example:81", "10.0.0.1"));
        assert!(!may("evil.example:80", "10.0.0.2"));
        assert!(!may("evil.example:80", "127.0.0.1"));
        assert!(!may("evil.example:80", "169.254.169.254"));
        assert!(may("localhost:80", "127.0.0.1") && may("localhost:80", "::1"));
        assert!(!may("localhost:80", "192.168.0.1"));
        assert!(may("10.0.0.1:80", "10.0.0.1"));
    }
}
