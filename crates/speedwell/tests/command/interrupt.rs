//! An audit that is interrupted leaves nothing behind.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Project, Run, faulty};

/// Long enough for a slow machine; the file is there after a second on a usual one.
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
scales = [50]

[load]
users = 5
think = "50ms"
steady_s = 600

[[route]]
name = "newest"
get = "/healthy/full-scan/ordered-walk?page_size=5"
budget = {{ p95_ms = 500 }}
"#
    )
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
fn an_interrupted_audit_stops_the_service_and_removes_its_data() {
    leaves_nothing_behind(Signal::INT);
}

#[test]
fn an_audit_that_is_told_to_terminate_leaves_nothing_behind_either() {
    leaves_nothing_behind(Signal::TERM);
}

#[test]
fn an_audit_whose_terminal_is_closed_leaves_nothing_behind_either() {
    leaves_nothing_behind(Signal::HUP);
}

fn leaves_nothing_behind(signal: Signal) {
    let project = Project::new(&config());
    let scratch = project.0.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let audit = Command::new(env!("CARGO_BIN_EXE_speedwell"))
        .arg("audit")
        .current_dir(project.0.path())
        .env("TMPDIR", &scratch)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let service = appears(&project.0.path().join("service.pid"));
    assert!(
        fs::read_dir(&scratch).unwrap().next().is_some(),
        "the data is elsewhere"
    );

    let pid = Pid::from_raw(i32::try_from(audit.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    let run = Run::of(audit.wait_with_output().unwrap());
    run.refuses(&["interrupted"]);

    let gone = Instant::now();
    while Path::new("/proc").join(&service).exists() {
        assert!(
            gone.elapsed() < PATIENCE,
            "the service {service} outlived the audit"
        );
        sleep(Duration::from_millis(20));
    }
    assert!(
        fs::read_dir(&scratch).unwrap().next().is_none(),
        "data was left behind"
    );
}

#[test]
fn a_service_behind_a_shell_may_tidy_up_before_it_ends() {
    let program = faulty().display().to_string();
    let direct = format!("echo $$ > service.pid; exec {program} serve");
    // The outer shell ends at once when it is told to, the inner one has something to do.
    let behind = format!(
        "(trap 'sleep 0.5; echo in order > ended; exit' TERM; {program} serve & wait) & wait; true"
    );
    let config = config();
    assert!(config.contains(&direct));
    let project = Project::new(&config.replace(&direct, &behind));
    let run = project.speedwell(&["audit", "--no-load", "--no-advice"]);
    assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
    assert_eq!(
        fs::read_to_string(project.0.path().join("ended")).unwrap(),
        "in order\n"
    );
}
