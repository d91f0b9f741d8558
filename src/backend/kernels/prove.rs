//! Which kernels a device may use. Each is tested once and its verdict kept, so
//! that later starts only read; what is not known to agree is left out, and one
//! line says so. A test that takes the whole program down counts as a verdict,
//! too: it is written down as unfinished before the kernel runs.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::selftest::one_line;
use super::{KernelSpec, Key, Line, Runner, Verdict, Verdicts, overall, selftest};

/// Of the calls that decide.
pub const SEED: u64 = 0x5eed;

/// The verdict while a test runs.
const UNFINISHED: &str = "its test never came to an end";

/// How long another process is waited for that tests the same device.
const PATIENCE: Duration = Duration::from_secs(30);

/// Characters of each reason in the notice.
const SHORT: usize = 80;

/// What a start has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Kernels that agree.
    pub proven: Vec<&'static str>,
    /// For the user, a line each.
    pub notices: Vec<String>,
}

/// Looks up which of these kernels agree on a device, and tests those that are
/// not known. `system`: name and version of what compiles them; `folder`: where
/// verdicts are kept.
pub fn prove(
    runner: &dyn Runner,
    specs: &[&'static KernelSpec],
    system: &str,
    folder: Option<&Path>,
) -> Proof {
    let device = runner.device();
    let key = Key::new(&device, system, specs);
    let mut record = Record::open(folder, key.clone());
    let unfinished = |verdict: &Verdict| *verdict == Verdict::Failed(UNFINISHED.into());
    let complete = |record: &Record<'_>| {
        let known = |spec: &&KernelSpec| record.verdicts.get(spec.name);
        specs
            .iter()
            .all(|s| known(s).is_some_and(|v| !unfinished(v)))
    };
    if !complete(&record) {
        // Held to the end. Whoever had it before may have tested everything.
        let _lock = folder.and_then(lock);
        record = Record::open(folder, key);
        for spec in specs {
            if record.verdicts.get(spec.name).is_none() {
                record.test(runner, spec, &mut |_| {});
            }
        }
    }
    let allowed = specs.iter().map(|spec| spec.name);
    Proof {
        proven: allowed.filter(|name| record.verdicts.allow(name)).collect(),
        notices: refusal(&device, &record.verdicts)
            .into_iter()
            .chain(record.trouble().map(|trouble| {
                format!("{trouble}; the Metal kernels are tested again at every start")
            }))
            .collect(),
    }
}

/// Verdicts on their way to the disk.
pub struct Record<'a> {
    folder: Option<&'a Path>,
    key: Key,
    verdicts: Verdicts,
    trouble: Option<String>,
}

impl<'a> Record<'a> {
    /// With what was kept, if anything.
    pub fn open(folder: Option<&'a Path>, key: Key) -> Self {
        let known = folder.and_then(|folder| Verdicts::load(folder, &key));
        Self {
            verdicts: known.unwrap_or_default(),
            ..Self::fresh(folder, key)
        }
    }

    /// Without; what was kept is replaced by the first test.
    pub fn fresh(folder: Option<&'a Path>, key: Key) -> Self {
        let homeless = "there is no cache folder (neither XDG_CACHE_HOME nor HOME says where)";
        Self {
            folder,
            key,
            verdicts: Verdicts::default(),
            trouble: folder.is_none().then(|| homeless.to_owned()),
        }
    }

    /// Tests a kernel and keeps the verdict.
    pub fn test(
        &mut self,
        runner: &dyn Runner,
        spec: &KernelSpec,
        progress: &mut dyn FnMut(&Line),
    ) -> Verdict {
        self.keep(spec.name, Verdict::Failed(UNFINISHED.into()));
        let lines = selftest(runner, &[spec], SEED, progress);
        let verdict = overall(&lines, spec.name);
        self.keep(spec.name, verdict.clone());
        verdict
    }

    /// Why verdicts were not kept, if they were not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    fn keep(&mut self, name: &str, verdict: Verdict) {
        self.verdicts.set(name, verdict);
        if let Some(folder) = self.folder
            && let Err(error) = self.verdicts.store(folder, &self.key)
        {
            let place = folder.display();
            self.trouble
                .get_or_insert_with(|| format!("can't write to {place} ({error})"));
        }
    }
}

/// The line about kernels that are not used.
fn refusal(device: &str, verdicts: &Verdicts) -> Option<String> {
    let refused: Vec<String> = verdicts
        .refused()
        .map(|(name, verdict)| format!("{name} {}", one_line(&verdict.to_string(), SHORT)))
        .collect();
    (!refused.is_empty()).then(|| {
        format!(
            "slower operations replace Metal kernels that can't be trusted on {}: {} \
             (`cairn selftest-kernels` tests again)",
            one_line(device, SHORT),
            refused.join("; ")
        )
    })
}

/// So that no two processes test at once: one would find the other's kernel
/// unfinished. It ends with the process, however that ends.
fn lock(folder: &Path) -> Option<File> {
    fs::create_dir_all(folder).ok()?;
    let file = File::create(folder.join("kernels.lock")).ok()?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(_) => return None,
        }
    }
}
