//! Values of settings: how each kind is written in a file, in a variable and after
//! a flag, which values fit, and how they are shown.

use std::fmt;
use std::path::PathBuf;

use toml::de::{DeArray, DeValue};

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Any one line of text.
    Name,
    /// A folder, or a name that `cairn models` lists.
    Model,
    Choice(&'static [&'static str]),
    Switch,
    Whole {
        least: u64,
        most: u64,
    },
    Real {
        least: Bound,
        most: Bound,
    },
    /// Bytes.
    Size,
    Folders,
    /// A rule of what may be done, which has a reader of its own and is never
    /// overridden, only tightened.
    Policy,
}

/// An end of a range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    None,
    Including(f64),
    Excluding(f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Switch(Switch),
    Whole(u64),
    Real(f64),
    Size(u64),
    Folders(Vec<PathBuf>),
}

/// Most characters of a text.
const MOST_TEXT: usize = 4096;
const MOST_FOLDERS: usize = 64;

impl Kind {
    /// What fits, after "must be".
    pub fn wanted(self) -> String {
        let bound = |words: [&str; 2], bound| match bound {
            Bound::None => None,
            Bound::Including(x) => Some(format!("{} {x}", words[0])),
            Bound::Excluding(x) => Some(format!("{} {x}", words[1])),
        };
        match self {
            Self::Name => "a word".into(),
            Self::Model => "a name or a folder".into(),
            Self::Choice(words) => match words {
                [a, b] => format!("{a} or {b}"),
                words => format!("one of {}", words.join(", ")),
            },
            Self::Switch => "on or off".into(),
            Self::Whole { least, most } if most == u64::MAX => match least {
                0 => "a whole number".into(),
                least => format!("a whole number of at least {least}"),
            },
            Self::Whole { least, most } => {
                format!("a whole number of at least {least} and at most {most}")
            }
            Self::Real { least, most } => {
                let ends: Vec<String> = [
                    bound(["at least", "above"], least),
                    bound(["at most", "below"], most),
                ]
                .into_iter()
                .flatten()
                .collect();
                match ends.len() {
                    1 => format!("a number of {}", ends[0]),
                    _ => ends.join(" and "),
                }
            }
            Self::Size => "a size such as \"20 GB\"".into(),
            Self::Folders => "a list of folders, each absolute or beginning with ~/".into(),
            Self::Policy => "a rule".into(),
        }
    }

    /// The value as a variable or a flag has it.
    ///
    /// # Errors
    /// With what fits, for what does not.
    pub fn parse(self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Folders => {
                let folders = text.split(':').filter(|one| !one.is_empty());
                folders
                    .map(folder)
                    .collect::<Option<Vec<_>>>()
                    .map(Value::Folders)
            }
            Self::Whole { .. } => text.parse().ok().map(Value::Whole),
            Self::Real { .. } => text.parse().ok().map(Value::Real),
            _ => self.read_text(text),
        };
        value
            .filter(|value| self.fits(value))
            .ok_or_else(|| self.refusal())
    }

    /// The value as a file has it.
    ///
    /// # Errors
    /// With what fits, for what does not.
    pub fn read(self, value: &DeValue<'_>) -> Result<Value, String> {
        let value = match (self, value) {
            (Self::Switch, DeValue::Boolean(true)) => Some(Value::Switch(Switch::On)),
            (Self::Switch, DeValue::Boolean(false)) => Some(Value::Switch(Switch::Off)),
            (Self::Whole { .. } | Self::Size, DeValue::Integer(number)) => {
                let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
                number.map(match self {
                    Self::Size => Value::Size,
                    _ => Value::Whole,
                })
            }
            (Self::Real { .. }, DeValue::Integer(number)) if number.radix() == 10 => {
                number.as_str().parse().ok().map(Value::Real)
            }
            (Self::Real { .. }, DeValue::Float(number)) => {
                number.as_str().parse().ok().map(Value::Real)
            }
            (Self::Folders, DeValue::Array(list)) => folders(list),
            (Self::Whole { .. } | Self::Real { .. } | Self::Folders, _) => None,
            (_, DeValue::String(text)) => self.read_text(text),
            _ => None,
        };
        value
            .filter(|value| self.fits(value))
            .ok_or_else(|| self.refusal())
    }

    fn refusal(self) -> String {
        format!("must be {}", self.wanted())
    }

    fn read_text(self, text: &str) -> Option<Value> {
        match self {
            Self::Switch => match text {
                "on" | "true" | "1" => Some(Value::Switch(Switch::On)),
                "off" | "false" | "0" => Some(Value::Switch(Switch::Off)),
                _ => None,
            },
            Self::Size => size(text).map(Value::Size),
            _ => Some(Value::Text(text.to_owned())),
        }
    }

    fn fits(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Choice(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Self::Name | Self::Model, Value::Text(text)) => {
                !text.trim().is_empty()
                    && text.len() <= MOST_TEXT
                    && !text.contains(char::is_control)
            }
            (Self::Whole { least, most }, Value::Whole(number)) => (least..=most).contains(number),
            (Self::Real { least, most }, Value::Real(number)) => {
                let above = match least {
                    Bound::None => true,
                    Bound::Including(x) => *number >= x,
                    Bound::Excluding(x) => *number > x,
                };
                let below = match most {
                    Bound::None => true,
                    Bound::Including(x) => *number <= x,
                    Bound::Excluding(x) => *number < x,
                };
                number.is_finite() && above && below
            }
            (Self::Folders, Value::Folders(list)) => list.len() <= MOST_FOLDERS,
            (Self::Switch, Value::Switch(_)) | (Self::Size, Value::Size(_)) => true,
            _ => false,
        }
    }
}

