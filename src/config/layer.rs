//! What a file of settings says about what may be done.

use std::path::Path;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::ConfigError;
use crate::sandbox::{Decision, Mode, Network, Rule};

/// What one file says; `None` and empty where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    pub mode: Option<Mode>,
    pub network: Option<Network>,
    pub write: Option<Decision>,
    pub run: Option<Decision>,
    pub allow: Vec<Rule>,
    pub deny: Vec<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Text {
    sandbox: Sandbox,
    permissions: Permissions,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Sandbox {
    mode: Option<Mode>,
    network: Option<Network>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Permissions {
    write: Option<Decision>,
    run: Option<Decision>,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

impl Layer {
    /// Reads `[sandbox]` and `[permissions]`, as parsed from `text`; `place` is
    /// named in the error.
    ///
    /// # Errors
    /// For unknown names and values.
    pub(super) fn read(
        tables: Spanned<DeTable<'_>>,
        text: &str,
        place: &Path,
    ) -> Result<Self, ConfigError> {
        let read = Text::deserialize(Deserializer::from(tables)).map_err(|error| {
            let byte = error.span().map(|span| span.start);
            let why = error.message().lines().next().unwrap_or_default();
            ConfigError::new(place, why).at(text, byte)
        })?;
        let Text {
            sandbox,
            permissions,
        } = read;
        if sandbox.mode == Some(Mode::Danger) {
            let why = "sandbox.mode can't be \"danger\" here: only --mode danger, typed, is";
            return Err(ConfigError::new(place, why));
        }
        for rule in &permissions.allow {
            let usable = rule.clone().can_allow();
            usable.map_err(|why| ConfigError::new(place, why))?;
        }
        Ok(Self {
            mode: sandbox.mode,
            network: sandbox.network,
            write: permissions.write,
            run: permissions.run,
            allow: permissions.allow,
            deny: permissions.deny,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::document::{Author, Document};

    fn parse(text: &str) -> Result<Layer, String> {
        let document = Document::parse(text, Path::new("c.toml"), Author::User).usable();
        document
            .map(|document| document.layer)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_is_read() {
        let layer = parse(
            r#"
            [sandbox]
            mode = "read-only"
            network = "loopback"
            [permissions]
            write = "allow"
            run = "deny"
            allow = ["run:cargo test"]
            deny = ["write:docs/**"]
            "#,
        );
        let expected = Layer {
            mode: Some(Mode::ReadOnly),
            network: Some(Network::Loopback),
            write: Some(Decision::Allow),
            run: Some(Decision::Deny),
            allow: vec!["run:cargo test".parse().unwrap()],
            deny: vec!["write:docs/**".parse().unwrap()],
        };
        assert_eq!(layer, Ok(expected));
        assert_eq!(parse(""), Ok(Layer::default()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, why) in [
            ("x", "c.toml:1: "),
            (
                "\n[sandbox]\nmod = 1",
                "c.toml:3: unknown key sandbox.mod; did you mean sandbox.mode?",
            ),
            ("[sandbox]\nmode = \"x\"", "c.toml:2: unknown variant `x`"),
            ("[sandbox]\nmode = \"danger\"", "only --mode danger"),
            (
                "[permissions]\nallow = [\"run:env\"]",
                "runs other commands",
            ),
            ("[permission]", "did you mean permissions?"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
