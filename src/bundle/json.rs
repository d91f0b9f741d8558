//! Reading the JSON files of a bundle leniently: unknown keys are ignored, a
//! key may have several names, numbers may be written as floats. Parsing is
//! bounded, since a parsed value takes many times the room of its text.

use serde_json::{Map, Value};

use super::error::{DOWNLOAD_AGAIN, Error, one_line};
use super::storage::Storage;

/// Most bytes of a configuration file; real ones have a few thousand.
pub(super) const LIMIT: usize = 4 << 20;
/// Room that one parsed element may take: a `Value` with its place in a map
/// that has just grown.
const ELEMENT: usize = 320;

/// A JSON object with the name of its file.
pub(super) struct Object {
    pub(super) file: String,
    map: Map<String, Value>,
}

/// Parses `text`, unless its value would take far more room than its text.
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    let separators = text
        .iter()
        .filter(|b| matches!(b, b',' | b'[' | b'{'))
        .count();
    if separators * ELEMENT > 8 * text.len() + (8 << 20) {
        return Err(format!("{separators} elements are too many"));
    }
    serde_json::from_slice(text).map_err(|e| e.to_string())
}

impl Object {
    pub(super) fn empty(file: &str) -> Self {
        let file = file.to_owned();
        let map = Map::new();
        Self { file, map }
    }

    /// The object in the first of `names` that exists.
    pub(super) fn read(storage: &Storage, names: &[&str]) -> Result<Option<Self>, Error> {
        for name in names {
            if let Some(text) = storage.small(name, LIMIT)? {
                return Self::parse(name, &text).map(Some);
            }
        }
        Ok(None)
    }

    pub(super) fn parse(file: &str, text: &[u8]) -> Result<Self, Error> {
        let problem = match parse(text) {
            Ok(Value::Object(map)) => {
                let file = file.to_owned();
                return Ok(Self { file, map });
            }
            Ok(_) => "is not a JSON object".to_owned(),
            Err(e) => format!("is not valid JSON ({})", one_line(&e)),
        };
        Err(Error::file(file, problem, DOWNLOAD_AGAIN))
    }

    /// The value of the first of `keys` that has one; `null` counts as absent.
    pub(super) fn get(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter()
            .find_map(|key| self.map.get(*key).filter(|v| !v.is_null()))
    }

    /// A whole number. A list counts as absent: some configurations say per
    /// layer what others say once.
    pub(super) fn count(&self, keys: &[&str]) -> Result<Option<usize>, Error> {
        let Some(value) = self.get(keys).filter(|v| !v.is_array()) else {
            return Ok(None);
        };
        match whole(value) {
            Some(n) => Ok(Some(n)),
            None => Err(self.bad(keys, value, "is not a whole number")),
        }
    }

    pub(super) fn number(&self, keys: &[&str]) -> Result<Option<f64>, Error> {
        let Some(value) = self.get(keys) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(n) => Ok(Some(n)),
            None => Err(self.bad(keys, value, "is not a number")),
        }
    }

    /// A flag; anything but `true` and `false` counts as absent.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.get(&[key])?.as_bool()
    }

    /// Token ids: one number or a list of them. Others are left out.
    pub(super) fn ids(&self, key: &str) -> Vec<u32> {
        let id = |v: &Value| whole(v).and_then(|n| u32::try_from(n).ok());
        match self.get(&[key]) {
            Some(Value::Array(list)) => list.iter().filter_map(id).collect(),
            Some(value) => id(value).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The problem with the value of the first present of `keys`.
    pub(super) fn bad(&self, keys: &[&str], value: &Value, problem: &str) -> Error {
        let key = keys
            .iter()
            .find(|key| self.map.contains_key(**key))
            .unwrap_or(&keys[0]);
        let mut value = value.to_string();
        if value.chars().count() > 60 {
            value = value.chars().take(60).chain(['…']).collect();
        }
        Error::file(
            &self.file,
            format!("{key} = {value} {problem}"),
            "correct it, or download the bundle again",
        )
    }
}

fn whole(value: &Value) -> Option<usize> {
    if let Some(n) = value.as_u64() {
        return usize::try_from(n).ok();
    }
    // Converters sometimes write 80.0.
    value
        .as_f64()
        .filter(|n| n.fract() == 0.0 && (0.0..9e15).contains(n))
        .map(|n| n as usize)
}
