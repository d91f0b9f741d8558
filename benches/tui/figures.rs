//! What was measured, with its limits, as lines or as one object.

use std::time::Duration;

use serde_json::{Map, Value, json};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Lines,
    Json,
}

pub struct Figures {
    form: Form,
    all: Map<String, Value>,
    missed: usize,
}

impl Figures {
    pub fn new(form: Form) -> Self {
        Self {
            form,
            all: Map::new(),
            missed: 0,
        }
    }

    /// A number; `limit` is what it should be below.
    pub fn add(&mut self, name: &str, value: f64, unit: &str, limit: Option<f64>) {
        self.keep(name, value, unit, limit, "");
    }

    /// Frames: the limit is for all but one in a hundred, as other programs run, too.
    pub fn add_frames(&mut self, name: &str, times: Vec<Duration>, limit: Option<f64>) {
        let [median, p99, max] = [0.5, 0.99, 1.0].map(|share| milliseconds(share, &times));
        let more = format!(", median {median:.2}, max {max:.2}, {} frames", times.len());
        self.keep(name, p99, "ms", limit, &more);
        if let Some(Value::Object(kept)) = self.all.get_mut(name) {
            kept.insert("median".into(), json!(median));
            kept.insert("max".into(), json!(max));
        }
    }

    fn keep(&mut self, name: &str, value: f64, unit: &str, limit: Option<f64>, more: &str) {
        let is_missed = limit.is_some_and(|limit| value >= limit);
        self.missed += usize::from(is_missed);
        let judged = match limit {
            Some(limit) if is_missed => format!("(limit {limit} {unit}: MISSED)"),
            Some(limit) => format!("(limit {limit} {unit})"),
            None => "(no limit)".to_owned(),
        };
        self.line(&format!("{name}: {value:.2} {unit}{more} {judged}"));
        let figure = json!({"value": value, "unit": unit, "limit": limit});
        self.all.insert(name.to_owned(), figure);
    }

    /// What could not be measured, and why.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.line(&format!("{name}: not measured, {why}"));
        self.all.insert(name.to_owned(), json!({"skipped": why}));
    }

    fn line(&self, line: &str) {
        if self.form == Form::Lines {
            println!("{line}");
        }
    }

    pub fn end(&self) {
        if self.form == Form::Json {
            println!("{:#}", Value::Object(self.all.clone()));
        }
    }

    pub fn are_kept(&self) -> bool {
        self.missed == 0
    }
}

/// The time that this share of `times` does not exceed.
pub fn milliseconds(share: f64, times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).ceil() as usize;
    sorted.get(at).map_or(0.0, |time| 1e3 * time.as_secs_f64())
}
