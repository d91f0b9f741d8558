//! Numbers that have bounds; those of settings are in the table of settings.

use crate::config::settings::{Setting, Value};

pub(super) fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number".into()),
    }
}

/// What the table of settings says of a value.
fn setting(key: &str, text: &str) -> Result<Value, String> {
    let setting = Setting::find(key).ok_or("there is no such setting")?;
    setting.kind.parse(text)
}

fn real(key: &str, text: &str) -> Result<f32, String> {
    match setting(key, text)? {
        Value::Real(number) => Ok(number as f32),
        _ => Err("must be a number".into()),
    }
}

pub(super) fn threads(text: &str) -> Result<usize, String> {
    match setting("threads", text)? {
        Value::Whole(number) => Ok(number as usize),
        _ => Err("must be a whole number".into()),
    }
}

/// More sequences than anybody runs at once.
const MOST_SEQUENCES: usize = 256;

pub(super) fn sequences(text: &str) -> Result<usize, String> {
    positive(text).and_then(|number| match number {
        1..=MOST_SEQUENCES => Ok(number),
        _ => Err(format!("must be at most {MOST_SEQUENCES}")),
    })
}

pub(super) fn temperature(text: &str) -> Result<f32, String> {
    real("temperature", text)
}

pub(super) fn top_p(text: &str) -> Result<f32, String> {
    real("top_p", text)
}

pub(super) fn min_p(text: &str) -> Result<f32, String> {
    real("min_p", text)
}
