//! The floors: a module imports only from modules declared above its own in
//! `src/lib.rs`, and front ends know nothing of each other.

use std::path::Path;

use crate::source::{self, Token};

/// Modules of one floor, which may not import each other either way.
const SIDE_BY_SIDE: &[&[&str]] = &[&["batch", "repl", "tui"]];

/// A path from the code of module `from` (empty for the crate's root) to the
/// crate's module `to`.
#[derive(Debug, PartialEq)]
struct Edge {
    from: String,
    to: String,
    line: usize,
}

/// Names of the crate's modules in the order of their declaration.
fn declared(lib: &str) -> Vec<String> {
    let tokens = source::tokens(lib);
    tokens
        .windows(3)
        .filter(|w| w[0].text == "mod" && w[2].text == ";")
        .map(|w| w[1].text.clone())
        .collect()
}

/// Path of modules that `file` (relative to `src/`) defines.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
        path.pop();
    }
    path
}

/// Every edge that starts in a file whose module path is `module`.
fn edges(tokens: &[Token], module: &[String]) -> Vec<Edge> {
    let from = module.first().cloned().unwrap_or_default();
    let mut out = Vec::new();
    // The brace depth inside each inline module around the token.
    let mut inline: Vec<usize> = Vec::new();
    // The groups of `super::{..}` around the token: depth inside, modules up.
    let mut groups: Vec<(usize, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        match text {
            "mod" if tokens.get(at + 2).is_some_and(|t| t.text == "{") => {
                depth += 1;
                inline.push(depth);
                at += 3;
                continue;
            }
            "{" => depth += 1,
            "}" => {
                inline.pop_if(|inside| *inside == depth);
                groups.pop_if(|(inside, _)| *inside == depth);
                depth -= 1;
            }
            "crate" | "super" => {
                let (mut supers, next) = climb(tokens, at);
                let begins = at > 0 && ["{", ","].contains(&&*tokens[at - 1].text);
                if let Some((inside, outer)) = groups.last()
                    && *inside == depth
                    && begins
                {
                    supers += outer;
                }
                // How far below the crate's root the path starts.
                let height = (module.len() + inline.len()).checked_sub(supers);
                if text == "crate" || height == Some(0) {
                    for (to, line) in heads(tokens, next) {
                        let from = from.clone();
                        out.push(Edge { from, to, line });
                    }
                }
                if text == "super" && tokens.get(next).is_some_and(|t| t.text == "{") {
                    groups.push((depth + 1, supers));
                }
                at = next.max(at + 1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// Steps over `crate` or a run of `super`s; how many modules up, and where the
/// rest of the path starts.
fn climb(tokens: &[Token], mut at: usize) -> (usize, usize) {
    let mut supers = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "super" => supers += 1,
            "crate" => {}
            _ => break,
        }
        at += 1;
        if tokens.get(at).is_some_and(|t| t.text == "::") {
            at += 1;
        } else {
            break;
        }
    }
    (supers, at)
}

/// First names of the path or the use group at `at`; none if no path is there.
/// The root under another name (`use crate as root`) counts as a name of its own:
/// paths through it could not be followed.
fn heads(tokens: &[Token], at: usize) -> Vec<(String, usize)> {
    let follows_path = at > 0 && tokens[at - 1].text == "::";
    let renamed = |token: &&Token| token.text == "as";
    let Some(token) = tokens.get(at).filter(|t| follows_path || renamed(t)) else {
        return Vec::new();
    };
    if token.text != "{" {
        return vec![(token.text.clone(), token.line)];
    }
    let mut out = Vec::new();
    let (mut depth, mut expects) = (0, true);
    for token in &tokens[at..] {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            "," if depth == 1 => expects = true,
            name if expects && depth == 1 => {
                out.push((name.to_owned(), token.line));
                expects = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    out
}

/// What is wrong with `edge`, if anything.
fn complaint(edge: &Edge, order: &[String]) -> Option<String> {
    let floor = |name: &str| order.iter().position(|module| module == name);
    let Some(to) = floor(&edge.to) else {
        return Some(format!("`{}` is no module of src/lib.rs", edge.to));
    };
    let from = floor(&edge.from)?;
    let side = SIDE_BY_SIDE
        .iter()
        .any(|group| group.contains(&&*edge.from) && group.contains(&&*edge.to));
    if edge.from == edge.to {
        None
    } else if side {
        Some(format!("`{}` and `{}` share a floor", edge.from, edge.to))
    } else if to > from {
        Some(format!("`{}` lies above `{}`", edge.to, edge.from))
    } else {
        None
    }
}

#[test]
fn no_module_imports_from_above_or_beside() {
    let src = source::root().join("src");
    let order = declared(&source::read(&src.join("lib.rs")));
    assert!(order.len() >= 13, "only {order:?} found in src/lib.rs");
    let (mut complaints, mut count) = (Vec::new(), 0);
    for path in source::rust_files(&src) {
        let file = path.strip_prefix(&src).unwrap_or(&path);
        if file == Path::new("main.rs") {
            continue; // above all floors, and in a crate of its own
        }
        let module = module_path(file);
        let floor = module.first();
        if floor.is_some_and(|floor| !order.contains(floor)) {
            complaints.push(format!("src/{}: not in src/lib.rs", file.display()));
        }
        for edge in edges(&source::tokens(&source::read(&path)), &module) {
            count += 1;
            if let Some(complaint) = complaint(&edge, &order) {
                complaints.push(format!("src/{}:{}: {complaint}", file.display(), edge.line));
            }
        }
    }
    assert!(count > 0, "no edge found: the reader is broken");
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn found(source: &str, file: &str) -> Vec<(String, String)> {
    edges(&source::tokens(source), &module_path(Path::new(file)))
        .into_iter()
        .map(|edge| (edge.from, edge.to))
        .collect()
}

fn pairs(from: &str, to: &[&str]) -> Vec<(String, String)> {
    to.iter()
        .map(|to| (from.to_owned(), (*to).to_owned()))
        .collect()
}

#[test]
fn paths_and_groups_are_edges() {
    let source = "use crate::{quant::{self, Matrix}, bundle::Bundle};
        pub(crate) fn f() -> crate::cache::Cache { crate::model::zaya::g() }";
    assert_eq!(
        found(source, "agent/mod.rs"),
        pairs("agent", &["quant", "bundle", "cache", "model"])
    );
}

#[test]
fn super_counts_only_when_it_leaves_the_floor() {
    let source = "use super::sibling; use super::super::chat::Role;
        mod tests { use super::super::super::tools::Call; use super::super::parts; }";
    assert_eq!(
        found(source, "model/zaya.rs"),
        pairs("model", &["chat", "tools"])
    );
    assert_eq!(
        found("use super::chat;", "model/mod.rs"),
        pairs("model", &["chat"])
    );
}

#[test]
fn no_way_of_writing_a_path_hides_it() {
    for (source, file, to) in [
        (
            "use super::{super::agent::Turn, sibling};",
            "model/zaya.rs",
            vec!["agent"],
        ),
        (
            "use super::{sibling, super::{agent, cli}};",
            "model/zaya.rs",
            vec!["agent", "cli"],
        ),
        (
            "use self::super::super::agent::Turn;",
            "model/zaya.rs",
            vec!["agent"],
        ),
        (
            "use crate as root; fn f() { root::agent::g() }",
            "model/mod.rs",
            vec!["as"],
        ),
        ("use super::super as root;", "model/zaya.rs", vec!["as"]),
        (
            "use super::super::{self as root};",
            "model/zaya.rs",
            vec!["self"],
        ),
        (
            "macro_rules! m { () => { $crate::agent::g() } }",
            "model/mod.rs",
            vec!["agent"],
        ),
        (
            "pub(crate) fn f() {} pub(super) fn g() {} pub(in crate::model) fn h() {}",
            "model/zaya.rs",
            vec!["model"],
        ),
    ] {
        assert_eq!(found(source, file), pairs("model", &to), "{source}");
    }
}

#[test]
fn upward_and_sideways_edges_are_refused() {
    let order: Vec<String> = ["quant", "chat", "batch", "repl"].map(str::to_owned).into();
    let verdict = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        complaint(&Edge { from, to, line: 1 }, &order)
    };
    assert_eq!(verdict("chat", "quant"), None);
    assert_eq!(verdict("chat", "chat"), None);
    assert_eq!(
        verdict("quant", "chat"),
        Some("`chat` lies above `quant`".to_owned())
    );
    assert_eq!(
        verdict("repl", "batch"),
        Some("`repl` and `batch` share a floor".to_owned())
    );
    assert_eq!(
        verdict("repl", "tui"),
        Some("`tui` is no module of src/lib.rs".to_owned())
    );
}
