//! The chat template: which of a bundle's files has it.

use serde_json::Value;

use super::error::{DOWNLOAD_AGAIN, Error};
use super::json::{self, Object};
use super::storage::Storage;

/// The file that a chat template came from. Where several have one, the first
/// of this order counts: conversions tend to mend only that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateSource {
    Jinja,
    Json,
    TokenizerConfig,
}

impl TemplateSource {
    pub fn file(self) -> &'static str {
        match self {
            Self::Jinja => "chat_template.jinja",
            Self::Json => "chat_template.json",
            Self::TokenizerConfig => "tokenizer_config.json",
        }
    }
}

/// The template and its source, if the bundle has one.
pub(super) fn find(storage: &Storage) -> Result<Option<(String, TemplateSource)>, Error> {
    let source = TemplateSource::Jinja;
    if let Some(text) = storage.small(source.file(), json::LIMIT)? {
        return match std::str::from_utf8(&text) {
            Ok(text) => Ok(Some((text.to_owned(), source))),
            Err(e) => {
                let problem = format!("is not UTF-8 at byte {}", e.valid_up_to());
                Err(Error::file(source.file(), problem, DOWNLOAD_AGAIN))
            }
        };
    }
    for source in [TemplateSource::Json, TemplateSource::TokenizerConfig] {
        let object = Object::read(storage, &[source.file()])?;
        let template = object.as_ref().and_then(|o| o.get(&["chat_template"]));
        if let Some(text) = template.and_then(text) {
            return Ok(Some((text.to_owned(), source)));
        }
    }
    Ok(None)
}

/// A string, or a list of named templates: the default one, or the first.
fn text(value: &Value) -> Option<&str> {
    let Value::Array(list) = value else {
        return value.as_str();
    };
    let named = |name: &str| {
        list.iter()
            .find(|t| t.get("name").is_some_and(|n| n == name))
    };
    let chosen = named("default").or_else(|| list.first())?;
    chosen.get("template")?.as_str()
}
