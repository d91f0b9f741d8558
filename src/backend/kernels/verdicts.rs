//! What a device's self-test found, as a file, so that it runs once and not at
//! every start. A file that is damaged, of another device, system or version of
//! the kernels, or of a kernel's text that has changed, counts as absent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Dims, KernelSpec, Verdict};

/// No file of ours is larger; others are not read whole.
const LARGEST: u64 = 64 << 10;

const VERSION: u32 = 1;

/// Names the device, the system and the kernels that verdicts are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// `system`: name and version, as a compiler of kernels comes with it.
    pub fn new(device: &str, system: &str, specs: &[&KernelSpec]) -> Self {
        let mut hash = Hash::new();
        hash.text(env!("CARGO_PKG_VERSION"));
        hash.text(device);
        hash.text(system);
        for spec in specs {
            hash.text(spec.name);
            hash.text(spec.header);
            hash.text(spec.source);
            for port in spec.inputs.iter().chain(spec.outputs) {
                hash.text(&format!("{port:?}"));
            }
            hash.text(&spec.template.join(" "));
            // Geometry is code, which can't be hashed: what it gives can.
            for pairs in spec.shapes {
                let dims = Dims::new(pairs);
                let geometry = ((spec.grid)(&dims), (spec.threadgroup)(&dims));
                hash.text(&format!("{dims} {geometry:?}"));
            }
        }
        Self(format!("{:016x}{:016x}", hash.0[0], hash.0[1]))
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("kernels-{}.json", self.0))
    }
}

/// One verdict per kernel; of some that were not tested yet, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdicts(BTreeMap<String, Verdict>);

/// As in the file. A verdict is `agrees`, `differs`, or `failed: ` and why.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    key: String,
    verdicts: BTreeMap<String, String>,
}

impl Verdicts {
    pub fn set(&mut self, name: &str, verdict: Verdict) {
        self.0.insert(name.to_owned(), verdict);
    }

    /// `None` if the kernel was not tested.
    pub fn get(&self, name: &str) -> Option<&Verdict> {
        self.0.get(name)
    }

    /// Whether a kernel may be used: only if it is known to agree.
    pub fn allow(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Verdict::Agrees)
    }

    /// Kernels that must not be used, with the reason.
    pub fn refused(&self) -> impl Iterator<Item = (&str, &Verdict)> {
        let all = self.0.iter().map(|(name, verdict)| (&**name, verdict));
        all.filter(|(_, verdict)| **verdict != Verdict::Agrees)
    }

    /// `None` if there is nothing, or nothing sound, for `key`.
    pub fn load(folder: &Path, key: &Key) -> Option<Self> {
        let mut bytes = Vec::new();
        let file = File::open(key.file(folder)).ok()?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
        if bytes.len() as u64 > LARGEST {
            return None;
        }
        let stored: Stored = serde_json::from_slice(&bytes).ok()?;
        if stored.version != VERSION || stored.key != key.0 {
            return None;
        }
        let read = |(name, text): (String, String)| Some((name, parse(&text)?));
        let verdicts = stored.verdicts.into_iter().map(read);
        Some(Self(verdicts.collect::<Option<_>>()?))
    }

    /// Written aside and renamed, so that no one ever reads half of it.
    ///
    /// # Errors
    /// If the folder can't be made or written to.
    pub fn store(&self, folder: &Path, key: &Key) -> io::Result<()> {
        let stored = Stored {
            version: VERSION,
            key: key.0.clone(),
            verdicts: self
                .0
                .iter()
                .map(|(name, verdict)| (name.clone(), verdict.to_string()))
                .collect(),
        };
        fs::create_dir_all(folder)?;
        let target = key.file(folder);
        let temporary = target.with_extension(format!("{}.tmp", std::process::id()));
        let written = File::create(&temporary)
            .and_then(|mut file| {
                file.write_all(&serde_json::to_vec_pretty(&stored)?)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, &target));
        if written.is_err() {
            // Nobody looks for it; the error that counts is the first one.
            let _ = fs::remove_file(&temporary);
            return written;
        }
        // The name is only as lasting as its folder.
        File::open(folder)?.sync_all()
    }
}

fn parse(text: &str) -> Option<Verdict> {
    match text {
        "agrees" => Some(Verdict::Agrees),
        "differs" => Some(Verdict::Differs),
        _ => {
            let reason = text.strip_prefix("failed: ")?;
            Some(Verdict::Failed(reason.to_owned()))
        }
    }
}

/// FNV-1a over bytes, twice from different beginnings. It tells texts apart; it
/// protects against nothing.
struct Hash([u64; 2]);

