//! `cairn models` from outside, and the names that `--model` takes.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

struct Place {
    home: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn run(&self, variables: &[(&str, &Path)], arguments: &[&str]) -> Output {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_cairn"));
        for name in ["CAIRN_MODEL", "HF_HOME", "HF_HUB_CACHE", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        command
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.at("config"))
            .env("XDG_STATE_HOME", self.at("state"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .envs(variables.iter().copied())
            .args(arguments)
            .current_dir(self.home.path())
            .output()
            .unwrap()
    }

    fn config(&self, text: &str) {
        std::fs::create_dir_all(self.at("config/cairn")).unwrap();
        std::fs::write(self.at("config/cairn/config.toml"), text).unwrap();
    }

    fn list(&self, variables: &[(&str, &Path)]) -> Vec<Value> {
        let output = self.run(variables, &["models", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        object["models"].as_array().unwrap().clone()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo")
}

/// The demo as the hub's tools keep a download: links to blobs elsewhere.
fn download(hub: &Path, repository: &str, revision: &str) -> PathBuf {
    let folder = hub.join(repository);
    let snapshot = folder.join("snapshots").join(revision);
    for part in [&snapshot, &folder.join("blobs"), &folder.join("refs")] {
        std::fs::create_dir_all(part).unwrap();
    }
    std::fs::write(folder.join("refs/main"), revision).unwrap();
    for (number, entry) in std::fs::read_dir(demo()).unwrap().enumerate() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            let blob = folder.join("blobs").join(number.to_string());
            std::fs::copy(entry.path(), &blob).unwrap();
            let link = format!("../../blobs/{number}");
            std::os::unix::fs::symlink(link, snapshot.join(entry.file_name())).unwrap();
        }
    }
    snapshot
}

#[test]
fn the_demo_is_always_there() {
    let place = Place::new();
    let list = place.list(&[]);
    assert_eq!(list.len(), 1);
    assert_eq!(
        (list[0]["name"].as_str(), list[0]["usable"].as_bool()),
        (Some("demo"), Some(true))
    );
    assert_eq!(list[0]["format"], "mxtq");
    let weights = list[0]["weights_bytes"].as_u64().unwrap();
    assert!(list[0]["bytes"].as_u64().unwrap() > weights && list[0]["kv_bytes"].as_u64() > Some(0));
}

#[test]
fn downloads_and_folders_are_listed_with_what_they_are() {
    let place = Place::new();
    let snapshot = download(
        &place.at("cache/huggingface/hub"),
        "models--org--small",
        "abcdef0123",
    );
    std::fs::create_dir_all(place.at("models")).unwrap();
    std::os::unix::fs::symlink(demo(), place.at("models/mine")).unwrap();
    std::fs::create_dir_all(place.at("models/b\u{1b}[31md")).unwrap();
    std::fs::write(
        place.at("models/b\u{1b}[31md/config.json"),
        r#"{"model_type": "bert"}"#,
    )
    .unwrap();
    let list = place.list(&[]);
    let names: Vec<&str> = list
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["demo", "b\u{1b}[31md", "mine", "org/small"]);
    assert_eq!(list[1]["usable"], false);
    assert!(
        list[1]["problem"]
            .as_str()
            .unwrap()
            .contains("model_type bert is not known")
    );
    assert_eq!(list[2]["weights_bytes"], list[3]["weights_bytes"]);
    assert_eq!(list[3]["path"].as_str(), snapshot.to_str());
    assert!(
        list[3]["bytes"].as_u64() > list[3]["weights_bytes"].as_u64(),
        "links are followed"
    );
    let shown = text(&place.run(&[], &["models"]).stdout);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    assert!(
        shown.contains("unusable: config.json: model_type bert is not known"),
        "{shown}"
    );

    for variables in [
        [("HF_HUB_CACHE", place.at("cache/huggingface/hub"))],
        [("HF_HOME", place.at("cache/huggingface"))],
    ] {
        let variables = [
            (variables[0].0, variables[0].1.as_path()),
            ("XDG_CACHE_HOME", Path::new("/nonexistent")),
        ];
        assert_eq!(place.list(&variables).len(), 4);
    }
}

#[test]
fn a_name_is_enough() {
    let place = Place::new();
    let hub = place.at("cache/huggingface/hub");
    download(&hub, "models--org--small", "abcdef0123");
    let name = |model: &str| {
        let output = place.run(&[], &["inspect", model]);
        (
            output.status.code().unwrap(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    for model in ["org/small", "small", "demo"] {
        let (status, said) = name(model);
        assert_eq!(status, 0, "{said}");
        assert!(said.contains("family       zaya"), "{said}");
    }
    let (status, said) = name("smal");
    assert_eq!((status, said.lines().count()), (3, 1), "{said}");
    assert!(
        said.contains("smal: there is no such folder, and no bundle of this name"),
        "{said}"
    );
    download(&hub, "models--other--small", "0123");
    let (status, said) = name("small");
    assert_eq!((status, said.lines().count()), (3, 1), "{said}");
    assert!(said.contains("small is the name of several: "), "{said}");
    assert_eq!(name("other/small").0, 0);
}

/// A folder of the workspace is none that the config means.
#[test]
fn what_is_written_down_means_the_same_everywhere() {
    let place = Place::new();
    std::fs::create_dir_all(place.at("near")).unwrap();
    place.config("model = \"near\"\n");
    let output = place.run(&[], &["inspect"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("near: there is no such folder, and no bundle"));
    place.config("model = \"~/elsewhere/x\"\n[models]\nfolders = [\"~/elsewhere\"]\n");
    std::fs::create_dir_all(place.at("elsewhere")).unwrap();
    std::os::unix::fs::symlink(demo(), place.at("elsewhere/x")).unwrap();
    assert_eq!(place.run(&[], &["inspect"]).status.code(), Some(0));
    place.config("model = \"x\"\n[models]\nfolders = [\"~/elsewhere\"]\n");
    assert_eq!(place.run(&[], &["inspect"]).status.code(), Some(0));
    let output = place.run(&[], &["inspect", "near"]);
    assert!(
        text(&output.stderr).contains("config.json: is missing"),
        "typed, it is the folder"
    );
}
