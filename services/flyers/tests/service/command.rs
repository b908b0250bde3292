//! The command as a person starts it: what it says when it cannot, and how it ends.

use std::{
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

/// The command with nothing but these variables.
fn flyers(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flyers"));
    command
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs to the end, checks that it is a refusal, gives what was said.
fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("flyers: "), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn url(folder: &tempfile::TempDir, name: &str) -> String {
    format!("sqlite:{}", folder.path().join(name).display())
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "f.db");
    let said = refused(flyers(
        &["serve"],
        &[("LISTEN", &address), ("DATABASE_URL", &url)],
    ));
    for part in [&*address, "LISTEN", "stop the other process"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!folder.path().join("f.db").exists(), "nothing was made");
}

#[test]
fn a_variable_that_cannot_be_used_is_named_and_a_secret_is_not_shown() {
    for (variable, value) in [
        ("LISTEN", "everywhere"),
        ("DATABASE_URL", "mysql://localhost/flyers"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_READERS", "0"),
        ("JWT_SECRET", "tooshort"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "info,=="),
    ] {
        let said = refused(flyers(&["serve"], &[(variable, value)]));
        assert!(said.contains(variable), "{said}");
        assert!(!said.contains("tooshort"), "{said}");
    }
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("no.db"), "plain text ".repeat(100)).unwrap();
    for (url, advice) in [
        (url(&folder, "no.db"), "set DATABASE_URL to a SQLite file"),
        (
            url(&folder, ""),
            "set DATABASE_URL to a file in a folder that can be written",
        ),
        (
            url(&folder, "no.db/f.db"),
            "set DATABASE_URL to a place that can be written",
        ),
        (
            "sqlite:/proc/f.db".to_owned(),
            "set DATABASE_URL to a file in a folder that can be written",
        ),
    ] {
        let said = refused(flyers(
            &["serve"],
            &[("LISTEN", &free_port()), ("DATABASE_URL", &url)],
        ));
        assert!(
            said.contains("DATABASE_URL") && said.contains(advice),
            "{said}"
        );
    }
}

#[test]
fn a_locked_database_is_called_locked() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "f.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let held = runtime.block_on(async {
        let options: SqliteConnectOptions = url.parse().unwrap();
        let mut held = options.create_if_missing(true).connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (a INTEGER); BEGIN EXCLUSIVE")
            .execute(&mut held)
            .await
            .unwrap();
        held
    });
    let said = refused(flyers(&["migrate"], &[("DATABASE_URL", &url)]));
    assert!(said.contains("another process holds it locked"), "{said}");
    runtime.block_on(held.close()).unwrap();
}

#[test]
fn a_schema_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "f.db");
    let migrated = flyers(&["migrate"], &[("DATABASE_URL", &url)])
        .output()
        .unwrap();
    assert_eq!(migrated.status.code(), Some(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options: SqliteConnectOptions = url.parse().unwrap();
        let mut one = options.connect().await.unwrap();
        let sql = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4";
        sqlx::query(sql).execute(&mut one).await.unwrap();
        one.close().await.unwrap();
    });
    let said = refused(flyers(
        &["serve"],
        &[("LISTEN", &free_port()), ("DATABASE_URL", &url)],
    ));
    assert!(
        said.contains("9999") && said.contains("the version of this program"),
        "{said}"
    );
}

#[test]
fn a_seed_never_mixes_with_other_data() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "f.db");
    let environment = [("DATABASE_URL", url.as_str())];
    let seed = ["seed", "--scale", "200"];
    assert_eq!(
        flyers(&seed, &environment).output().unwrap().status.code(),
        Some(0)
    );
    let said = refused(flyers(&seed, &environment));
    assert!(said.contains("--replace"), "{said}");
}

/// Starts the service and waits until it is ready.
fn serving(address: &str, url: &str, environment: &[(&str, &str)]) -> Child {
    let service = flyers(&["serve"], &[("LISTEN", address), ("DATABASE_URL", url)])
        .envs(environment.iter().copied())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while ureq::get(format!("http://{address}/ready")).call().is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it never was ready"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    service
}

fn send(signal: &str, service: &Child) {
    let told = Command::new("kill")
        .args([format!("-{signal}"), service.id().to_string()])
        .status();
    assert!(told.unwrap().success());
}

#[test]
fn seed_000_a_slow_statement_is_logged_with_text_duration_and_route() {
    let folder = tempfile::tempdir().unwrap();
    let (address, url) = (free_port(), url(&folder, "f.db"));
    let seeded = flyers(&["seed", "--scale", "5000"], &[("DATABASE_URL", &url)]).output();
    assert_eq!(seeded.unwrap().status.code(), Some(0));
    let environment = [("SLOW_STATEMENT_MS", "1"), ("LOG_FORMAT", "json")];
    let service = serving(&address, &url, &environment);
    let path = "api/v1/flyers/feed/?near_me=true&radius=50&lat=47.3769&lng=8.5417&search=de";
    ureq::get(format!("http://{address}/{path}"))
        .call()
        .unwrap();
    send("TERM", &service);
    let said = String::from_utf8(service.wait_with_output().unwrap().stderr).unwrap();
    let slow = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line.to_string().contains("flyers_live_place"))
        .unwrap_or_else(|| panic!("no such line:\n{said}"));
    let text = slow.to_string();
    assert!(text.contains("GET /api/v1/flyers/feed/"), "{text}");
    assert!(text.contains("_ms"), "{text}");
    assert!(!text.contains("47.3769"), "no values: {text}");
}

#[test]
fn a_signal_ends_the_service_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (address, url) = (free_port(), url(&folder, "f.db"));
    for signal in ["TERM", "INT"] {
        let mut service = serving(&address, &url, &[("RUST_LOG", "off")]);
        send(signal, &service);
        assert_eq!(service.wait().unwrap().code(), Some(0), "{signal}");
    }
    // The log was folded into the file: nothing lies beside it.
    assert!(!folder.path().join("f.db-wal").exists());
}
