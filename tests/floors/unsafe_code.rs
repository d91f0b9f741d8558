//! Where `unsafe` may stand: the kernels, the sandbox, memory maps and cache
//! files. That each block carries its argument is clippy's
//! `undocumented_unsafe_blocks`.

use crate::source;

/// Folders and files, relative to the root, that may hold `unsafe`.
const ALLOWED: &[&str] = &[
    "src/backend/",
    "src/sandbox/",
    "src/cache/",
    // The memory map.
    "src/bundle/storage.rs",
    // An allocator that counts.
    "tests/bundle_fuzz.rs",
    "tests/escape/",
];

#[test]
fn unsafe_stands_only_where_it_is_allowed() {
    let mut complaints = Vec::new();
    for folder in ["src", "tests", "xtask/src"] {
        for path in source::rust_files(&source::root().join(folder)) {
            let file = path.strip_prefix(source::root()).unwrap_or(&path);
            let name = file.to_string_lossy().replace('\\', "/");
            if ALLOWED.iter().any(|allowed| name.starts_with(allowed)) {
                continue;
            }
            for token in source::tokens(&source::read(&path)) {
                if token.text == "unsafe" {
                    complaints.push(format!("{name}:{}", token.line));
                }
            }
        }
    }
    assert!(
        complaints.is_empty(),
        "unsafe outside {ALLOWED:?}:\n{}",
        complaints.join("\n")
    );
}
