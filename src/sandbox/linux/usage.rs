//! Memory of a process and of all below it, for systems on which groups can't be
//! made: counted from outside, every now and then.

use std::collections::HashMap;
use std::fs;

use super::processes::Process;

/// Bytes of memory that a process and its descendants have to themselves.
pub fn resident(ancestor: u32) -> u64 {
    let all = Process::all();
    let processes: HashMap<u32, u32> = all.iter().map(|p| (p.id, p.parent)).collect();
    let descends = |process: u32| {
        let mut at = process;
        // Parents may change while this looks: no more steps than there are processes.
        for _ in 0..=processes.len() {
            match processes.get(&at) {
                Some(_) if at == ancestor => return true,
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    let own = processes.keys().filter(|process| descends(**process));
    own.filter_map(|process| anonymous(*process)).sum()
}

/// Threads of this process' user.
pub fn threads() -> u64 {
    let user = rustix::process::getuid().as_raw();
    let threads = |process: Process| {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id)).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()
        };
        match field("Uid:")?.parse::<u32>().ok()? == user {
            true => field("Threads:")?.parse::<u64>().ok(),
            false => None,
        }
    };
    Process::all().into_iter().filter_map(threads).sum()
}

/// What is not a file's, which the system can drop.
fn anonymous(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((kib("RssAnon:")? + kib("RssShmem:").unwrap_or(0)) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_count() {
        let mut child = std::process::Command::new("sh")
            .args([
                "-c",
                "x=$(head -c 30000000 /dev/zero | tr '\\0' x); echo; sleep 100",
            ])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0];
        std::io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut ready).unwrap();
        let (all, own) = (resident(std::process::id()), resident(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(own > 25_000_000 && all >= own, "{own} of {all}");
    }
}
