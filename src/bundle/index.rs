//! All tensors of a bundle by name: one `model.safetensors`, or shards with or
//! without an index. Checks that the files say the same thing about who holds
//! what. The MXTQ sidecar is not part of the model and is never merged in.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::quant::Bytes;

use super::error::{DOWNLOAD_AGAIN, Error, shown};
use super::shard::{self, Dtype};
use super::storage::Storage;

pub(super) const SIDECAR: &str = "jangtq_runtime.safetensors";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// An overlay of older converters: the same experts once more.
const OVERLAY: &str = "jangtq_stacked.safetensors";

const INDEX_LIMIT: usize = 64 << 20;

/// A tensor in the mapping of its file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Index into [`Index::files`].
    pub(super) file: u32,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) data: Bytes,
}

/// Every tensor of the model, by the name its file gives it.
pub(super) struct Index {
    pub(super) tensors: HashMap<String, Stored>,
    /// Weight files, in order.
    pub(super) files: Vec<WeightFile>,
    pub(super) warnings: Vec<String>,
}

pub(super) struct WeightFile {
    pub(super) name: String,
    pub(super) bytes: Bytes,
    /// Length of the header with its length field.
    pub(super) header: usize,
}

impl Index {
    pub(super) fn open(storage: &Storage) -> Result<Self, Error> {
        let names = storage.list()?;
        let mut warnings = Vec::new();
        let shards: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|n| shard_number(n).is_some())
            .collect();
        let has = |name: &str| names.iter().any(|n| n == name);
        if has(OVERLAY) {
            warnings.push(format!("{OVERLAY} is ignored: it repeats the experts"));
        }

        let map = match storage.small(INDEX, INDEX_LIMIT)? {
            Some(json) => Some(WeightMap::parse(&json)?),
            None => None,
        };
        let chosen: Vec<String> = match &map {
            Some(map) => {
                for name in &shards {
                    if !map.files.iter().any(|f| f == name) {
                        warnings.push(format!(
                            "{} is ignored: {INDEX} doesn't name it",
                            shown(name)
                        ));
                    }
                }
                map.files.clone()
            }
            None if has(SINGLE) => {
                if !shards.is_empty() {
                    warnings.push(format!(
                        "{} shards are ignored: there is a {SINGLE} and no index",
                        shards.len()
                    ));
                }
                vec![SINGLE.to_owned()]
            }
            None => complete_set(&shards)?,
        };

        let mut index = Self {
            tensors: HashMap::new(),
            files: Vec::new(),
            warnings,
        };
        for name in chosen {
            index.add(storage, name)?;
        }
        if let Some(map) = &map {
            index.check_against(map)?;
        }
        Ok(index)
    }

    /// The name of the file that holds `stored`.
    pub(super) fn file_of(&self, stored: &Stored) -> &str {
        &self.files[stored.file as usize].name
    }

    /// Bytes of all weight files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes.len() as u64).sum()
    }

    fn add(&mut self, storage: &Storage, name: String) -> Result<(), Error> {
        let bytes = storage.require(&name, "a weight file of the model", usize::MAX)?;
        let file = self.files.len() as u32;
        let entries = shard::read(&name, &bytes)?;
        let header = entries
            .first()
            .map_or(bytes.len(), |first| first.range.start);
        for entry in entries {
            let stored = Stored {
                file,
                dtype: entry.dtype,
                shape: entry.shape,
                data: bytes.slice(entry.range),
            };
            if let Some(other) = self.tensors.get(&entry.name) {
                let problem = if other.file == file {
                    "is in this file twice".to_owned()
                } else {
                    format!("is also in {}", shown(self.file_of(other)))
                };
                return Err(Error::tensor(&name, &entry.name, problem, DOWNLOAD_AGAIN));
            }
            self.tensors.insert(entry.name, stored);
        }
        self.files.push(WeightFile {
            name,
            bytes,
            header,
        });
        Ok(())
    }

    /// The index and the shards must agree on every tensor.
    fn check_against(&self, map: &WeightMap) -> Result<(), Error> {
        let lie = |tensor: &str, problem: String| {
            let remedy = "download the index and the shards again, from one source";
            Error::tensor(INDEX, tensor, problem, remedy)
        };
        for (tensor, file) in &map.entries {
            let claimed = &map.files[*file as usize];
            match self.tensors.get(tensor) {
                Some(stored) if stored.file == *file => {}
                Some(stored) => {
                    let actual = shown(self.file_of(stored));
                    let problem = format!("should be in {} but is in {actual}", shown(claimed));
                    return Err(lie(tensor, problem));
                }
                None => return Err(lie(tensor, format!("is not in {}", shown(claimed)))),
            }
        }
        if map.entries.len() != self.tensors.len() {
            let listed: std::collections::HashSet<&str> =
                map.entries.iter().map(|(name, _)| name.as_str()).collect();
            if listed.len() != map.entries.len() {
                let problem = "names a tensor twice";
                return Err(Error::file(INDEX, problem, DOWNLOAD_AGAIN));
            }
            let unlisted = self
                .tensors
                .iter()
                .filter(|(n, _)| !listed.contains(n.as_str()));
            if let Some((name, stored)) = unlisted.min_by_key(|(name, _)| name.as_str()) {
                let file = shown(self.file_of(stored));
                return Err(lie(name, format!("is in {file} but not in the index")));
            }
        }
        Ok(())
    }
}

