//! The exit codes in words: the table behind `--help` and the README.

use crate::agent::Exit;

/// What a status tells the caller.
pub fn meaning(exit: Exit) -> &'static str {
    match exit {
        Exit::Done => "done",
        Exit::Internal => "internal failure",
        Exit::Usage => "usage: unknown or invalid arguments",
        Exit::Bundle => "the model bundle is unusable",
        Exit::Limit => "a limit was reached (steps, tokens, context, repetition)",
        Exit::Refused => "done, but a permission or the sandbox was refused on the way",
        Exit::Interrupted => "interrupted",
    }
}

/// The table as it stands at the end of `--help`.
pub fn table() -> String {
    Exit::ALL
        .iter()
        .fold(String::from("Exit codes:"), |text, &exit| {
            format!("{text}\n  {:>3}  {}", exit.code(), meaning(exit))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_code_once() {
        let table = table();
        let codes: Vec<&str> = table
            .lines()
            .skip(1)
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "130"]);
    }
}
