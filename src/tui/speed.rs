//! How fast tokens come, over the last few of them.

use std::collections::VecDeque;
use std::time::Instant;

/// Tokens that the rate is taken over.
const WINDOW: usize = 32;

#[derive(Clone, Debug, Default)]
pub struct Speed {
    times: VecDeque<Instant>,
    /// The last rate of the answer before.
    last: Option<f64>,
}

impl Speed {
    /// Another answer begins.
    pub fn begin(&mut self) {
        self.last = self.rate();
        self.times.clear();
    }

    pub fn token(&mut self, now: Instant) {
        if self.times.len() > WINDOW {
            self.times.pop_front();
        }
        self.times.push_back(now);
    }

    /// Tokens a second.
    pub fn rate(&self) -> Option<f64> {
        let (first, last) = (self.times.front()?, self.times.back()?);
        let seconds = last.duration_since(*first).as_secs_f64();
        match seconds > 0.0 {
            true => Some((self.times.len() - 1) as f64 / seconds),
            false => self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_rate_is_that_of_the_last_tokens() {
        let start = Instant::now();
        let mut speed = Speed::default();
        assert_eq!(speed.rate(), None);
        for at in 0..100u64 {
            // Slow ones first, which do not count any more at the end.
            let millis = if at < 50 {
                at * 1000
            } else {
                50_000 + at * 100
            };
            speed.token(start + Duration::from_millis(millis));
        }
        assert_eq!(speed.rate(), Some(10.0));
        speed.begin();
        assert_eq!(speed.rate(), None);
    }
}