fn folders(list: &DeArray<'_>) -> Option<Value> {
    let folders = list.iter().map(|one| folder(one.get_ref().as_str()?));
    folders.collect::<Option<Vec<_>>>().map(Value::Folders)
}

/// A folder that is the same from wherever cairn is started.
fn folder(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(text);
    let named = path.is_absolute() || path.starts_with("~");
    (named && text.len() <= MOST_TEXT && !text.contains('\0')).then_some(path)
}

const UNITS: [(&str, u64); 7] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// "20 GB", "1.5 GiB", "512MB" or a number of bytes.
fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = text[digits.len()..].trim();
    if unit.is_empty() || unit == "B" {
        return digits.parse().ok();
    }
    let (_, bytes) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    let number: f64 = digits.parse().ok()?;
    let size = number * *bytes as f64;
    (0.0..1e18).contains(&size).then_some(size as u64)
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// As [`Kind::parse`] reads it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Switch(switch) => switch.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Real(number) => number.fmt(f),
            Self::Size(bytes) => {
                let unit = UNITS
                    .iter()
                    .find(|(_, unit)| *bytes >= *unit && bytes.is_multiple_of(*unit));
                match unit {
                    Some((name, unit)) => write!(f, "{} {name}", bytes / unit),
                    None => bytes.fmt(f),
                }
            }
            Self::Folders(list) => {
                let list: Vec<_> = list.iter().map(|one| one.to_string_lossy()).collect();
                f.write_str(&list.join(":"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANY: Kind = Kind::Whole {
        least: 1,
        most: 256,
    };
    const SHARE: Kind = Kind::Real {
        least: Bound::Excluding(0.0),
        most: Bound::Including(1.0),
    };

    #[test]
    fn values_are_read_and_what_does_not_fit_is_refused() {
        assert_eq!(ANY.parse("256"), Ok(Value::Whole(256)));
        for wrong in ["0", "257", "-1", "1.5", "", "x"] {
            let error = ANY.parse(wrong).unwrap_err();
            assert_eq!(
                error, "must be a whole number of at least 1 and at most 256",
                "{wrong}"
            );
        }
        assert_eq!(SHARE.parse("0.5"), Ok(Value::Real(0.5)));
        for wrong in ["0", "1.01", "NaN", "inf", ""] {
            let error = SHARE.parse(wrong).unwrap_err();
            assert_eq!(error, "must be above 0 and at most 1", "{wrong}");
        }
        assert_eq!(Kind::Switch.parse("off"), Ok(Value::Switch(Switch::Off)));
        assert!(Kind::Switch.parse("yes").is_err());
        let choice = Kind::Choice(&["text", "jsonl"]);
        assert_eq!(choice.parse("json").unwrap_err(), "must be text or jsonl");
        assert!(Kind::Model.parse("a\nb").is_err() && Kind::Model.parse(" ").is_err());
        let folders = Kind::Folders.parse("/a:~/b").unwrap();
        assert_eq!(folders, Value::Folders(vec!["/a".into(), "~/b".into()]));
        assert!(Kind::Folders.parse("/a:b").is_err());
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("20 GB", 20_000_000_000),
            ("1.5GiB", 3 << 29),
            ("7", 7),
            ("512 mb", 512_000_000),
        ] {
            assert_eq!(Kind::Size.parse(text), Ok(Value::Size(bytes)), "{text}");
        }
        for wrong in ["", "GB", "-1 GB", "1 XB", "9e99 GB", "1.5"] {
            assert!(Kind::Size.parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Value::Size(20_000_000_000).to_string(), "20 GB");
        assert_eq!(Value::Size(1 << 30).to_string(), "1 GiB");
        assert_eq!(Value::Size(0).to_string(), "0");
    }

    proptest! {
        /// What is shown is read as the same.
        #[test]
        fn shown_values_are_read_back(
            bytes in 0..(1u64 << 55), number in 0.0..1e9f64, whole in any::<u64>(),
        ) {
            let real = Kind::Real { least: Bound::None, most: Bound::None };
            let any = Kind::Whole { least: 0, most: u64::MAX };
            for (kind, value) in [
                (Kind::Size, Value::Size(bytes)),
                (Kind::Size, Value::Size(bytes >> 30 << 30)),
                (real, Value::Real(number)),
                (any, Value::Whole(whole)),
            ] {
                prop_assert_eq!(kind.parse(&value.to_string()), Ok(value));
            }
        }
    }
}