impl Hash {
    fn new() -> Self {
        Self([0xcbf2_9ce4_8422_2325, 0x6c62_272e_07bb_0142])
    }

    /// Adds a text and its end, so that the borders between texts count.
    fn text(&mut self, text: &str) {
        for byte in text.bytes().chain([0xff]) {
            for lane in &mut self.0 {
                *lane = (*lane ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::kernels::{Element, HostArray, Port};

    const SPEC: KernelSpec = KernelSpec {
        name: "one",
        inputs: &[Port {
            name: "x",
            elements: &[Element::F32],
            shape: &["N"],
        }],
        outputs: &[],
        header: "",
        source: "text",
        template: &[],
        grid: |dims| [dims.get("N"), 1, 1],
        threadgroup: |_| [32, 1, 1],
        supports: |_| true,
        reference: |_, _| Vec::<HostArray>::new(),
        shapes: &[&[("N", 4)]],
        random_shape: |_| Dims::new(&[("N", 4)]),
        random_inputs: |_, _| Vec::new(),
    };

    fn key(spec: &KernelSpec) -> Key {
        Key::new("device", "system 1", &[spec])
    }

    fn verdicts() -> Verdicts {
        let mut verdicts = Verdicts::default();
        verdicts.set("one", Verdict::Differs);
        verdicts.set("one", Verdict::Agrees);
        verdicts.set("two", Verdict::Differs);
        verdicts.set("three", Verdict::Failed("it does not compile: 1:2".into()));
        verdicts
    }

    #[test]
    fn only_what_agrees_is_allowed() {
        let verdicts = verdicts();
        assert!(verdicts.allow("one"));
        let refused: Vec<(&str, String)> = verdicts
            .refused()
            .map(|(name, verdict)| (name, verdict.to_string()))
            .collect();
        assert_eq!(
            refused,
            [
                ("three", "failed: it does not compile: 1:2".to_owned()),
                ("two", "differs".to_owned()),
            ]
        );
        for name in ["two", "three", "unheard of"] {
            assert!(!verdicts.allow(name), "{name}");
        }
        assert_eq!(verdicts.get("two"), Some(&Verdict::Differs));
        assert_eq!(verdicts.get("unheard of"), None);
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        assert_eq!(Verdicts::load(&inner, &key(&SPEC)), None);
        verdicts().store(&inner, &key(&SPEC)).unwrap();
        verdicts().store(&inner, &key(&SPEC)).unwrap();
        assert_eq!(Verdicts::load(&inner, &key(&SPEC)), Some(verdicts()));
        assert_eq!(fs::read_dir(&inner).unwrap().count(), 1);
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let base = key(&SPEC);
        let others = [
            Key::new("other", "system 1", &[&SPEC]),
            Key::new("device", "system 2", &[&SPEC]),
            Key::new("device", "system 1", &[&SPEC, &SPEC]),
            key(&KernelSpec {
                source: "text ",
                ..SPEC
            }),
            key(&KernelSpec {
                header: "t",
                source: "ext",
                ..SPEC
            }),
            key(&KernelSpec {
                threadgroup: |_| [64, 1, 1],
                ..SPEC
            }),
            key(&KernelSpec {
                template: &["N"],
                ..SPEC
            }),
            key(&KernelSpec {
                outputs: SPEC.inputs,
                ..SPEC
            }),
        ];
        for other in others {
            assert_ne!(other, base);
        }
        assert_eq!(key(&SPEC), base);
    }

    #[test]
    fn damaged_and_foreign_files_count_as_absent() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, key) = (folder.path(), key(&SPEC));
        verdicts().store(folder, &key).unwrap();
        let file = key.file(folder);
        let good = fs::read(&file).unwrap();
        for length in 0..good.len() {
            fs::write(&file, &good[..length]).unwrap();
            assert_eq!(Verdicts::load(folder, &key), None, "cut at {length}");
        }
        let text = String::from_utf8(good).unwrap();
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            (key.0.as_str(), "0123456789abcdef0123456789abcdef"),
            ("differs", "agreed"),
            ("\"version\"", "\"more\": 0, \"version\""),
        ] {
            let changed = text.replace(from, to);
            assert_ne!(changed, text);
            fs::write(&file, changed).unwrap();
            assert_eq!(Verdicts::load(folder, &key), None, "{from}");
        }
        let padded = text + &" ".repeat(LARGEST as usize);
        fs::write(&file, padded).unwrap();
        assert_eq!(Verdicts::load(folder, &key), None);
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(Verdicts::load(folder, &key), None);
        assert!(verdicts().store(folder, &key).is_err());
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "no rest is left");
    }
}
