//! What the lines of a unified diff are. Inside a hunk only its counts tell a removed
//! `-- x` from the header of the next file.

/// What one line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Says which file comes; the first line of that.
    File,
    /// More about the file.
    Header,
    /// `@@ -1,2 +1,3 @@`
    Place,
    Added,
    Removed,
    Other,
}

/// Reads a diff line by line.
#[derive(Debug, Default)]
pub struct Parts {
    /// Lines that the hunk still has, of the old file and of the new one.
    old: usize,
    new: usize,
    /// Whether the line before was about a file.
    header: bool,
}

impl Parts {
    pub fn next(&mut self, line: &str) -> Part {
        let part = self.part(line);
        self.header = matches!(part, Part::File | Part::Header);
        part
    }

    fn part(&mut self, line: &str) -> Part {
        if let Some((old, new)) = counts(line) {
            (self.old, self.new) = (old, new);
            return Part::Place;
        }
        let first = line.chars().next().unwrap_or(' ');
        if self.old + self.new > 0 {
            let part = match first {
                '-' => Part::Removed,
                '+' => Part::Added,
                ' ' | '\\' => Part::Other,
                // Lines are left out here: how many of the hunk is not known.
                _ => {
                    (self.old, self.new) = (0, 0);
                    return Part::Other;
                }
            };
            if first != '+' && first != '\\' {
                self.old = self.old.saturating_sub(1);
            }
            if first != '-' && first != '\\' {
                self.new = self.new.saturating_sub(1);
            }
            return part;
        }
        match first {
            _ if line.starts_with("diff ") => Part::File,
            _ if is_header(line) && self.header => Part::Header,
            _ if line.starts_with("--- ") => Part::File,
            _ if is_header(line) => Part::Header,
            '-' => Part::Removed,
            '+' => Part::Added,
            _ => Part::Other,
        }
    }
}

fn is_header(line: &str) -> bool {
    const BEGIN: [&str; 7] = [
        "--- ",
        "+++ ",
        "index ",
        "new file ",
        "deleted ",
        "rename ",
        "similarity ",
    ];
    BEGIN.iter().any(|begin| line.starts_with(begin))
}

/// How many lines a hunk has of the old file and of the new one.
fn counts(line: &str) -> Option<(usize, usize)> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let count = |range: &str| match range.split_once(',') {
        Some((_, count)) => count.parse().ok(),
        None => Some(1),
    };
    Some((count(old)?, count(new)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_told_from_what_a_hunk_removes() {
        let diff = "diff --git a/x b/x\nindex 1..2\n--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n--- gone\n same\n\
                    --- a/y\n+++ b/y\n@@ -1 +1,2 @@ fn f()\n+++ new\n same\n\\ No newline at end of file\n\
                    @@ -1,9 +1,9 @@\n-a\n[... 7 lines omitted ...]\n+b\n--- a/z";
        let mut parts = Parts::default();
        let read: Vec<Part> = diff.lines().map(|line| parts.next(line)).collect();
        use Part::{Added, File, Header, Other, Place, Removed};
        assert_eq!(
            read,
            [
                File, Header, Header, Header, Place, Removed, Other, File, Header, Place, Added,
                Other, Other, Place, Removed, Other, Added, File
            ]
        );
    }
}
