//! The user's own `config.toml`, and the rules in it, which answers of "always"
//! add and `cairn permissions` lists and removes. Comments and order stay.

use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, Item, Table, Value};

use super::{Author, ConfigError, Document, file};
use crate::sandbox::Rule;

/// Which of the two lists of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    Allow,
    Deny,
}

impl List {
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// The file, which need not exist.
#[derive(Clone, Debug)]
pub struct User {
    path: PathBuf,
}

impl User {
    /// In the user's config folder.
    pub fn in_folder(folder: &Path) -> Self {
        Self::at(folder.join("config.toml"))
    }

    /// A file of the same kind elsewhere.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// For a file that can't be read or understood.
    pub fn load(&self) -> Result<Document, ConfigError> {
        self.read().usable()
    }

    /// The same, with all that is wrong with it.
    pub fn read(&self) -> Document {
        match self.text() {
            Ok(Some(text)) => self.parse(&text),
            Ok(None) => Document::default(),
            Err(error) => Document {
                problems: vec![error],
                ..Document::default()
            },
        }
    }

    /// What such a text would mean in this file.
    pub fn parse(&self, text: &str) -> Document {
        Document::parse(text, &self.path, Author::User)
    }

    /// The file's text, if there is a file.
    ///
    /// # Errors
    /// For a file that can't be read.
    pub fn text(&self) -> Result<Option<String>, ConfigError> {
        file::read(&self.path).map_err(|error| ConfigError::new(&self.path, error))
    }

    /// Replaces the text, if it still is what the writer saw.
    ///
    /// # Errors
    /// For a file that changed meanwhile or can't be written.
    pub fn replace(&self, seen: Option<&str>, text: &str) -> Result<(), ConfigError> {
        let changed = file::change(&self.path, |now| match now.as_deref() == seen {
            true => Ok(Some(text.to_owned())),
            false => Err(std::io::Error::other(
                "it was changed by somebody else meanwhile",
            )),
        });
        changed.map_err(|error: std::io::Error| ConfigError::new(&self.path, error))
    }

    /// Adds a rule, if it is not there yet.
    ///
    /// # Errors
    /// For a file that can't be understood or written.
    pub fn add(&self, list: List, rule: &Rule) -> Result<(), ConfigError> {
        let text = rule.to_string();
        self.edit(|document| {
            let rules = made(document, list)?;
            if rules.iter().all(|known| known.as_str() != Some(&text)) {
                rules.push(text);
                spread(rules);
            }
            Ok(())
        })
    }

    /// Takes a rule out of both lists. How many times it was there.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn remove(&self, rule: &Rule) -> Result<usize, ConfigError> {
        let mut removed = 0;
        self.edit(|document| {
            for list in [List::Allow, List::Deny] {
                let rules = document
                    .get_mut("permissions")
                    .and_then(|permissions| permissions.get_mut(list.name()))
                    .and_then(Item::as_array_mut);
                let Some(rules) = rules else { continue };
                let before = rules.len();
                rules.retain(|known| {
                    let known = known.as_str().and_then(|text| text.parse::<Rule>().ok());
                    known.as_ref() != Some(rule)
                });
                removed += before - rules.len();
                spread(rules);
            }
            Ok(())
        })?;
        Ok(removed)
    }

    fn edit(
        &self,
        edit: impl FnOnce(&mut DocumentMut) -> Result<(), &'static str>,
    ) -> Result<(), ConfigError> {
        let fault = |why: &dyn std::fmt::Display| ConfigError::new(&self.path, why);
        let changed = file::change(&self.path, |text| {
            let text = text.unwrap_or_default();
            // What is wrong with it is said better by the reader.
            self.parse(&text).usable().map_err(Trouble::Config)?;
            let mut document: DocumentMut = text
                .parse()
                .map_err(|error: toml_edit::TomlError| Trouble::Config(fault(&error.message())))?;
            // Comments without a setting would come after what is new.
            let mut above = String::new();
            if document.is_empty() {
                document = DocumentMut::new();
                above = text.clone();
            }
            edit(&mut document).map_err(|why| Trouble::Config(fault(&why)))?;
            let new = above + &document.to_string();
            Ok((new != text).then_some(new))
        });
        changed.map_err(|trouble| match trouble {
            Trouble::Config(error) => error,
            Trouble::Io(error) => fault(&error),
        })
    }
}

