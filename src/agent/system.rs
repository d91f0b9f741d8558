//! The system prompt: the same bytes for every turn of a session, so that the
//! cache keeps its prefix. No clock, nothing that changes.

use std::path::Path;

use minijinja::{Environment, UndefinedBehavior, context};

use crate::sandbox::sanitize;

const TEMPLATE: &str = include_str!("../../prompts/system.md.jinja");

/// Renders `prompts/system.md.jinja`.
///
/// # Errors
/// When the template is wrong.
pub fn prompt(tools: &[&str], workspace: &Path) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(
            TEMPLATE,
            context! {
                tools => tools.iter().map(|tool| (*tool).to_owned()).collect::<Vec<String>>(),
                // A folder's name is not the program's own text.
                workspace => sanitize::for_line(&workspace.to_string_lossy()).into_owned(),
                platform => std::env::consts::OS,
            },
        )
        .map(|text| text.trim().to_owned())
        .map_err(|error| format!("prompts/system.md.jinja: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_tools_and_folder_and_is_stable() {
        let tools = ["list_dir", "read_file"];
        let text = prompt(&tools, Path::new("/home/a\nb")).unwrap();
        assert!(text.contains("(list_dir, read_file)"));
        assert!(text.contains("\nWorking directory: /home/a␊b\nPlatform: "));
        assert_eq!(text, prompt(&tools, Path::new("/home/a\nb")).unwrap());
        let none = prompt(&[], Path::new("/w")).unwrap();
        assert!(!none.contains("tools ("), "{none}");
    }
}
