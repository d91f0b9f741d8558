//! How a turn ends: the process exit code and the word in `done.reason`.

use serde::{Deserialize, Serialize};

/// Exit status of a turn, and of the process that ran it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Exit {
    Done,
    Internal,
    Usage,
    Bundle,
    Limit,
    Refused,
    Interrupted,
}

impl Exit {
    pub const ALL: [Self; 7] = [
        Self::Done,
        Self::Internal,
        Self::Usage,
        Self::Bundle,
        Self::Limit,
        Self::Refused,
        Self::Interrupted,
    ];

    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::Bundle => 3,
            Self::Limit => 4,
            Self::Refused => 5,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for u8 {
    fn from(exit: Exit) -> Self {
        exit.code()
    }
}

impl TryFrom<u8> for Exit {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|exit| exit.code() == code)
            .ok_or_else(|| format!("{code} is not an exit code of ours"))
    }
}

/// Why a turn ended; finer than the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    Done,
    /// Done, but a permission was refused on the way.
    Refused,
    MaxTokens,
    Steps,
    RepeatedCall,
    MalformedCalls,
    Context,
    Loop,
    Interrupted,
    Failed,
    /// No turn was run: the bundle can't be used.
    Bundle,
    /// No turn was run: the request makes no sense.
    Usage,
}

impl Reason {
    pub fn exit(self) -> Exit {
        match self {
            Self::Done => Exit::Done,
            Self::Refused => Exit::Refused,
            Self::MaxTokens
            | Self::Steps
            | Self::RepeatedCall
            | Self::MalformedCalls
            | Self::Context
            | Self::Loop => Exit::Limit,
            Self::Interrupted => Exit::Interrupted,
            Self::Failed => Exit::Internal,
            Self::Bundle => Exit::Bundle,
            Self::Usage => Exit::Usage,
        }
    }

    /// The word in `done.reason`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::MaxTokens => "max_tokens",
            Self::Steps => "steps",
            Self::RepeatedCall => "repeated_call",
            Self::MalformedCalls => "malformed_calls",
            Self::Context => "context",
            Self::Loop => "loop",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Bundle => "bundle",
            Self::Usage => "usage",
        }
    }
}
