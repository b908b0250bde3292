//! Scenarios as scripts for other load testers: what is written, that it can be read by their
//! languages, and that it does what the scenario says.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::support::{Project, Service, root};

/// Everything that a scenario can hold, on the example service.
const SCENARIO: &str = r#"
[service]
name = "faulty"

[data]
users = "{workdir}/users.csv"

[budget]
p95_ms = 500

[[setup]]
name = "visit"
post = "/healthy/repeated/visit"
multipart = { title = "Visit ${user}", tags = ["a", "b"], photo = { file = "{workdir}/photo.jpg" }, note = { file = "note.txt", name = "ä \"1\".txt" } }

[[setup]]
name = "own items"
get = "/healthy/n-plus-one/json-batch?page_size=4"
capture = { own = "$.items[*].id", first = "$['items'][0].id", deep = "$..id" }

[[route]]
name = "newest, by page"
get = "/healthy/full-scan/ordered-walk?page_size=${page_size}"
page_sizes = [5, 10]
bearer = "${row.token}"
headers = { X-Trace = "${user}-${seq}-${uuid}-${int 1 9}" }
capture = { item = "$.items[*].id" }
budget = { statements = 2, p99_ms = 900 }

[[route]]
name = "compare"
get = "/healthy/repeated/compare?left=${pick item}&right=${row.item}"

[[route]]
name = "use up"
get = "/healthy/repeated/compare?left=${take own}&right=${first}"

[[route]]
name = "say"
post = "/healthy/repeated/visit"
json = { text = "price: 5$$ ${seq}", item = "${pick item}", list = [1, 2.5, true, { "a b" = "\"\n" }] }
expect = [200, 201]

[[route]]
name = "nowhere"
get = "/nowhere"
budget = { errors = 3 }

[load]
users = 3
think = "100ms..300ms"
ramp_s = 2
steady_s = 10
timeout_s = 5

[[task]]
weight = 3
routes = ["newest, by page", "compare"]

[[task]]
routes = ["use up"]

[[task]]
routes = ["say"]

[[task]]
routes = ["nowhere"]
"#;

fn project() -> Project {
    let project = Project::new(SCENARIO);
    let folder = project.0.path();
    fs::write(folder.join("note.txt"), "two words").unwrap();
    fs::write(folder.join("photo.jpg"), [0, 255, 13, 10, 45, 45]).unwrap();
    fs::write(
        folder.join("users.csv"),
        "item,token,text\n1,t1,\"a \"\"b\"\", c\"\r\n2,t2,\"two\nlines\"\n3,t3,\n",
    )
    .unwrap();
    project
}

fn export(project: &Project, to: &str, more: &[&str]) -> String {
    let verb = ["scenario", "export", "--to", to];
    let run = project.speedwell(&[&verb[..], more].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    run.out
}

/// The script without what is the same in all of them, and without the folder of the test.
fn own_part(script: &str, project: &Project, comment: &str) -> String {
    let steps = script
        .find(&format!("\n{comment} What a step is made of"))
        .unwrap();
    let scenario = script.find(&format!("\n{comment} The scenario.")).unwrap();
    let users = script.find(&format!("\n{comment} Who does it")).unwrap();
    let own = [&script[..steps], &script[scenario..users]].concat();
    own.replace(project.0.path().to_str().unwrap(), "FOLDER")
}

#[test]
fn a_scenario_is_written_for_locust() {
    let project = project();
    let script = export(&project, "locust", &[]);
    insta::assert_snapshot!(own_part(&script, &project, "#"));
    let people = script.find("class Person").unwrap();
    insta::assert_snapshot!("locust_people", &script[people..]);
}

#[test]
fn a_scenario_is_written_for_k6() {
    let project = project();
    let script = export(&project, "k6", &["--target", "http://127.0.0.1:8080"]);
    insta::assert_snapshot!(own_part(&script, &project, "//"));
}

#[test]
fn a_rate_is_a_schedule_in_both() {
    let project = project();
    let locust = export(&project, "locust", &["--rate", "12.5"]);
    assert!(locust.contains("RATE = 12.5") && locust.contains("class Connection(Visitor)"));
    let k6 = export(&project, "k6", &["--rate", "12.5"]);
    for part in [
        "executor: 'ramping-arrival-rate'",
        "timeUnit: '1000s'",
        "target: 12500 ",
        "dropped_iterations: ['count<1']",
    ] {
        assert!(k6.contains(part), "{part}: {k6}");
    }
}

/// Runs a program that the tests need beside Rust.
fn tool(folder: &Path, program: &str, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run {program}: {error}; install it (Debian: apt-get install {program})")
        })
}

