//! Bounded text. Whatever a tool produces goes through a `Clip`, which keeps
//! the head and the tail in a fixed amount of memory, counts what it drops, and
//! says so in a line of its own. Bytes that are not UTF-8 become U+FFFD.

use std::collections::VecDeque;

/// How much text may leave a `Clip`, the line that reports the cut apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub bytes: usize,
    pub lines: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounded {
    pub text: String,
    /// Something was cut from the middle; the text says so.
    pub truncated: bool,
}

/// Head and tail of `text`; what is between them becomes
/// `[... N lines omitted ...]`, or `[... N bytes omitted ...]` where a single
/// line is too long to keep.
pub fn bound(text: &str, limit: Limit) -> Bounded {
    let mut clip = Clip::new(limit);
    clip.push(text.as_bytes());
    clip.finish()
}

/// Collects a stream of any length in at most 1.5 x `limit.bytes`.
#[derive(Debug)]
pub struct Clip {
    limit: Limit,
    /// The first `limit.bytes` bytes.
    head: Vec<u8>,
    /// The last `limit.bytes / 2` bytes of what followed.
    tail: VecDeque<u8>,
    total: u64,
    newlines: u64,
    /// The line ends at the very end, which are not part of the text.
    trailing: Trailing,
}

#[derive(Clone, Copy, Debug, Default)]
struct Trailing {
    bytes: u64,
    newlines: u64,
}

impl Clip {
    pub fn new(limit: Limit) -> Clip {
        Clip {
            limit,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            newlines: 0,
            trailing: Trailing::default(),
        }
    }

    /// Bytes seen so far, kept or not.
    pub fn total(&self) -> u64 {
        self.total
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.newlines += count_newlines(bytes);
        let trailing = bytes.iter().rev().take_while(|b| line_end(**b)).count();
        if trailing < bytes.len() {
            self.trailing = Trailing::default();
        }
        self.trailing.bytes += trailing as u64;
        self.trailing.newlines += count_newlines(&bytes[bytes.len() - trailing..]);
        let room = (self.limit.bytes - self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        let keep = self.limit.bytes / 2;
        let rest = &rest[rest.len().saturating_sub(keep)..];
        let excess = (self.tail.len() + rest.len()).saturating_sub(keep);
        self.tail.drain(..excess);
        self.tail.extend(rest);
    }

    /// The text without its trailing line ends, cut to the limit.
    pub fn finish(self) -> Bounded {
        let limit = self.limit;
        let length = self.total - self.trailing.bytes;
        let newlines = self.newlines - self.trailing.newlines;
        let head_len = self.head.len();
        let mut kept = self.head;
        kept.extend(self.tail);
        let gap = self.total - kept.len() as u64;
        if length <= head_len as u64 {
            kept.truncate(length as usize);
            if newlines < limit.lines as u64 {
                return Bounded {
                    text: String::from_utf8_lossy(&kept).into_owned(),
                    truncated: false,
                };
            }
        } else {
            let end = kept.len() as u64 - self.trailing.bytes.min(kept.len() as u64);
            kept.truncate((end as usize).max(head_len));
        }
        let (first, whole_head) = head_part(&kept[..kept.len().min(head_len)], limit);
        // The tail part must not reach back over a gap, nor into the head part.
        let floor = if gap > 0 && kept.len() >= head_len {
            head_len
        } else {
            first.len()
        };
        let (last, whole_tail) = tail_part(&kept[floor..], limit);
        let omitted = if whole_head && whole_tail {
            let shown = count_newlines(first) + count_newlines(last);
            format!("[... {} lines omitted ...]", newlines - shown)
        } else {
            let shown = (first.len() + last.len()) as u64;
            format!("[... {} bytes omitted ...]", length - shown)
        };
        let mut text = String::from_utf8_lossy(first).into_owned();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&omitted);
        if !last.is_empty() {
            text.push('\n');
            text.push_str(&String::from_utf8_lossy(last));
        }
        Bounded {
            text,
            truncated: true,
        }
    }
}

fn line_end(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r'
}

fn count_newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|b| **b == b'\n').count() as u64
}

/// The lines that fit in half the limit; if not even one does, the start of it.
/// The flag says that the cut is at the end of a line.
fn head_part(bytes: &[u8], limit: Limit) -> (&[u8], bool) {
    let half = &bytes[..bytes.len().min(limit.bytes / 2)];
    let ends = half
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'\n')
        .map(|(at, _)| at + 1);
    match ends.take(limit.lines.div_ceil(2).max(1)).last() {
        Some(end) => (&half[..end], true),
        None => {
            let mut end = half.len();
            while end > 0 && end < bytes.len() && continues(bytes[end]) {
                end -= 1;
            }
            (&half[..end], false)
        }
    }
}

