//! `tools/NAME.toml`: what a model is told about a tool, as a JSON schema, and
//! what the policy is told. The files are embedded in the binary. The wording
//! and the order of what a model sees are those that models were trained on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Effect;
use crate::chat::ToolSpec;

/// How much a model is told about a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The required parameters: a small model knows exactly these.
    Trained,
    /// The optional ones, too.
    Full,
}

/// A parsed manifest.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub description: String,
    effects: Vec<Touches>,
    parameters: Parameters,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Touches {
    Reads,
    Writes,
    Runs,
    Network,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    #[serde(rename = "type")]
    kind: Kind,
    /// In the order in which a model sees them.
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, Property>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Property {
    #[serde(rename = "type")]
    kind: Kind,
    description: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Object,
    String,
    Integer,
    Boolean,
    /// Of strings.
    Array,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Boolean => "boolean",
            Kind::Array => "array",
        }
    }

    /// As an error names it.
    fn described(self) -> &'static str {
        match self {
            Kind::Array => "array of strings",
            other => other.name(),
        }
    }

    fn admits(self, value: &Value) -> bool {
        match self {
            Kind::Object => value.is_object(),
            Kind::String => value.is_string(),
            Kind::Integer => value.is_i64() || value.is_u64(),
            Kind::Boolean => value.is_boolean(),
            Kind::Array => value
                .as_array()
                .is_some_and(|items| items.iter().all(Value::is_string)),
        }
    }
}

/// Why a manifest is not one.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{}", .0.to_string().trim_end())]
    Toml(#[from] toml::de::Error),
    #[error("parameters.type must be \"object\"")]
    NotAnObject,
    #[error("required parameter `{0}` has no entry in parameters.properties")]
    Undeclared(String),
    #[error("effects must name at least one of reads, writes, runs, network")]
    NoEffect,
}

