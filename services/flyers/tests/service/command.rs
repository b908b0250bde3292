//! The command as a person starts it: what it says when it cannot, and how it ends.

use std::{
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use service_kit::{
    config::DatabaseUrl,
    database::{Database, query},
};

use service_kit::testing::Place;

/// The command with nothing but these variables.
pub(crate) fn flyers(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flyers"));
    command
        .args(arguments)
        .env_clear()
        .env("OBJECT_STORE_URL", empty_store())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A place for files that nobody else uses; the default would be in the working directory.
fn empty_store() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    format!("{}/media/{process}-{number}", env!("CARGO_TARGET_TMPDIR"))
}

/// Runs to the end, checks that it is a refusal, gives what was said.
pub(crate) fn refused(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let text = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(2), "{text}");
    assert!(text.contains("flyers: "), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

pub(crate) fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.db");
    let url = format!("sqlite:{}", file.display());
    let said = refused(flyers(
        &["serve"],
        &[("LISTEN", &address), ("DATABASE_URL", &url)],
    ));
    for part in [&*address, "LISTEN", "stop the other process"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!file.exists(), "nothing was made");
}

#[test]
fn a_variable_that_cannot_be_used_is_named_and_a_secret_is_not_shown() {
    for (variable, value) in [
        ("LISTEN", "everywhere"),
        ("DATABASE_URL", "mysql://localhost/flyers"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_CONNECTIONS", "0"),
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
fn a_schema_of_another_version_is_left_alone() {
    let place = Place::new(crate::DIALECT);
    let url = place.url();
    let migrated = flyers(&["migrate"], &[("DATABASE_URL", url)])
        .output()
        .unwrap();
    assert_eq!(migrated.status.code(), Some(0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = DatabaseUrl::parse(url).unwrap();
        let database = Database::open(&url, 1).await.unwrap();
        let sql = "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 4";
        let updated = query(sql).execute(database.write()).await;
        assert_eq!(updated.unwrap(), 1);
        database.close().await;
    });
    let said = refused(flyers(
        &["serve"],
        &[("LISTEN", &free_port()), ("DATABASE_URL", url)],
    ));
    assert!(
        said.contains("9999") && said.contains("the version of this program"),
        "{said}"
    );
}

#[test]
fn a_seed_never_mixes_with_other_data() {
    let place = Place::new(crate::DIALECT);
    let environment = [("DATABASE_URL", place.url())];
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
    let place = Place::new(crate::DIALECT);
    let (address, url) = (free_port(), place.url());
    let seeded = flyers(&["seed", "--scale", "5000"], &[("DATABASE_URL", url)]).output();
    assert_eq!(seeded.unwrap().status.code(), Some(0));
    let environment = [("SLOW_STATEMENT_MS", "1"), ("LOG_FORMAT", "json")];
    let service = serving(&address, url, &environment);
    let path = "api/v1/flyers/feed/?near_me=true&radius=50&lat=47.3769&lng=8.5417&search=de";
    ureq::get(format!("http://{address}/{path}"))
        .call()
        .unwrap();
    send("TERM", &service);
    let said = String::from_utf8(service.wait_with_output().unwrap().stderr).unwrap();
    let slow = said
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|line| line.to_string().contains("haversine"))
        .unwrap_or_else(|| panic!("no such line:\n{said}"));
    let text = slow.to_string();
    assert!(text.contains("GET /api/v1/flyers/feed/"), "{text}");
    assert!(text.contains("_ms"), "{text}");
    assert!(!text.contains("47.3769"), "no values: {text}");
}

#[test]
fn a_signal_ends_the_service_in_order() {
    let place = Place::new(crate::DIALECT);
    let (address, url) = (free_port(), place.url());
    for signal in ["TERM", "INT"] {
        let mut service = serving(&address, url, &[("RUST_LOG", "off")]);
        send(signal, &service);
        assert_eq!(service.wait().unwrap().code(), Some(0), "{signal}");
    }
    if let Some(file) = url.strip_prefix("sqlite:") {
        let log = format!("{file}-wal");
        let log = std::path::Path::new(&log);
        assert!(!log.exists(), "it was folded into the file");
    }
}
