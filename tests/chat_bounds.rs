//! Templates that cost too much, run by the program itself: the memory that is
//! watched is the process's, so each needs one of its own.

use std::path::Path;
use std::process::{Command, Stdio};

/// Exit status and stderr of rendering with `template`.
fn render(template: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    for entry in std::fs::read_dir(demo).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    std::fs::write(dir.path().join("chat_template.jinja"), template).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_cairn"));
    program.args(["debug", "render", "--model"]).arg(dir.path());
    program.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = program.stderr(Stdio::piped()).spawn().unwrap();
    let input = br#"{"messages": [{"role": "user", "content": "hi"}]}"#;
    // It may refuse the template before it reads.
    let _ = std::io::Write::write_all(&mut running.stdin.take().unwrap(), input);
    let output = running.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), error)
}

#[test]
fn memory_is_bounded() {
    let templates = [
        "{% set x = 'a' * 100000 %}{{ x | replace('a', x) | length }}".to_owned(),
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}\
         {% set ns.x = ns.x ~ ns.x %}{% endfor %}"
            .to_owned(),
        format!("{{% set x = 'aa' %}}{}", "{% set x = x ~ x %}".repeat(60)),
        "{% set ns = namespace(x=['a' * 1000]) %}{% for i in range(40) %}\
         {% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson | length }}"
            .to_owned(),
    ];
    for template in templates {
        let (status, error) = render(&template);
        assert_eq!(status, Some(3), "{template}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("MB of memory"), "{error}");
    }
}

#[test]
fn a_template_that_does_not_compile_is_the_bundle_s_fault() {
    let (status, error) = render("{% if %}");
    assert_eq!(status, Some(3), "{error}");
    let (status, error) = render("{{ raise_exception('not this conversation') }}");
    assert_eq!(status, Some(2), "{error}");
}
