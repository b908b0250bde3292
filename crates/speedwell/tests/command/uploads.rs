//! An audit of a service with uploads, and with things that can be used up.

use crate::support::{Project, faulty};
use serde_json::Value;

/// The example service, as one that is sent forms and whose items can be taken once. A POST of its
/// takes any body.
fn config() -> String {
    let program = faulty().display().to_string();
    format!(
        r#"
[service]
name = "faulty"
command = "{program} serve"
ready = "/ready"
database = "sqlite:{{workdir}}/faulty.db"

[data]
prepare = "{program} seed --scale {{scale}} && head -c 100000 /dev/urandom > {{workdir}}/photo.jpg"
scales = [50]

[[setup]]
name = "visit"
post = "/healthy/repeated/visit"
multipart = {{ title = "Visit ${{user}}", tags = ["a", "b"], photo = {{ file = "{{workdir}}/photo.jpg" }}, note = {{ file = "note.txt" }} }}

[[setup]]
name = "own items"
get = "/healthy/n-plus-one/json-batch?page_size=10"
capture = {{ own = "$.items[*].id" }}

[[route]]
name = "list"
get = "/healthy/n-plus-one/json-batch?page_size=${{page_size}}"
page_sizes = [10]
capture = {{ item = "$.items[*].id" }}
budget = {{ bytes_per_row = 1 }}

[[route]]
name = "compare"
get = "/healthy/repeated/compare?left=${{take item}}&right=1"

[[route]]
name = "use up"
get = "/healthy/repeated/compare?left=${{take own}}&right=1"
budget = {{ bytes_per_row = 100_000 }}

[load]
users = 2
think = "10ms"
ramp_s = 0
steady_s = 2
"#
    )
}

fn route<'a>(report: &'a Value, name: &str) -> &'a Value {
    let routes = report["routes"].as_array().unwrap();
    routes.iter().find(|route| route["name"] == name).unwrap()
}

fn reasons(report: &Value, name: &str) -> String {
    route(report, name)["reasons"].to_string()
}

#[test]
fn uploads_are_sent_and_what_is_used_up_is_said() {
    let project = Project::new(&config());
    std::fs::write(project.0.path().join("note.txt"), "two words").unwrap();
    let run = project.speedwell(&["audit", "--format", "json"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    let report: Value = serde_json::from_str(&run.out).unwrap();

    // Setups are probed, and sent once by each user.
    let visit = route(&report, "visit");
    assert_eq!(visit["probes"][0]["statements"], 3, "{visit}");
    assert_eq!(visit["latency"]["samples"], 2, "{visit}");

    // What a user has taken it lists again; what only its setup captured is gone for good.
    assert_eq!(route(&report, "compare")["skipped"], 0);
    let used_up = route(&report, "use up");
    assert_eq!(used_up["latency"]["samples"], 20, "{used_up}");
    assert!(used_up["skipped"].as_u64().unwrap() > 5, "{used_up}");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("`use up` was skipped in"), "{warnings}");
    for name in ["compare", "use up", "visit"] {
        assert!(
            !reasons(&report, name).contains("error"),
            "{}",
            route(&report, name)
        );
    }

    let list = route(&report, "list");
    assert!(
        list["probes"][0]["body_bytes"].as_u64().unwrap() > 200,
        "{list}"
    );
    assert!(reasons(&report, "list").contains("bytes per row"), "{list}");
    assert!(!reasons(&report, "use up").contains("bytes per row"));
}

#[test]
fn a_file_that_is_missing_is_named_with_its_field_and_line() {
    Project::new(&config())
        .speedwell(&["audit", "--no-load"])
        .refuses(&[
            "line 15",
            "route `visit`",
            "`note`",
            "note.txt",
            "give the path",
        ]);
}

#[test]
fn a_file_that_prepare_does_not_write_is_named_with_its_field() {
    let project = Project::new(&config().replace("> {workdir}/photo.jpg", "> /dev/null"));
    std::fs::write(project.0.path().join("note.txt"), "two words").unwrap();
    project.speedwell(&["audit", "--no-load"]).refuses(&[
        "route `visit`",
        "`photo`",
        "photo.jpg",
        "prepare",
    ]);
}