/// The mirror image of `head_part`.
fn tail_part(bytes: &[u8], limit: Limit) -> (&[u8], bool) {
    let start = bytes.len().saturating_sub(limit.bytes / 2);
    let half = &bytes[start..];
    let starts = half
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, b)| **b == b'\n')
        .map(|(at, _)| at + 1);
    match starts.take((limit.lines / 2).max(1)).last() {
        Some(at) => (&half[at..], true),
        None => {
            let skip = half.iter().take_while(|b| continues(**b)).count().min(3);
            (&half[skip..], false)
        }
    }
}

/// A byte inside a UTF-8 sequence.
fn continues(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limit(bytes: usize, lines: usize) -> Limit {
        Limit { bytes, lines }
    }

    #[test]
    fn short_text_is_kept_without_its_last_newlines() {
        let got = bound("a\n b\n\n", limit(100, 10));
        assert_eq!(
            got,
            Bounded {
                text: "a\n b".into(),
                truncated: false
            }
        );
        assert_eq!(bound("", limit(100, 10)).text, "");
    }

    #[test]
    fn many_lines_lose_their_middle() {
        let text: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let got = bound(&text, limit(10_000, 6));
        assert_eq!(
            got.text,
            "line 1\nline 2\nline 3\n[... 94 lines omitted ...]\nline 98\nline 99\nline 100"
        );
        assert!(got.truncated);
    }

    #[test]
    fn many_bytes_lose_their_middle_at_line_ends() {
        let text: String = (1..=1000).map(|n| format!("{n:04}\n")).collect();
        let got = bound(&text, limit(50, 1_000_000)).text;
        assert_eq!(
            got,
            "0001\n0002\n0003\n0004\n0005\n[... 991 lines omitted ...]\n0997\n0998\n0999\n1000"
        );
    }

    #[test]
    fn a_giant_line_is_cut_inside_at_a_character() {
        let got = bound(&"é".repeat(1000), limit(21, 10)).text;
        assert_eq!(got, "ééééé\n[... 1980 bytes omitted ...]\nééééé");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        let mut clip = Clip::new(limit(100, 10));
        clip.push(b"a\xffb\x80");
        assert_eq!(clip.finish().text, "a\u{fffd}b\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_split_of_the_stream_gives_the_same_text(
            text in "[a-zé\n\r]{0,200}", cuts in proptest::collection::vec(0usize..200, 0..6),
            bytes in 8usize..120, lines in 1usize..20,
        ) {
            let whole = bound(&text, limit(bytes, lines));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(text.len())).collect();
            cuts.sort_unstable();
            let mut clip = Clip::new(limit(bytes, lines));
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                clip.push(&text.as_bytes()[from..cut]);
                from = cut;
            }
            prop_assert_eq!(clip.finish(), whole);
        }

        #[test]
        fn never_longer_than_the_limit_and_the_cut_is_counted(
            text in "([a-z]{0,9}\n){0,60}[a-zé]{0,80}", bytes in 8usize..200, lines in 2usize..20,
        ) {
            let got = bound(&text, limit(bytes, lines));
            let trimmed = text.trim_end_matches('\n');
            if !got.truncated {
                prop_assert_eq!(&got.text, trimmed);
                prop_assert!(got.text.len() <= bytes && got.text.split('\n').count() <= lines);
                return Ok(());
            }
            prop_assert!(trimmed.len() > bytes || trimmed.split('\n').count() > lines);
            let at = got.text.find("[... ").unwrap();
            let (head, rest) = got.text.split_at(at);
            let (marker, tail) = rest.split_once('\n').unwrap_or((rest, ""));
            prop_assert!(head.len() + tail.len() <= bytes + 1);
            prop_assert!(trimmed.starts_with(head.trim_end_matches('\n')));
            prop_assert!(trimmed.ends_with(tail));
            let count: usize = marker.split(' ').nth(1).unwrap().parse().unwrap();
            if marker.contains("lines") {
                let kept = head.matches('\n').count() + if rest.contains('\n') { tail.split('\n').count() } else { 0 };
                prop_assert_eq!(count + kept, trimmed.split('\n').count());
            }
        }
    }
}
