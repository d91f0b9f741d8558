//! What of the network commands reach. The values are ordered by inclusion, and two
//! of them meet in what both allow, so that a layer can only take away. Flags,
//! settings and plans name a value by the same words.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What of the network commands reach, from nothing upwards. As text: `off`,
/// `loopback`, or destinations separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Network {
    #[default]
    Off,
    /// A loopback of the command's own, which leads nowhere else.
    Loopback,
    /// That, and these destinations by a relay.
    Hosts(Destinations),
}

/// Destinations, of which there is at least one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destinations(BTreeSet<Destination>);

/// One port of one host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    pub host: Host,
    /// Not 0.
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// In lower case, without a dot at the end.
    Name(String),
    Address(IpAddr),
}

/// Why a text says nothing about the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {why}")]
pub struct NotANetwork {
    text: String,
    why: &'static str,
}

impl NotANetwork {
    fn new(text: &str, why: &'static str) -> Self {
        const SHOWN: usize = 80;
        let text = text.chars().take(SHOWN).collect();
        Self { text, why }
    }
}

const ALONE: &str = "`off` stands alone: nothing else is reached";
const FORM: &str = "not a destination; write HOST:PORT, off or loopback";
const PORT: &str = "the port is a number from 1 to 65535";
const NAME: &str = "not a host's name; it has letters, digits, `-` and dots";
const FOUR: &str = "not an IPv4 address; it has four numbers";
const SIX: &str = "not an IPv6 address; it stands in brackets, as [::1]:443";

impl Network {
    /// What both allow.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Off, _) | (_, Self::Off) => Self::Off,
            (Self::Loopback, _) | (_, Self::Loopback) => Self::Loopback,
            (Self::Hosts(a), Self::Hosts(b)) => {
                let both: BTreeSet<Destination> = a.0.intersection(&b.0).cloned().collect();
                match both.is_empty() {
                    true => Self::Loopback,
                    false => Self::Hosts(Destinations(both)),
                }
            }
        }
    }

    /// Whether the other one allows all that this one does.
    pub fn is_within(&self, other: &Self) -> bool {
        self.meet(other) == *self
    }

    /// What several words of one and the same person mean together.
    ///
    /// # Errors
    /// When they contradict each other.
    pub fn together(words: &[Self]) -> Result<Self, NotANetwork> {
        let mut hosts = BTreeSet::new();
        for word in words {
            match word {
                Self::Off if words.iter().any(|other| *other != Self::Off) => {
                    return Err(NotANetwork::new("off", ALONE));
                }
                Self::Off | Self::Loopback => {}
                Self::Hosts(more) => hosts.extend(more.0.iter().cloned()),
            }
        }
        Ok(match words.first() {
            _ if !hosts.is_empty() => Self::Hosts(Destinations(hosts)),
            None | Some(Self::Off) => Self::Off,
            Some(_) => Self::Loopback,
        })
    }

    /// What is reached by the relay, if anything is.
    pub fn hosts(&self) -> Option<&Destinations> {
        match self {
            Self::Off | Self::Loopback => None,
            Self::Hosts(hosts) => Some(hosts),
        }
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let word = |word: &str| match word {
            "off" => Ok(Self::Off),
            "loopback" => Ok(Self::Loopback),
            _ => {
                let destination = word.parse()?;
                Ok(Self::Hosts(Destinations(BTreeSet::from([destination]))))
            }
        };
        let words = text.split(',').map(|text| word(text.trim()));
        Self::together(&words.collect::<Result<Vec<_>, _>>()?)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Loopback => f.write_str("loopback"),
            Self::Hosts(hosts) => {
                for (at, destination) in hosts.0.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(f, "{comma}{destination}")?;
                }
                Ok(())
            }
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl Destinations {
    pub fn contains(&self, destination: &Destination) -> bool {
        self.0.contains(destination)
    }

    /// Whether this host is one of them, at whatever port.
    pub fn has_host(&self, host: &Host) -> bool {
        self.0.iter().any(|known| known.host == *host)
    }
}

impl FromStr for Destination {
    type Err = NotANetwork;

