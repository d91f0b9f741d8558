//! Every setting, its value, and the layer it comes from.

use serde_json::{Value as Json, json};

use crate::config::ConfigError;
use crate::config::settings::{
    Contribution, Kind, Origin, Resolved, SETTINGS, Setting, Switch, Value,
};
use crate::sandbox::sanitize;

/// Wider values push the layer aside.
const WIDEST: usize = 36;

/// A table; rules have a row for each layer that says something.
pub fn text(settings: &Resolved) -> String {
    let rows: Vec<[String; 3]> = SETTINGS
        .iter()
        .flat_map(|setting| rows(setting, settings))
        .collect();
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let (keys, values) = (width(0), width(1).min(WIDEST));
    let table: String = rows
        .iter()
        .map(|[key, value, layer]| format!("{key:keys$}  {value:values$}  {layer}\n"))
        .collect();
    format!(
        "{table}\nOf the rules in [sandbox] and [permissions] those of every layer hold, and what \
         one denies is denied.\n"
    )
}

fn rows(setting: &Setting, settings: &Resolved) -> Vec<[String; 3]> {
    let all = settings.contributions(setting);
    let from = match setting.kind {
        Kind::Policy => 0,
        _ => all.len().saturating_sub(1),
    };
    let Some(counting) = all.get(from..).filter(|some| !some.is_empty()) else {
        let default = setting.default_text().to_owned();
        return vec![[setting.key.to_owned(), default, Origin::Default.to_string()]];
    };
    let row = |(at, one): (usize, &Contribution)| {
        let key = match at {
            0 => setting.key,
            _ => "",
        };
        let text = sanitize::for_line(&one.text).into_owned();
        let origin = one.origin.to_string();
        [
            key.to_owned(),
            text,
            sanitize::for_line(&origin).into_owned(),
        ]
    };
    counting.iter().enumerate().map(row).collect()
}

/// One object; `layers` are all that say something, the one that counts last.
pub fn json(settings: &Resolved, problems: &[ConfigError]) -> String {
    let list: Vec<Json> = SETTINGS
        .iter()
        .map(|setting| row(setting, settings))
        .collect();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let object = json!({
        "v": 1,
        "profile": settings.profile(),
        "settings": list,
        "problems": problems,
    });
    crate::batch::line(&object) + "\n"
}

fn row(setting: &Setting, settings: &Resolved) -> Json {
    let layers: Vec<Json> = settings
        .contributions(setting)
        .iter()
        .map(|one| {
            let line = match &one.origin {
                Origin::User { line } | Origin::Project { line } | Origin::Profile { line, .. } => {
                    Some(*line)
                }
                _ => None,
            };
            json!({
                "layer": one.origin.layer(),
                "from": one.origin.to_string(),
                "line": line,
                "value": one.text,
            })
        })
        .collect();
    let counts = settings.contributions(setting).last();
    let value = match setting.kind {
        Kind::Policy => None,
        _ => settings.chosen(setting.key).cloned(),
    };
    json!({
        "key": setting.key,
        // What nobody chose and has no fixed default is null.
        "value": value.or_else(|| setting.default_value()).map(plain),
        "layer": counts.map_or("default", |one| one.origin.layer()),
        "default": setting.default_text(),
        "layers": layers,
    })
}

fn plain(value: Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Switch(switch) => json!(switch == Switch::On),
        Value::Whole(number) | Value::Size(number) => json!(number),
        Value::Real(number) => json!(number),
        Value::Folders(folders) => {
            let folders = folders.iter().map(|one| one.to_string_lossy());
            json!(folders.collect::<Vec<_>>())
        }
    }
}
