//! Sockets of other programs that have a name in the file system. A view that is
//! read-only keeps nobody from connecting to them, and Landlock does not yet: so
//! those that there are look like empty files.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Absolute paths of sockets that somebody listens on.
pub fn found() -> Vec<PathBuf> {
    // Those of our network namespace; another one's are for its own programs.
    let table = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let is_socket = |path: &PathBuf| {
        let found = std::fs::symlink_metadata(path);
        found.is_ok_and(|found| found.file_type().is_socket())
    };
    // A name may be another file's by now.
    listed(&table).into_iter().filter(is_socket).collect()
}

fn listed(table: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = table
        .lines()
        // After seven columns comes the name, if there is one: it may have spaces.
        .filter_map(|line| {
            let name = line.split_once(" /")?.1;
            Some(Path::new("/").join(name))
        })
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_the_table() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000: 00000002 00000000 00010000 0001 01 17 /run/docker.sock\n\
            0000: 00000003 00000000 00000000 0001 03 18 /run/docker.sock\n\
            0000: 00000002 00000000 00010000 0001 01 19 @abstract\n\
            0000: 00000003 00000000 00000000 0001 03 20\n\
            0000: 00000002 00000000 00010000 0001 01 21 /home/ada/my socket\n";
        let expected = ["/home/ada/my socket", "/run/docker.sock"];
        assert_eq!(listed(table), expected.map(PathBuf::from));
    }
}
