//! What a person may choose, and what follows from it and the bundle.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::machine::Limits;
use super::session::Chosen;
use crate::bundle::{Persona, ThinkingSupport};
use crate::chat::Thinking;
use crate::generate::Sampling;

/// Reasoning tokens after which the model is made to answer.
pub const THINKING_BUDGET: usize = 1024;

/// Choices; `None` leaves it to the bundle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Folder that the tools work in.
    pub workspace: PathBuf,
    pub seed: Option<u64>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<usize>,
    pub min_p: Option<f32>,
    /// Tokens the model may write in one turn.
    pub max_tokens: Option<usize>,
    /// Answers of the model in one turn.
    pub max_steps: Option<usize>,
    /// Hundredths of the context from which on room is made.
    pub compact_at: Option<usize>,
    pub thinking: Option<Thinking>,
    pub calls: Option<Calls>,
}

/// How tool calls are sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calls {
    /// Held to the grammar of the tools that are offered.
    #[default]
    Constrained,
    /// As the model has it.
    Free,
}

impl Settings {
    /// A small model is decoded greedily; for others there are no official
    /// values, these are ours: warmer where the model reasons first.
    pub fn sampling(&self, persona: Option<&Persona>, thinking: Thinking, seed: u64) -> Sampling {
        let (temperature, top_p) = match (persona, thinking) {
            (Some(_), _) => (0.0, 1.0),
            (None, Thinking::On) => (1.0, 0.95),
            (None, Thinking::Off) => (0.6, 0.95),
        };
        Sampling {
            temperature: self.temperature.unwrap_or(temperature),
            top_k: self.top_k.unwrap_or(0),
            top_p: self.top_p.unwrap_or(top_p),
            min_p: self.min_p.unwrap_or(0.0),
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            seed,
        }
    }

    /// What a session has in force, and over that what was chosen now.
    pub fn over(&self, kept: &Chosen) -> Chosen {
        let sampling = &kept.sampling;
        Chosen {
            sampling: Sampling {
                temperature: self.temperature.unwrap_or(sampling.temperature),
                top_k: self.top_k.unwrap_or(sampling.top_k),
                top_p: self.top_p.unwrap_or(sampling.top_p),
                min_p: self.min_p.unwrap_or(sampling.min_p),
                seed: self.seed.unwrap_or(sampling.seed),
                ..sampling.clone()
            },
            thinking: self.thinking.unwrap_or(kept.thinking),
            limits: Limits {
                steps: self.max_steps.unwrap_or(kept.limits.steps),
                turn_tokens: self.max_tokens.unwrap_or(kept.limits.turn_tokens),
                compact_at: self.compact_at.unwrap_or(kept.limits.compact_at),
                ..kept.limits.clone()
            },
            calls: self.calls.unwrap_or(kept.calls),
        }
    }

    /// A persona's reply length is a ceiling, not a default.
    pub fn limits(&self, persona: Option<&Persona>) -> Limits {
        let limits = Limits::default();
        Limits {
            steps: self.max_steps.unwrap_or(limits.steps),
            turn_tokens: self.max_tokens.unwrap_or(limits.turn_tokens),
            compact_at: self.compact_at.unwrap_or(limits.compact_at),
            reply_tokens: persona.map_or(limits.reply_tokens, |p| p.max_tokens.max(1)),
            ..limits
        }
    }
}

/// What a bundle does when nobody chose.
pub fn default_thinking(support: ThinkingSupport) -> Thinking {
    match support {
        ThinkingSupport::Default => Thinking::On,
        ThinkingSupport::Optional | ThinkingSupport::None => Thinking::Off,
    }
}

/// A seed nobody chose: small enough to be typed.
pub fn draw_seed() -> u64 {
    u64::from(RandomState::new().build_hasher().finish() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn persona() -> Persona {
        Persona {
            notice: String::new(),
            system_prompt: String::new(),
            tools: Vec::new(),
            context: 3000,
            max_tokens: 300,
        }
    }

    #[test]
    fn choices_beat_defaults_and_a_persona_caps_the_reply() {
        let chosen = Settings {
            temperature: Some(0.5),
            max_tokens: Some(50),
            ..Settings::default()
        };
        let sampling = chosen.sampling(Some(&persona()), Thinking::On, 7);
        assert_eq!((sampling.temperature, sampling.top_p), (0.5, 1.0));
        assert_eq!(sampling.seed, 7);
        let limits = chosen.limits(Some(&persona()));
        assert_eq!((limits.reply_tokens, limits.turn_tokens), (300, 50));

        let default = Settings::default();
        let small = persona();
        let at = |persona, thinking| {
            let sampling = default.sampling(persona, thinking, 0);
            (sampling.temperature, sampling.top_p)
        };
        assert_eq!(at(Some(&small), Thinking::On), (0.0, 1.0));
        assert_eq!(at(None, Thinking::On), (1.0, 0.95));
        assert_eq!(at(None, Thinking::Off), (0.6, 0.95));
    }
}