/// `k` and `N` (as text) of `model-k-of-N.safetensors`.
fn shard_number(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("model-")?
        .strip_suffix(".safetensors")?
        .split_once("-of-")
}

/// Shards without an index: the set must be complete, 1 to N of one N.
fn complete_set(shards: &[&str]) -> Result<Vec<String>, Error> {
    let Some((_, total)) = shards.first().and_then(|n| shard_number(n)) else {
        let problem = "is missing, and there are no model-*-of-*.safetensors either";
        let remedy = "give the folder of a complete bundle";
        return Err(Error::file(SINGLE, problem, remedy));
    };
    let Ok(count) = total.parse::<usize>() else {
        let problem = "comes from a conversion that was interrupted";
        return Err(Error::file(shards[0], problem, "convert the model again"));
    };
    let mut numbers = Vec::new();
    for name in shards {
        match shard_number(name).map(|(k, n)| (k.parse::<usize>(), n)) {
            Some((Ok(k), n)) if n == total => numbers.push(k),
            _ => {
                let problem = format!("belongs to another set of shards than {}", shown(shards[0]));
                let remedy = "keep only one set of shards in the folder";
                return Err(Error::file(name, problem, remedy));
            }
        }
    }
    numbers.sort_unstable();
    if numbers.len() != count || numbers.iter().enumerate().any(|(i, k)| *k != i + 1) {
        let problem = format!(
            "is one of {count} shards, of which {} are here",
            shards.len()
        );
        let remedy = "download the missing shards";
        return Err(Error::file(shards[0], problem, remedy));
    }
    Ok(shards.iter().map(|s| (*s).to_owned()).collect())
}

/// `weight_map` of the index: which file holds which tensor.
struct WeightMap {
    files: Vec<String>,
    entries: Vec<(String, u32)>,
}

impl WeightMap {
    fn parse(json: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Root {
            weight_map: WeightMap,
        }
        let bad = |problem: String| Error::file(INDEX, problem, DOWNLOAD_AGAIN);
        let Root { weight_map: map } =
            serde_json::from_slice(json).map_err(|e| bad(format!("is not a valid index ({e})")))?;
        for file in &map.files {
            // A path could lead out of the folder; weights lie next to the index.
            if file.contains(['/', '\\']) || !file.ends_with(".safetensors") || file == SIDECAR {
                return Err(bad(format!("names {}, not a shard", shown(file))));
            }
        }
        if map.files.is_empty() {
            return Err(bad("names no shard".to_owned()));
        }
        Ok(map)
    }
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = WeightMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object from tensor to file")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut numbers: HashMap<String, u32> = HashMap::new();
                let mut entries = Vec::new();
                while let Some((tensor, file)) = map.next_entry::<String, String>()? {
                    let next = numbers.len() as u32;
                    entries.push((tensor, *numbers.entry(file).or_insert(next)));
                }
                let mut files = vec![String::new(); numbers.len()];
                for (file, number) in numbers {
                    files[number as usize] = file;
                }
                Ok(WeightMap { files, entries })
            }
        }
        deserializer.deserialize_map(Map)
    }
}