impl Manifest {
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = toml::from_str(text)?;
        let parameters = &manifest.parameters;
        if parameters.kind != Kind::Object {
            return Err(ManifestError::NotAnObject);
        }
        if manifest.effects.is_empty() {
            return Err(ManifestError::NoEffect);
        }
        match parameters
            .required
            .iter()
            .find(|name| !parameters.properties.contains_key(*name))
        {
            Some(name) => Err(ManifestError::Undeclared(name.clone())),
            None => Ok(manifest),
        }
    }

    /// The strongest thing that it does: that is what permission is asked for.
    /// What reaches the network counts as running something.
    pub fn effect(&self) -> Effect {
        let touches = |kind| self.effects.contains(&kind);
        if touches(Touches::Runs) || touches(Touches::Network) {
            Effect::Run
        } else if touches(Touches::Writes) {
            Effect::Write
        } else {
            Effect::Read
        }
    }

    pub fn spec(&self, detail: Detail) -> ToolSpec {
        let mut properties = Map::new();
        for (name, property) in self.ordered() {
            if detail == Detail::Trained && !self.parameters.required.iter().any(|r| r == name) {
                continue;
            }
            let mut schema = Map::new();
            schema.insert("type".into(), property.kind.name().into());
            if property.kind == Kind::Array {
                schema.insert("items".into(), json!({"type": "string"}));
            }
            if let Some(description) = &property.description {
                schema.insert("description".into(), description.as_str().into());
            }
            properties.insert(name.into(), Value::Object(schema));
        }
        ToolSpec {
            name: self.name.clone(),
            description: self.description.clone(),
            parameters: json!({
                "type": "object",
                "properties": properties,
                "required": self.parameters.required,
            }),
        }
    }

    /// Required parameters as listed, then the others by name.
    fn ordered(&self) -> impl Iterator<Item = (&str, &Property)> {
        let Parameters {
            required,
            properties,
            ..
        } = &self.parameters;
        let first = required
            .iter()
            .filter_map(|name| Some((name.as_str(), properties.get(name)?)));
        let rest = properties
            .iter()
            .filter(|(name, _)| !required.contains(name))
            .map(|(name, property)| (name.as_str(), property));
        first.chain(rest)
    }

    /// What is wrong with the arguments of a call, in words for the model.
    pub(super) fn check(&self, arguments: &Map<String, Value>) -> Result<(), String> {
        for (name, property) in self.ordered() {
            let required = self.parameters.required.iter().any(|r| r == name);
            let fits = match arguments.get(name) {
                Some(value) => property.kind.admits(value),
                None => !required,
            };
            if !fits {
                return Err(format!(
                    "{} needs {name} ({})",
                    self.name,
                    property.kind.described()
                ));
            }
        }
        let unknown = arguments
            .keys()
            .find(|name| !self.parameters.properties.contains_key(*name));
        match unknown {
            Some(name) => {
                let known: Vec<&str> = self.ordered().map(|(name, _)| name).collect();
                Err(format!(
                    "{} takes {}, not {name}",
                    self.name,
                    known.join(", ")
                ))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "fetch"
        description = "Fetch."
        effects = ["reads", "network"]
        [parameters]
        type = "object"
        required = ["url", "depth"]
        [parameters.properties.depth]
        type = "integer"
        [parameters.properties.url]
        type = "string"
        description = "Where."
        [parameters.properties.all]
        type = "boolean"
        [parameters.properties.parts]
        type = "array"
    "#;

    #[test]
    fn the_schema_keeps_the_order_of_required() {
        let manifest = Manifest::parse(TEXT).unwrap();
        assert_eq!(manifest.effect(), Effect::Run);
        assert_eq!(
            serde_json::to_string(&manifest.spec(Detail::Full)).unwrap(),
            r#"{"name":"fetch","description":"Fetch.","parameters":{"type":"object","properties":{"url":{"type":"string","description":"Where."},"depth":{"type":"integer"},"all":{"type":"boolean"},"parts":{"type":"array","items":{"type":"string"}}},"required":["url","depth"]}}"#
        );
        assert_eq!(
            serde_json::to_string(&manifest.spec(Detail::Trained)).unwrap(),
            r#"{"name":"fetch","description":"Fetch.","parameters":{"type":"object","properties":{"url":{"type":"string","description":"Where."},"depth":{"type":"integer"}},"required":["url","depth"]}}"#
        );
    }

    #[test]
    fn arguments_are_checked_in_words() {
        let manifest = Manifest::parse(TEXT).unwrap();
        let check = |value: Value| manifest.check(value.as_object().unwrap());
        assert_eq!(check(json!({"url": "x", "depth": 1})), Ok(()));
        for (arguments, error) in [
            (json!({"depth": 1}), "fetch needs url (string)"),
            (json!({"url": 1, "depth": 1}), "fetch needs url (string)"),
            (
                json!({"url": "x", "depth": 1.5}),
                "fetch needs depth (integer)",
            ),
            (
                json!({"url": "x", "depth": 1, "all": "yes"}),
                "fetch needs all (boolean)",
            ),
            (
                json!({"url": "x", "depth": 1, "parts": ["a", 1]}),
                "fetch needs parts (array of strings)",
            ),
            (
                json!({"url": "x", "depth": 1, "how": 1}),
                "fetch takes url, depth, all, parts, not how",
            ),
        ] {
            assert_eq!(check(arguments), Err(error.to_string()));
        }
    }

    #[test]
    fn a_wrong_manifest_says_why() {
        for (from, to, why) in [
            (
                "\"reads\", \"network\"",
                "",
                "effects must name at least one",
            ),
            ("[\"url\", \"depth\"]", "[\"uri\"]", "`uri`"),
            ("type = \"object\"", "type = \"string\"", "parameters.type"),
            ("\"network\"", "\"net\"", "unknown variant `net`"),
            ("name =", "nome =", "unknown field `nome`"),
        ] {
            let error = Manifest::parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
