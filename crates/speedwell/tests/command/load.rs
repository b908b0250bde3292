//! A load without an audit around it: started or running service, verdict, interruption.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{Project, Run, Service, faulty};

/// Long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn config() -> String {
    let program = faulty().display().to_string();
    format!(
        r#"
[service]
name = "faulty"
command = "echo $$ > service.pid; exec {program} serve"
ready = "/ready"
database = "sqlite:{{workdir}}/faulty.db"

[data]
prepare = "{program} seed --scale {{scale}}"
scales = [10, 50]

[budget]
p95_ms = 2000

[[setup]]
name = "first look"
get = "/ready"

[[route]]
name = "newest"
get = "/healthy/full-scan/ordered-walk?page_size=${{page_size}}"
page_sizes = [5, 10]
capture = {{ item = "$.items[*].id" }}
budget = {{ statements = 0 }}

[[route]]
name = "compare"
get = "/healthy/repeated/compare?left=${{pick item}}&right=1"

[load]
users = 4
think = "10ms"
ramp_s = 0.2
steady_s = 1
"#
    )
}

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap()
}

fn route<'a>(report: &'a Value, name: &str) -> &'a Value {
    let routes = report["routes"].as_array().unwrap();
    routes.iter().find(|route| route["name"] == name).unwrap()
}

#[test]
fn a_service_is_started_loaded_and_judged_by_latency_and_errors_alone() {
    let project = Project::new(&config());
    let run = project.speedwell(&["load", "--format", "json", "--save", "a.json"]);
    assert_eq!(run.code, Some(0), "{run:?}");
    // Live figures are for terminals.
    assert_eq!(run.err, "");
    let report = report(&run);
    assert_eq!(
        (&report["kind"], &report["verdict"]),
        (&"load".into(), &"within".into())
    );
    assert_eq!(report["load"]["scale"], 50);
    assert_eq!(report["load"]["target"], Value::Null);
    // Statements were not looked at, so a limit on them is not held to be judged.
    assert_eq!(
        route(&report, "newest")["budget"],
        serde_json::json!({ "p95_ms": 2000.0 })
    );
    assert_eq!(route(&report, "first look")["requests"], 4);
    assert!(
        route(&report, "compare")["latency"]["p95_ms"]
            .as_f64()
            .unwrap()
            > 0.0
    );

    let shown = project.speedwell(&["report", "a.json", "--baseline", "a.json"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(
        shown.out.starts_with("faulty: within budget (3 routes)"),
        "{shown:?}"
    );
    assert!(shown.out.contains("max ms"), "{shown:?}");
    let page = project.speedwell(&["report", "a.json", "--html", "a.html"]);
    assert_eq!(page.code, Some(0), "{page:?}");
    let page = fs::read_to_string(project.0.path().join("a.html")).unwrap();
    assert!(
        page.contains("newest") && !page.contains("Findings"),
        "{page}"
    );
}

#[test]
fn flags_replace_the_configuration_and_a_limit_that_does_not_hold_fails() {
    let broken = config().replace("budget = { statements = 0 }", "expect = 404");
    let project = Project::new(&broken);
    let flags = [
        "load",
        "--rate",
        "100",
        "--users",
        "3",
        "--duration",
        "1",
        "--ramp",
        "0",
    ];
    let run = project.speedwell(&[&flags[..], &["--scale", "20", "--only", "newest"]].concat());
    assert_eq!(run.code, Some(1), "{run:?}");
    for part in [
        "OVER BUDGET (2 routes, 1 over)",
        "100 iterations/s over 3 connections for ",
        " at 20 rows: ",
        "FAIL  newest",
        "errors under load: ",
    ] {
        assert!(run.out.contains(part), "`{part}`: {}", run.out);
    }
}

#[test]
fn a_running_service_is_loaded_where_it_is() {
    let service = Service::faulty();
    let scenario = config();
    let start = scenario.find("command =").unwrap();
    let end = scenario.find("[data]").unwrap();
    // Nothing that starts a service is needed.
    let scenario = [&scenario[..start], &scenario[end..]].concat();
    let users = "[data]\nusers = \"{workdir}/users.csv\"\n";
    let scenario = scenario
        .replace("[data]\n", users)
        .replace("right=1", "right=${row.item}");
    let project = Project::new(&scenario);
    let load = |more: &[&str]| {
        let target = ["load", "--target", &service.url, "--format", "json"];
        project.speedwell(&[&target[..], more].concat())
    };
    load(&[]).refuses(&[
        "`[data] users`",
        "{workdir}/users.csv",
        "--users-csv",
        "--workdir",
    ]);
    fs::write(project.0.path().join("users.csv"), "item\n1\n2\n").unwrap();
    for more in [["--users-csv", "users.csv"], ["--workdir", "."]] {
        let run = load(&more);
        assert_eq!(run.code, Some(0), "{run:?}");
        let report = report(&run);
        assert_eq!(report["load"]["target"], service.url.as_str());
        assert_eq!(report["load"]["errors"], 0);
        assert!(
            report["warnings"]
                .to_string()
                .contains("4 users shared the 2 rows")
        );
    }
    project
        .speedwell(&["load"])
        .refuses(&["`[service]` has no `command`", "--target"]);
}

#[test]
fn a_target_that_cannot_be_loaded_is_named() {
    let project = Project::new(&config());
    let nowhere = ["load", "--target", "http://127.0.0.1:1"];
    project
        .speedwell(&nowhere)
        .refuses(&["http://127.0.0.1:1", "refused", "--target"]);
    let tls = ["load", "--target", "https://localhost"];
    project
        .speedwell(&tls)
        .refuses(&["--target", "TLS", "http://host:port"]);
    let both = ["load", "--rate", "5", "--think", "1s"];
    project.speedwell(&both).refuses(&["--rate", "--think"]);
}

fn appears(path: &Path) -> String {
    let start = Instant::now();
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => assert!(
                start.elapsed() < PATIENCE,
                "{} does not appear",
                path.display()
            ),
        }
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_interrupted_load_reports_what_it_measured_and_leaves_nothing_behind() {
    let project = Project::new(&config().replace("steady_s = 1", "steady_s = 600"));
    let scratch = project.0.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let load = Command::new(env!("CARGO_BIN_EXE_speedwell"))
        .args(["load", "--format", "json"])
        .current_dir(project.0.path())
        .env("TMPDIR", &scratch)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let service = appears(&project.0.path().join("service.pid"));
    sleep(Duration::from_secs(3));
    kill_process(
        Pid::from_raw(i32::try_from(load.id()).unwrap()).unwrap(),
        Signal::INT,
    )
    .unwrap();
    let run = Run::of(load.wait_with_output().unwrap());

    // Everything measured was within its budget; a part of the load proves nothing all the same.
    assert_eq!(run.code, Some(1), "{run:?}");
    let report = report(&run);
    assert_eq!(
        (&report["verdict"], &report["load"]["interrupted"]),
        (&"unsure".into(), &true.into())
    );
    assert!(report["load"]["steady_s"].as_f64().unwrap() < 60.0);
    assert!(
        route(&report, "newest")["requests"].as_u64().unwrap() > 10,
        "{report}"
    );
    assert!(
        report["warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("Interrupted"),
        "{report}"
    );

    assert!(
        !Path::new("/proc").join(&service).exists(),
        "the service outlived the load"
    );
    assert!(
        fs::read_dir(&scratch).unwrap().next().is_none(),
        "data was left behind"
    );
}
