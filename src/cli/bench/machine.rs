//! The machine that is measured: what it calls itself, and how much of its
//! memory can still be had.

use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub os: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// `None` where the system does not say.
    pub memory_bytes: Option<u64>,
}

impl Machine {
    pub fn here() -> Self {
        Self {
            cpu: cpu_name().unwrap_or_else(|| "unknown".into()),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: meminfo("MemTotal:"),
        }
    }
}

/// Bytes that this process may still take without pushing anything out.
pub fn available_memory() -> Option<u64> {
    let system = meminfo("MemAvailable:");
    [system, left_in_cgroup()].into_iter().flatten().min()
}

fn cpu_name() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn meminfo(key: &str) -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// What the cgroup's limit leaves; files in the page cache can be dropped.
fn left_in_cgroup() -> Option<u64> {
    let read = |name: &str| std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let (limit, used) = (number("memory.max")?, number("memory.current")?);
    let stat = read("memory.stat").unwrap_or_default();
    let files = stat
        .lines()
        .find_map(|l| l.strip_prefix("file "))
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(0);
    Some(limit.saturating_sub(used.saturating_sub(files)))
}
