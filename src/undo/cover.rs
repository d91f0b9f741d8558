//! What undo will not cover, said before the user says yes.

use std::path::Path;

use super::history::History;
use super::index::look;
use super::node::{Node, Why};
use super::scan::{By, Listing, What, walk};
use super::{Error, Touches, name};
use crate::sandbox::Workspace;

/// Names in one line.
const NAMES: usize = 5;

impl History {
    /// Lines that name what a call may change and undo would not bring back; none if
    /// it covers all but what is ignored.
    pub fn uncovered(&mut self, workspace: &Workspace, touches: &Touches) -> Vec<String> {
        match self.is_first(workspace) {
            Ok(true) => {}
            Ok(false) => return vec![format!("undo will not cover this: {}", Error::Busy)],
            // The call will fail for it, and say so.
            Err(_) => return Vec::new(),
        }
        let named = match touches {
            Touches::Path(path) => match look(workspace.handle(), path, &self.limits, None) {
                Ok(Node::Unkept { why, stamp }) => vec![said(path, why, stamp.size)],
                _ => Vec::new(),
            },
            Touches::Workspace => match walk(workspace.handle(), By::Live, &self.limits) {
                Ok((listing, _)) => of_listing(&listing),
                Err(_) => Vec::new(),
            },
        };
        // Nothing is kept yet: the question may be answered with no.
        self.unlock_if_idle();
        line(&named).into_iter().collect()
    }
}

fn of_listing(listing: &Listing) -> Vec<String> {
    let unkept = listing.iter().filter_map(|(path, found)| match found.what {
        What::Unkept(why) => Some(said(path, why, found.stamp.size)),
        _ => None,
    });
    unkept.collect()
}

fn line(named: &[String]) -> Option<String> {
    let shown = named.get(..NAMES.min(named.len()))?.join(", ");
    match named.len() {
        0 => None,
        1..=NAMES => Some(format!("undo will not cover: {shown}")),
        all => Some(format!(
            "undo will not cover: {shown} and {} more",
            all - NAMES
        )),
    }
}

/// A path, and why it is not kept.
pub(super) fn said(path: &Path, why: Why, bytes: u64) -> String {
    let why = match why {
        Why::Large => size(bytes),
        Why::Total => format!("{}, beyond what is kept in all", size(bytes)),
        Why::Many => "too many files".into(),
        Why::Unreadable => "not readable".into(),
        Why::Special => "not a regular file".into(),
        Why::NoRoom => "no room for a copy".into(),
        Why::Ignored => "ignored".into(),
    };
    format!("{} ({why})", name(path))
}

/// In units of a thousand, as disks are sold.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_some_and_counts_the_rest() {
        assert_eq!(line(&[]), None);
        let big = said(Path::new("a\nb"), Why::Large, 120_400_000);
        assert_eq!(line(&[big]).unwrap(), "undo will not cover: a␊b (120 MB)");
        let many: Vec<String> = (0..7).map(|n| n.to_string()).collect();
        let all = line(&many).unwrap();
        assert!(all.ends_with("0, 1, 2, 3, 4 and 2 more"), "{all}");
        assert_eq!(
            [999, 64 << 20, 3 << 30].map(size),
            ["999 bytes", "67 MB", "3.2 GB"]
        );
    }
}
