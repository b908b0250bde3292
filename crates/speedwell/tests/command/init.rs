//! A skeleton configuration from an OpenAPI document: written, never over another file.

use std::fs;

use crate::support::{Project, root};

#[test]
fn a_skeleton_is_written_once_and_can_be_exported() {
    let project = Project::new("# mine\n");
    let document = root().join("crates/speedwell/tests/openapi/deals.json");
    let document = document.to_str().unwrap();
    let init = ["load", "init", "--openapi", document];
    project
        .speedwell(&init)
        .refuses(&["`speedwell.toml` is there already", "--output", "--force"]);
    let mine = project.0.path().join("speedwell.toml");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "# mine\n");

    let run = project.speedwell(&[&init[..], &["--output", "new.toml"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(
        run.out.contains("new.toml") && run.out.contains("to fill in"),
        "{run:?}"
    );
    let forced = project.speedwell(&[&init[..], &["--force"]].concat());
    assert_eq!(forced.code, Some(0), "{forced:?}");
    assert_eq!(
        fs::read_to_string(&mine).unwrap(),
        fs::read_to_string(project.0.path().join("new.toml")).unwrap()
    );
    let export = project.speedwell(&["scenario", "export", "--to", "k6"]);
    assert_eq!(export.code, Some(0), "{export:?}");
}

#[test]
fn a_document_that_is_not_there_is_named() {
    let project = Project::new("");
    let init = |openapi: &str| {
        project.speedwell(&["load", "init", "--output", "a.toml", "--openapi", openapi])
    };
    init("no-such.json").refuses(&["no-such.json", "No such file", "openapi.json"]);
    init("https://localhost/openapi.json").refuses(&["TLS", "curl"]);
    init("http://127.0.0.1:1/openapi.json").refuses(&["http://127.0.0.1:1", "refused"]);
    fs::write(project.0.path().join("a.yaml"), "openapi: 3.1.0\n").unwrap();
    init("a.yaml").refuses(&["a.yaml", "yq -o json"]);
    assert!(!project.0.path().join("a.toml").exists());
}