enum Trouble {
    Config(ConfigError),
    Io(std::io::Error),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// `permissions.allow` or `permissions.deny`, made if they are not there.
fn made(document: &mut DocumentMut, list: List) -> Result<&mut Array, &'static str> {
    let permissions = document
        .entry("permissions")
        .or_insert(Item::Table(Table::new()));
    let rules = permissions
        .as_table_like_mut()
        .ok_or("permissions is not a table")?
        .entry(list.name())
        .or_insert(Item::Value(Value::Array(Array::new())));
    rules.as_array_mut().ok_or("a list of rules is not a list")
}

/// One rule to a line.
fn spread(rules: &mut Array) {
    for rule in rules.iter_mut() {
        rule.decor_mut().set_prefix("\n    ");
        rule.decor_mut().set_suffix("");
    }
    let empty = rules.is_empty();
    rules.set_trailing(if empty { "" } else { "\n" });
    rules.set_trailing_comma(!empty);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn rules_come_and_go_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let user = User::in_folder(&folder.path().join("deep/cairn"));
        let rule = |text: &str| text.parse::<Rule>().unwrap();
        assert_eq!(user.load().unwrap().layer, crate::config::Layer::default());
        user.add(List::Allow, &rule("run:cargo test")).unwrap();
        user.add(List::Allow, &rule("run:cargo test")).unwrap();
        user.add(List::Allow, &rule("run=a 'b' \"c\"\nd")).unwrap();
        user.add(List::Deny, &rule("run:git push")).unwrap();
        let layer = user.load().unwrap().layer;
        assert_eq!(
            layer.allow,
            [rule("run:cargo test"), rule("run=a 'b' \"c\"\nd")]
        );
        assert_eq!(layer.deny, [rule("run:git push")]);

        let text = fs::read_to_string(user.path()).unwrap();
        let mine = format!("# mine\n[sandbox] # here\nmode = \"read-only\"\n\n{text}");
        fs::write(user.path(), mine).unwrap();
        assert_eq!(user.remove(&rule("run:'cargo' test")).unwrap(), 1);
        assert_eq!(user.remove(&rule("run:cargo test")).unwrap(), 0);
        let text = fs::read_to_string(user.path()).unwrap();
        assert!(text.starts_with("# mine\n[sandbox] # here\n"), "{text}");
        assert!(!text.contains("cargo test"), "{text}");
        assert_eq!(user.load().unwrap().layer.allow.len(), 1);
        let names: Vec<_> = fs::read_dir(user.path().parent().unwrap())
            .unwrap()
            .collect();
        assert_eq!(names.len(), 1, "no temporary file stays");
    }

    #[test]
    fn a_file_that_is_wrong_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let user = User::in_folder(folder.path());
        fs::write(user.path(), "[permissions\n").unwrap();
        let rule = "run".parse().unwrap();
        let error = user.add(List::Allow, &rule).unwrap_err().to_string();
        assert!(error.contains("config.toml:1: "), "{error}");
        assert_eq!(fs::read_to_string(user.path()).unwrap(), "[permissions\n");
    }

    #[test]
    fn a_link_to_the_file_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("dotfiles.toml");
        fs::write(&real, "").unwrap();
        let user = User::in_folder(folder.path());
        std::os::unix::fs::symlink(&real, user.path()).unwrap();
        user.add(List::Deny, &"run".parse().unwrap()).unwrap();
        assert!(user.path().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("\"run\""));
    }
}
