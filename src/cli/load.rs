//! Opening a bundle and loading its model, with a word to the user when that
//! takes long.

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use super::chosen::Chosen;
use super::setup::Failure;
use super::{demo, folders};
use crate::agent::Reason;
use crate::agent::present::{Progress, Style};
use crate::backend::cpu::{CpuOptions, HeadMode};
use crate::bundle::Bundle;
use crate::model::{self, Engine, LoadError, LoadOptions, Loading};

/// Who hears that loading takes long.
#[derive(Clone, Debug)]
pub enum Waiting {
    /// Whoever reads stderr.
    Stderr,
    /// A front end that has the terminal, and counts.
    Counts(Loading),
}

pub struct Loaded {
    pub bundle: Bundle,
    pub engine: Box<dyn Engine>,
}

/// The bundle in `dir`, or the demo, and its engine, which prefills `chunk` tokens at
/// a time, or as many as are best.
///
/// # Errors
/// With the one line that says what is wrong with the bundle.
pub fn load(
    dir: Option<&Path>,
    chosen: &Chosen,
    chunk: Option<usize>,
    waiting: &Waiting,
) -> Result<Loaded, Failure> {
    let name = dir.map_or(demo::NAME.to_owned(), |dir| dir.display().to_string());
    let since = Instant::now();
    let work = || {
        let bundle = match dir {
            Some(dir) => Bundle::open(dir),
            None => Bundle::embedded(demo::NAME, &demo::FILES),
        };
        let bundle = bundle.map_err(|e| Failure::new(Reason::Bundle, e.to_string()))?;
        let engine = engine(&bundle, chosen, chunk, waiting)?;
        tracing::info!(
            bundle = name,
            fingerprint = bundle.fingerprint,
            backend = engine.info().backend,
            seconds = since.elapsed().as_secs_f32(),
            "bundle loaded"
        );
        Ok(Loaded { bundle, engine })
    };
    let loaded = match waiting {
        Waiting::Stderr => announced(&name, work),
        Waiting::Counts(_) => work(),
    };
    loaded.inspect_err(|failure: &Failure| tracing::error!(bundle = name, "{}", failure.message))
}

fn engine(
    bundle: &Bundle,
    chosen: &Chosen,
    chunk: Option<usize>,
    waiting: &Waiting,
) -> Result<Box<dyn Engine>, Failure> {
    let options = LoadOptions {
        backend: chosen.backend(),
        cpu: CpuOptions {
            threads: chosen.settings.threads().unwrap_or(0),
            head: match chosen.run.full_head {
                true => HeadMode::Full,
                false => HeadMode::Screened,
            },
            ..CpuOptions::default()
        },
        cache: folders::cache(),
        chunk,
        loading: match waiting {
            Waiting::Stderr => Loading::default(),
            Waiting::Counts(loading) => loading.clone(),
        },
        ..LoadOptions::default()
    };
    model::load(bundle, &options).map_err(|e| {
        let reason = match e {
            LoadError::NoMlx => Reason::Usage,
            LoadError::Start { .. } => Reason::Failed,
        };
        Failure::new(reason, e.to_string())
    })
}

/// Does `work`, and says so on stderr once it has taken half a second.
fn announced<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let (done, waiting) = mpsc::channel::<()>();
    let style = Style::of(&io::stderr());
    let name = crate::sandbox::sanitize::for_line(name).into_owned();
    // Without a thread the work is done all the same, in silence.
    let watcher = std::thread::Builder::new().spawn(move || {
        if waiting.recv_timeout(Progress::PATIENCE) != Err(mpsc::RecvTimeoutError::Timeout) {
            return;
        }
        let end = match style {
            Style::Plain => "\n",
            Style::Ansi => "",
        };
        say(&format!("loading {name} ...{end}"));
        // Ends when the sender is dropped.
        let _ = waiting.recv();
        if style == Style::Ansi {
            say("\r\x1b[2K");
        }
    });
    let result = work();
    drop(done);
    // It can't panic; and if it did, the work is done.
    let _ = watcher.map(JoinHandle::join);
    result
}

fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr
        .write_all(text.as_bytes())
        .and_then(|()| stderr.flush());
}