#[track_caller]
fn succeeds(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// All configurations of the workspace, and all scenarios of this test, are Python and JavaScript.
#[test]
fn scripts_are_read_by_their_languages() {
    let project = project();
    let folder = project.0.path();
    let mut scripts = Vec::new();
    let configs =
        ["flyers", "deals"].map(|name| root().join(format!("services/{name}/speedwell.toml")));
    let configs = configs.iter().map(|path| path.to_str().unwrap());
    for (index, config) in configs.chain(["speedwell.toml"]).enumerate() {
        for (model, more) in [("closed", &[][..]), ("open", &["--rate", "5"])] {
            for (to, ending) in [("locust", "py"), ("k6", "mjs")] {
                let name = format!("{to}_{index}_{model}.{ending}");
                let flags = ["--config", config, "--output", &name];
                export(&project, to, &[&flags[..], more].concat());
                scripts.push(name);
            }
        }
    }
    let (python, script): (Vec<&str>, Vec<&str>) = scripts
        .iter()
        .map(String::as_str)
        .partition(|name| name.ends_with("py"));
    assert_eq!((python.len(), script.len()), (6, 6));
    succeeds(tool(
        folder,
        "python3",
        &[&["-m", "py_compile"][..], &python].concat(),
    ));
    for script in script {
        let output = Command::new("node")
            .args(["--check", script])
            .current_dir(folder)
            .output();
        let Ok(output) = output else {
            panic!("cannot run node; install it (Debian: apt-get install nodejs)");
        };
        succeeds(output);
    }
}

/// k6 itself is no package of Debian: Node runs the script against as much of k6 as it uses.
#[test]
fn a_script_for_k6_does_what_the_scenario_says() {
    let service = Service::faulty();
    let project = project();
    let folder = project.0.path();
    export(&project, "k6", &["--output", "script.mjs"]);
    let modules = folder.join("node_modules/k6");
    fs::create_dir_all(&modules).unwrap();
    let stub = root().join("crates/speedwell/tests/k6");
    for file in [
        "package.json",
        "index.js",
        "http.js",
        "execution.js",
        "metrics.js",
    ] {
        fs::copy(stub.join(file), modules.join(file)).unwrap();
    }
    fs::copy(stub.join("driver.mjs"), folder.join("driver.mjs")).unwrap();
    let target = format!("TARGET={}", service.url);
    let args = ["driver.mjs", "script.mjs", "3", "40", &target, "WORKDIR=."];
    let output = Command::new("node").args(args).current_dir(folder).output();
    let Ok(output) = output else {
        panic!("cannot run node; install it (Debian: apt-get install nodejs)");
    };
    let run: Value = serde_json::from_str(&succeeds(output)).unwrap();
    let counted = |key: &str| run["counted"][key].as_u64().unwrap_or(0);

    // The setup once for each user, whatever it uploads; four items taken by each, then no more.
    assert_eq!(counted("asked post_visit setup"), 3, "{run}");
    assert_eq!(counted("asked get_own_items setup"), 3, "{run}");
    assert_eq!(counted("asked get_use_up steady"), 12, "{run}");
    // A task is a sequence, and what lacks a value becomes what captures it.
    let pages = counted("asked get_newest_by_page steady");
    assert!(pages >= 40, "{run}");
    assert_eq!(counted("asked get_compare steady"), pages, "{run}");
    assert!(counted("asked post_say steady") > 3, "{run}");
    // Only what is not there fails.
    let nowhere = counted("asked get_nowhere steady");
    assert!(nowhere > 3, "{run}");
    assert_eq!(counted("failures get_nowhere steady"), nowhere, "{run}");
    let failures: Vec<&String> = run["counted"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.starts_with("failures"))
        .collect();
    assert_eq!(failures, ["failures get_nowhere steady"], "{run}");
}

#[test]
fn what_cannot_be_written_is_named() {
    let with = |from: &str, to: &str| {
        let project = project();
        assert!(SCENARIO.contains(from));
        fs::write(
            project.0.path().join("speedwell.toml"),
            SCENARIO.replace(from, to),
        )
        .unwrap();
        project
    };
    let filter = with(
        "$.items[*].id\" }\nbudget",
        "$.items[?@.id > 3].id\" }\nbudget",
    );
    for to in ["locust", "k6"] {
        filter
            .speedwell(&["scenario", "export", "--to", to])
            .refuses(&["route `newest, by page`", "capture `item`", "filters"]);
    }
    let large = with("list = [1,", "list = [9007199254740993,");
    export(&large, "locust", &[]);
    large
        .speedwell(&["scenario", "export", "--to", "k6"])
        .refuses(&["route `say`", "9007199254740993", "JavaScript"]);
    let middle = with("{workdir}/users.csv", "data/{workdir}/users.csv");
    middle
        .speedwell(&["scenario", "export", "--to", "k6"])
        .refuses(&["`[data] users`", "beginning"]);
}

/// A service whose answers take from 20 to 220 ms, evenly: what a loaded machine adds is little
/// beside it, and every tool should find the same p95 of 210 ms.
fn patient_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let number = Arc::new(AtomicU64::new(0));
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let number = Arc::clone(&number);
            thread::spawn(move || answer_slowly(connection, &number));
        }
    });
    url
}

