//! The system prompt: the same bytes for every turn of every session on a machine, so
//! that what was computed of it is never computed again. No clock, no folder, nothing
//! that changes.

use std::path::Path;

use minijinja::{Environment, UndefinedBehavior, context};

use crate::sandbox::sanitize;

const TEMPLATE: &str = include_str!("../../prompts/system.md.jinja");

/// Renders `prompts/system.md.jinja`.
///
/// # Errors
/// When the template is wrong.
pub fn prompt(tools: &[&str]) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(
            TEMPLATE,
            context! {
                tools => tools.iter().map(|tool| (*tool).to_owned()).collect::<Vec<String>>(),
            },
        )
        .map(|text| text.trim().to_owned())
        .map_err(|error| format!("prompts/system.md.jinja: {error}"))
}

/// Where the model is, for a conversation's first message.
pub fn place(workspace: &Path) -> String {
    // A folder's name is not the program's own text.
    let workspace = sanitize::for_line(&workspace.to_string_lossy()).into_owned();
    let platform = std::env::consts::OS;
    format!("[Working directory: {workspace}, platform: {platform}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_tools_and_is_the_same_everywhere() {
        let text = prompt(&["list_dir", "read_file"]).unwrap();
        assert!(text.contains("(list_dir, read_file)"));
        assert!(!text.contains(std::env::consts::OS), "{text}");
        assert!(text.ends_with("tool calls and their results."), "{text}");
        let none = prompt(&[]).unwrap();
        assert!(!none.contains("tools ("), "{none}");
    }

    #[test]
    fn a_place_is_one_line() {
        let place = place(Path::new("/home/a\nb"));
        assert!(
            place.starts_with("[Working directory: /home/a␊b, platform: "),
            "{place}"
        );
    }
}
