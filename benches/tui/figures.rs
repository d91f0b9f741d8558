//! What was measured, with its limits, as lines or as one object.

use std::time::{Duration, Instant};

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

    /// Frames: the limit is for all but one in a hundred. Those that another program
    /// interrupted only count where there are no others.
    pub fn add_frames(&mut self, name: &str, samples: Vec<Sample>, limit: Option<f64>) {
        let whole = samples.iter().filter(|sample| !sample.interrupted);
        let mut times: Vec<Duration> = whole.map(|sample| sample.took).collect();
        let left_out = match times.len() {
            0 => 0,
            whole => samples.len() - whole,
        };
        if times.is_empty() {
            times = samples.iter().map(|sample| sample.took).collect();
        }
        let [median, p99, max] = [0.5, 0.99, 1.0].map(|share| milliseconds(share, &times));
        let more = format!(
            ", median {median:.2}, max {max:.2}, {} frames, {left_out} left out",
            times.len()
        );
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

/// How long something took.
#[derive(Clone, Copy)]
pub struct Sample {
    took: Duration,
    /// Another program had the processor meanwhile.
    interrupted: bool,
}

pub fn sample(work: impl FnOnce() -> Result<(), String>) -> Result<Sample, String> {
    // So that what is left of this turn on the processor is as much as can be.
    std::thread::yield_now();
    let before = interruptions();
    let start = Instant::now();
    work()?;
    let took = start.elapsed();
    let interrupted = before != interruptions();
    Ok(Sample { took, interrupted })
}

/// How often this thread had to make way for another, where the system says.
fn interruptions() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let key = "nonvoluntary_ctxt_switches:";
    let count = status.lines().find_map(|line| line.strip_prefix(key))?;
    count.trim().parse().ok()
}

/// The time that this share of `times` does not exceed.
pub fn milliseconds(share: f64, times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().saturating_sub(1);
    let at = (last as f64 * share).ceil() as usize;
    sorted.get(at).map_or(0.0, |time| 1e3 * time.as_secs_f64())
}