fn answer_slowly(mut connection: TcpStream, number: &AtomicU64) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
        if line == "\r\n" {
            // 83 has no divisor in common with 200: all delays come, in no simple order.
            let delay = 20 + number.fetch_add(83, Ordering::Relaxed) % 200;
            thread::sleep(Duration::from_millis(delay));
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
            if connection.write_all(answer).is_err() {
                return;
            }
        }
        line.clear();
    }
}

/// The p95 that the last lines of the Locust script give for a route.
fn p95_of(printed: &str, route: &str) -> f64 {
    let line = printed
        .lines()
        .find(|line| line.starts_with(&format!("{route}: ")));
    line.unwrap().rsplit(", ").nth(1).unwrap().parse().unwrap()
}

/// Runs Locust itself: `pip install locust`, then `LOCUST=path/to/locust cargo test -- --ignored`.
#[test]
#[ignore = "needs Locust: pip install locust, LOCUST=path/to/locust"]
fn locust_runs_the_script_unchanged_and_agrees_on_the_p95() {
    let locust = std::env::var("LOCUST").unwrap_or_else(|_| "locust".to_owned());
    let config = r#"
[service]
name = "patient"

[[route]]
name = "wait"
get = "/"
budget = { p95_ms = 400 }

[load]
users = 20
think = "100ms..300ms"
ramp_s = 2
steady_s = 15
"#;
    for model in [&[][..], &["--rate", "40"]] {
        let project = Project::new(config);
        let url = patient_service();
        let flags = [&["--target", url.as_str()], model].concat();
        let own = project.speedwell(&[&["load", "--format", "json"], &flags[..]].concat());
        let own: Value = serde_json::from_str(&own.out).unwrap();
        let own = own["routes"][0]["latency"]["p95_ms"].as_f64().unwrap();
        let output = ["--output", "locustfile.py"];
        export(&project, "locust", &[&flags[..], &output].concat());
        let args = ["-f", "locustfile.py", "--headless", "--only-summary"];
        let printed = succeeds(tool(project.0.path(), &locust, &args));
        let theirs = p95_of(&printed, "wait");
        assert!(
            (theirs / own - 1.0).abs() <= 0.15,
            "{model:?}: Locust {theirs} ms, speedwell {own} ms"
        );
    }
}
