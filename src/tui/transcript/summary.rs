//! What a call is about, in one line.

use serde_json::{Map, Value};

use crate::agent::present::call_line;
use crate::sandbox::sanitize;

/// What it is about, in one line.
pub(super) fn summary(name: &str, arguments: &Map<String, Value>) -> String {
    let text = |key: &str| {
        let value = arguments.get(key).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    let path = || text("path");
    let number = |key| arguments.get(key).and_then(Value::as_u64);
    let summary = match name {
        "read_file" => match (number("start"), number("end")) {
            (None, None) => path().to_owned(),
            (Some(start), None) => format!("{}, from line {start}", path()),
            (None, Some(end)) => format!("{}, up to line {end}", path()),
            (Some(start), Some(end)) => format!("{}, lines {start} to {end}", path()),
        },
        "edit_file" | "write_file" | "list_dir" => path().to_owned(),
        "search" => format!("{} in {}", text("pattern"), path()),
        "run_command" => {
            let command = text("command").trim();
            match arguments.get("background").and_then(Value::as_bool) {
                Some(true) => format!("{command} (in the background)"),
                Some(false) | None => command.to_owned(),
            }
        }
        "git" => {
            let words = arguments.get("args").and_then(Value::as_array);
            let words = words.map(Vec::as_slice).unwrap_or_default().iter();
            let words = words.map(|word| match word {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            words.collect::<Vec<_>>().join(" ")
        }
        "command_output" | "stop_command" => match number("id") {
            Some(id) => format!("command {id}"),
            None => String::new(),
        },
        _ => {
            let line = call_line(name, arguments);
            let shown = line.split_once('(').map(|(_, rest)| rest);
            shown.map_or(String::new(), |rest| {
                rest.strip_suffix(')').unwrap_or(rest).to_owned()
            })
        }
    };
    sanitize::for_line(&summary.replace('\n', " ⏎ ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_tool_says_what_it_is_about() {
        for (name, arguments, expected) in [
            (
                "read_file",
                json!({"path": "a", "start": 2, "end": 9}),
                "a, lines 2 to 9",
            ),
            (
                "read_file",
                json!({"path": "a", "end": 9}),
                "a, up to line 9",
            ),
            (
                "write_file",
                json!({"path": "a\u{1b}", "content": "x"}),
                "a␛",
            ),
            (
                "search",
                json!({"pattern": "x.*y", "path": "src"}),
                "x.*y in src",
            ),
            ("run_command", json!({"command": " a\nb\r\n"}), "a ⏎ b"),
            (
                "git",
                json!({"args": ["commit", "-m", "Fix it"]}),
                "commit -m Fix it",
            ),
            ("command_output", json!({"id": 3, "wait": 5}), "command 3"),
            ("other", json!({"a": "b", "c": [1]}), "a=b, c=[1]"),
            // What a model makes of it may be anything.
            ("read_file", json!({"path": 5}), ""),
            ("git", json!({"args": "log"}), ""),
            ("stop_command", json!({}), ""),
        ] {
            let arguments = arguments.as_object().unwrap();
            assert_eq!(summary(name, arguments), expected, "{name} {arguments:?}");
        }
    }
}