    /// `HOST:PORT`: a name, an IPv4 address, or an IPv6 address in brackets.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let not = |why| NotANetwork::new(text, why);
        let (host, port) = text.rsplit_once(':').ok_or_else(|| not(FORM))?;
        let host = Host::parse(host).map_err(not)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits && port > 0 => Ok(Self { host, port }),
            _ => Err(not(PORT)),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const MOST_NAME: usize = 253;
        const MOST_LABEL: usize = 63;
        if let Some(inner) = text.strip_prefix('[') {
            let address = inner.strip_suffix(']').ok_or(SIX)?;
            let address: Ipv6Addr = address.parse().map_err(|_| SIX)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if text.contains(':') {
            return Err(SIX);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        // Resolvers take such names for addresses, in forms that nobody expects.
        let numeric = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        if numeric || last.starts_with("0x") {
            let address: Ipv4Addr = name.parse().map_err(|_| FOUR)?;
            return Ok(Self::Address(address.into()));
        }
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=MOST_LABEL).contains(&label.len())
                && label.bytes().all(plain)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        match name.len() <= MOST_NAME && name.split('.').all(is_label) {
            true => Ok(Self::Name(name)),
            false => Err(NAME),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few destinations, so that sets of them often have some in common.
    pub fn network() -> impl Strategy<Value = Network> {
        const SOME: [&str; 4] = ["a.example:443", "b.example:443", "b.example:80", "[::1]:80"];
        let hosts = proptest::sample::subsequence(SOME.to_vec(), 1..=SOME.len());
        prop_oneof![
            Just(Network::Off),
            Just(Network::Loopback),
            hosts.prop_map(|words| words.join(",").parse().unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn meet_is_one(a in network(), b in network(), c in network()) {
            prop_assert_eq!(a.meet(&b), b.meet(&a));
            prop_assert_eq!(a.meet(&b).meet(&c), a.meet(&b.meet(&c)));
            prop_assert_eq!(a.meet(&a), a.clone());
            prop_assert!(a.meet(&b).is_within(&a) && a.meet(&b).is_within(&b));
            // The greatest of what is within both.
            prop_assert!(!(c.is_within(&a) && c.is_within(&b)) || c.is_within(&a.meet(&b)));
        }

        #[test]
        fn text_and_value_are_one(network in network()) {
            prop_assert_eq!(network.to_string().parse(), Ok(network.clone()));
            let json = serde_json::to_string(&network).unwrap();
            prop_assert_eq!(json.clone(), format!("\"{network}\""));
            prop_assert_eq!(serde_json::from_str::<Network>(&json).unwrap(), network);
        }

        #[test]
        fn any_text_is_taken_or_refused_in_one_line(text in any::<String>()) {
            if let Err(error) = text.parse::<Network>() {
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }

    #[test]
    fn destinations_have_one_form() {
        for (text, expected) in [
            ("GitHub.com.:443", "github.com:443"),
            ("localhost:1", "localhost:1"),
            ("my_host-1:65535", "my_host-1:65535"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[0:0::1]:80", "[::1]:80"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"),
        ] {
            assert_eq!(text.parse::<Destination>().unwrap().to_string(), expected);
        }
        let text = "b.example:2, a.example:1,b.example:2";
        let network: Network = text.parse().unwrap();
        assert_eq!(network.to_string(), "a.example:1,b.example:2");
    }

    #[test]
    fn what_is_no_destination_says_why() {
        let long = format!("{}.example:1", "a".repeat(64));
        for (text, why) in [
            ("", FORM),
            ("github.com", FORM),
            ("on", FORM),
            ("github.com:", PORT),
            ("github.com:0", PORT),
            ("github.com:65536", PORT),
            ("github.com:+443", PORT),
            ("github.com:https", PORT),
            (":443", NAME),
            ("a..b:1", NAME),
            ("..:1", NAME),
            ("-a:1", NAME),
            ("*.github.com:443", NAME),
            ("git\0hub.com:443", NAME),
            ("a b:1", NAME),
            ("user@host:1", NAME),
            ("http://a:1", SIX),
            ("b\u{fc}cher.example:1", NAME),
            (&long, NAME),
            ("127.1:80", FOUR),
            ("2130706433:80", FOUR),
            ("0x7f000001:80", FOUR),
            ("0177.0.0.1:80", FOUR),
            ("1.2.3.4.5:80", FOUR),
            ("::1:80", SIX),
            ("[::1:80", SIX),
            ("[fe80::1%eth0]:80", SIX),
            ("[127.0.0.1]:80", SIX),
        ] {
            let error = text.parse::<Destination>().unwrap_err();
            assert_eq!(error.why, why, "{text:?}");
        }
        for text in ["off,a:1", "loopback,off"] {
            assert_eq!(text.parse::<Network>().unwrap_err().why, ALONE);
        }
        let both = "loopback,a:1".parse::<Network>().unwrap();
        assert_eq!(both.to_string(), "a:1");
    }
}
