//! How unsure the model was of a token, in five levels: thresholds, marks and looks in
//! one table.

use crate::tui::theme::Role;

use super::store::Trace;

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Measure {
    /// How open the choice was.
    #[default]
    Entropy,
    /// How unlikely the token was that was chosen: minus its log-probability.
    Surprise,
}

impl Measure {
    pub fn other(self) -> Self {
        match self {
            Self::Entropy => Self::Surprise,
            Self::Surprise => Self::Entropy,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Entropy => "entropy",
            Self::Surprise => "surprise",
        }
    }

    /// Nats of a token.
    pub fn of(self, trace: &Trace, token: usize) -> f32 {
        match self {
            Self::Entropy => trace.entropy(token),
            Self::Surprise => -trace.logprob(token),
        }
    }

    /// The level of so many nats; what is no number is the hottest.
    pub fn level(self, nats: f32) -> usize {
        let from = |level: &Level| match self {
            Self::Entropy => level.entropy,
            Self::Surprise => level.surprise,
        };
        let above = LEVELS
            .iter()
            .skip(1)
            .take_while(|one| nats.is_nan() || nats >= from(one));
        above.count()
    }

    /// The level of a token.
    pub fn level_of(self, trace: &Trace, token: usize) -> usize {
        self.level(self.of(trace, token))
    }

    /// Nats from which on a level counts.
    pub fn from(self, level: usize) -> f32 {
        LEVELS.get(level).map_or(0.0, |one| match self {
            Self::Entropy => one.entropy,
            Self::Surprise => one.surprise,
        })
    }
}

/// One level.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// Nats from which on a token is of it.
    entropy: f32,
    surprise: f32,
    /// Says it without colour.
    pub mark: char,
    pub role: Role,
}

const fn level(entropy: f32, surprise: f32, mark: char, role: Role) -> Level {
    Level {
        entropy,
        surprise,
        mark,
        role,
    }
}

pub const LEVELS: [Level; 5] = [
    level(0.0, 0.0, ' ', Role::Heat0),
    level(0.1, 0.1, '·', Role::Heat1),
    level(0.5, 0.7, '-', Role::Heat2),
    level(1.2, 1.6, '=', Role::Heat3),
    level(2.2, 3.0, '#', Role::Heat4),
];

/// Levels from this on are what "uncertain" means.
pub const UNCERTAIN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::theme::Theme;

    #[test]
    fn levels_rise_and_differ_in_every_theme() {
        let entropy = [0.0, 0.099, 0.1, 0.6, 1.2, 2.2, 9.0, f32::NAN];
        let levels = entropy.map(|nats| Measure::Entropy.level(nats));
        assert_eq!(levels, [0, 0, 1, 2, 3, 4, 4, 4]);
        assert_eq!(Measure::Surprise.level(2.2), 3);
        for measure in [Measure::Entropy, Measure::Surprise] {
            for level in 0..LEVELS.len() {
                assert_eq!(measure.level(measure.from(level)), level);
            }
        }
        for (at, one) in LEVELS.iter().enumerate() {
            for other in &LEVELS[..at] {
                assert_ne!(one.mark, other.mark);
                for theme in [Theme::Colour, Theme::Light, Theme::Plain] {
                    assert_ne!(theme.style(one.role), theme.style(other.role));
                }
            }
        }
    }
}
