//! The experts that tokens took, a column per layer, and how a span of tokens spread
//! over them.

use super::chunks::Chunks;

/// Where a token has no expert.
const NONE: u16 = u16::MAX;
const NARROW_NONE: u8 = u8::MAX;

/// The expert of each layer for every token: a byte each while the numbers allow it.
#[derive(Clone, Debug)]
pub enum Routes {
    /// Tokens without any so far.
    Without(usize),
    Narrow(Chunks<u8>, usize),
    Wide(Chunks<u16>, usize),
}

impl Default for Routes {
    fn default() -> Self {
        Self::Without(0)
    }
}

impl Routes {
    /// The next token's. The first that has any says how many layers there are.
    pub fn push(&mut self, experts: &[u16]) {
        if let Self::Without(tokens) = self {
            if experts.is_empty() {
                *tokens += 1;
                return;
            }
            let mut rows = Chunks::new(experts.len());
            (0..*tokens).for_each(|_| rows.push([], NARROW_NONE));
            *self = Self::Narrow(rows, experts.len());
        }
        let wide = experts.iter().any(|&one| one >= u16::from(NARROW_NONE));
        if let Self::Narrow(rows, layers) = self
            && wide
        {
            let mut widened = Chunks::new(*layers);
            for token in 0..rows.len() {
                widened.push(rows.row(token).iter().map(|one| widen(*one)), NONE);
            }
            *self = Self::Wide(widened, *layers);
        }
        match self {
            Self::Without(_) => {}
            Self::Narrow(rows, _) => {
                let narrow = |&one: &u16| u8::try_from(one).unwrap_or(NARROW_NONE);
                rows.push(experts.iter().map(narrow), NARROW_NONE);
            }
            Self::Wide(rows, _) => rows.push(experts.iter().copied(), NONE),
        }
    }

    /// Layers of a token.
    pub fn layers(&self) -> usize {
        match self {
            Self::Without(_) => 0,
            Self::Narrow(_, layers) | Self::Wide(_, layers) => *layers,
        }
    }

    /// The experts of a token, first layer first; none where it has none.
    pub fn of(&self, token: usize) -> impl Iterator<Item = u16> + '_ {
        let (narrow, wide): (&[u8], &[u16]) = match self {
            Self::Without(_) => (&[], &[]),
            Self::Narrow(rows, _) => (rows.row(token), &[]),
            Self::Wide(rows, _) => (&[], rows.row(token)),
        };
        let narrow = narrow.iter().map(|one| widen(*one));
        let all = narrow.chain(wide.iter().copied());
        all.filter(|one| *one != NONE)
    }

    pub fn seal(&mut self) {
        match self {
            Self::Without(_) => {}
            Self::Narrow(rows, _) => rows.seal(),
            Self::Wide(rows, _) => rows.seal(),
        }
    }

    /// Memory that they have, in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Without(_) => 0,
            Self::Narrow(rows, _) => rows.bytes(),
            Self::Wide(rows, _) => rows.bytes(),
        }
    }
}

fn widen(narrow: u8) -> u16 {
    match narrow {
        NARROW_NONE => NONE,
        expert => u16::from(expert),
    }
}

/// How the choices of a span of tokens spread.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Load {
    /// Choices of each expert; the last one counts what was skipped.
    pub chosen: Vec<usize>,
    /// All choices: tokens times layers.
    pub total: usize,
    /// For each token but the first, layers that took another expert than for the one
    /// before it.
    pub switches: Vec<usize>,
}

impl Load {
    /// Of the tokens `from..to`, where there are `experts` experts; a greater number
    /// means that the layer was skipped.
    pub fn of(routes: &Routes, (from, to): (usize, usize), experts: usize) -> Self {
        let mut load = Self {
            chosen: vec![0; experts + 1],
            ..Self::default()
        };
        let mut before: Vec<u16> = Vec::new();
        for token in from..to {
            let now: Vec<u16> = routes.of(token).collect();
            for one in &now {
                load.chosen[usize::from(*one).min(experts)] += 1;
            }
            load.total += now.len();
            if token > from {
                let changed = before.iter().zip(&now).filter(|(a, b)| a != b);
                load.switches.push(changed.count());
            }
            before = now;
        }
        load
    }

    /// Layers that changed from a token to the next, on average.
    pub fn mean_switches(&self) -> f64 {
        let sum: usize = self.switches.iter().sum();
        sum as f64 / self.switches.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_are_kept_whatever_their_numbers() {
        let mut routes = Routes::default();
        let rows: [&[u16]; 5] = [&[], &[1, 2, 16], &[254, 0, 3], &[255, 300, 7], &[5]];
        for row in rows {
            routes.push(row);
        }
        let read: Vec<Vec<u16>> = (0..5).map(|token| routes.of(token).collect()).collect();
        assert_eq!(read, rows);
        assert_eq!(routes.layers(), 3);
        assert!(matches!(routes, Routes::Wide(..)));
        assert_eq!(routes.of(5).count(), 0);
    }

    #[test]
    fn the_load_of_a_span_is_counted() {
        let mut routes = Routes::default();
        for row in [[0, 1, 2], [0, 1, 1], [2, 0, 1]] {
            routes.push(&row);
        }
        let load = Load::of(&routes, (0, 3), 2);
        let expected = Load {
            chosen: vec![3, 4, 2],
            total: 9,
            switches: vec![1, 2],
        };
        assert_eq!(load, expected);
        assert_eq!(load.mean_switches(), 1.5);
        assert_eq!(Load::of(&routes, (1, 1), 2).mean_switches(), 0.0);
    }
}
