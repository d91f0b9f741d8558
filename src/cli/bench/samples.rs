//! Repeated measurements of one thing: the median is the result, the extremes
//! say how far to trust it.

use serde::Serialize;

#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

/// How far repeats of a measurement lay apart, in its own unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub min: f64,
    pub max: f64,
    pub repeats: usize,
}

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The middle one, or the mean of the two in the middle; 0 of nothing.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let half = sorted.len() / 2;
        match sorted.len() {
            0 => 0.0,
            len if len % 2 == 1 => sorted[half],
            _ => (sorted[half - 1] + sorted[half]) / 2.0,
        }
    }

    pub fn spread(&self) -> Spread {
        let value = |pick: fn(f64, f64) -> f64| self.0.iter().copied().reduce(pick);
        Spread {
            min: value(f64::min).unwrap_or(0.0),
            max: value(f64::max).unwrap_or(0.0),
            repeats: self.len(),
        }
    }
}

impl Spread {
    /// Half of what lies between the extremes, in percent of the middle.
    pub fn percent(&self) -> f64 {
        let sum = self.min + self.max;
        match sum > 0.0 {
            true => 100.0 * (self.max - self.min) / sum,
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let mut samples = Samples::default();
        assert_eq!(samples.median(), 0.0);
        for value in [9.0, 11.0, 1.0] {
            samples.push(value);
        }
        assert_eq!(samples.median(), 9.0);
        samples.push(10.0);
        assert_eq!(samples.median(), 9.5);
        let spread = samples.spread();
        assert_eq!((spread.min, spread.max, spread.repeats), (1.0, 11.0, 4));
        assert!((spread.percent() - 1000.0 / 12.0).abs() < 1e-9);
    }
}
