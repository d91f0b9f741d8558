//! Numbers that have bounds.

pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number".into()),
    }
}

/// More threads than any machine has cores only wait for each other.
const MOST_THREADS: usize = 256;

pub(super) fn threads(text: &str) -> Result<usize, String> {
    positive(text).and_then(|number| match number {
        1..=MOST_THREADS => Ok(number),
        _ => Err(format!("must be at most {MOST_THREADS}")),
    })
}

/// More sequences than anybody runs at once.
const MOST_SEQUENCES: usize = 256;

pub(super) fn sequences(text: &str) -> Result<usize, String> {
    positive(text).and_then(|number| match number {
        1..=MOST_SEQUENCES => Ok(number),
        _ => Err(format!("must be at most {MOST_SEQUENCES}")),
    })
}

fn number(text: &str, fits: impl Fn(f32) -> bool, wanted: &str) -> Result<f32, String> {
    text.parse()
        .ok()
        .filter(|&value: &f32| value.is_finite() && fits(value))
        .ok_or_else(|| format!("must be {wanted}"))
}

pub(super) fn temperature(text: &str) -> Result<f32, String> {
    number(text, |t| t >= 0.0, "a number of at least 0")
}

pub(super) fn top_p(text: &str) -> Result<f32, String> {
    number(text, |p| p > 0.0 && p <= 1.0, "above 0 and at most 1")
}

pub(super) fn min_p(text: &str) -> Result<f32, String> {
    number(text, |p| (0.0..1.0).contains(&p), "at least 0 and below 1")
}
