//! Whether a bundle fits this machine's memory: its weights, and keys and values of
//! a context beside them.

use crate::bundle::Glance;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Bytes of weights.
    pub weights: Option<u64>,
    /// Bytes of keys and values.
    pub kv: Option<u64>,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Yes,
    /// Little is left for anything else.
    Tight,
    No,
    /// It can't be used, or the system does not say what is available.
    Unknown,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Tight => "tight",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl Fit {
    pub fn of(glance: Option<&Glance>, context: usize, available: Option<u64>) -> Self {
        let Some(glance) = glance else {
            return Self {
                weights: None,
                kv: None,
                verdict: Verdict::Unknown,
            };
        };
        let tokens = context.min(glance.context) as u64;
        let kv = glance.kv_bytes.saturating_mul(tokens);
        let need = glance.bytes.saturating_add(kv);
        let verdict = match available {
            None => Verdict::Unknown,
            Some(available) if need > available => Verdict::No,
            // A tenth is soon needed by something else.
            Some(available) if need > available - available / 10 => Verdict::Tight,
            Some(_) => Verdict::Yes,
        };
        Self {
            weights: Some(glance.bytes),
            kv: Some(kv),
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_and_context_have_to_fit() {
        let glance = Glance {
            format: "mxtq",
            bytes: 800,
            context: 20,
            kv_bytes: 5,
        };
        let verdict = |context, available| Fit::of(Some(&glance), context, available).verdict;
        assert_eq!(verdict(10, Some(1000)), Verdict::Yes);
        assert_eq!(verdict(20, Some(1001)), Verdict::Yes);
        assert_eq!(verdict(20, Some(950)), Verdict::Tight);
        assert_eq!(verdict(20, Some(899)), Verdict::No);
        assert_eq!(
            verdict(1_000_000, Some(950)),
            Verdict::Tight,
            "its context is 20"
        );
        assert_eq!(verdict(20, None), Verdict::Unknown);
        assert_eq!(Fit::of(None, 20, Some(1)).verdict, Verdict::Unknown);
    }
}
