//! The program itself: what it prints, logs and leaves behind.

use std::{
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use service_kit::testing::{Client, Place};

const SECRET: &str = "a secret of the tests, long enough";

fn deals(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_deals"));
    command
        .env_clear()
        .envs(
            std::env::vars()
                .filter(|(name, _)| ["PATH", "HOME", "TMPDIR"].contains(&name.as_str())),
        )
        .env("DATABASE_URL", place.url())
        .env("JWT_SECRET", SECRET)
        .current_dir(place.folder());
    command
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    deals(place).args(arguments).output().unwrap()
}

fn seeded(scale: &str) -> Place {
    let place = Place::new(crate::DIALECT);
    let output = run(
        &place,
        &["seed", "--scale", scale, "--users-csv", "users.csv"],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    place
}

/// One row of the file of users, by name.
struct User(Vec<(String, String)>);

impl User {
    fn first(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("users.csv")).unwrap();
        let mut lines = text.lines();
        let names = lines.next().unwrap().split(',').map(str::to_owned);
        let values = lines.next().unwrap().split(',').map(str::to_owned);
        Self(names.zip(values).collect())
    }

    fn get(&self, name: &str) -> &str {
        &self.0.iter().find(|(known, _)| known == name).unwrap().1
    }
}

struct Served {
    child: Child,
    client: Client,
}

impl Served {
    fn start(place: &Place, environment: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = deals(place)
            .arg("serve")
            .env("LISTEN", format!("127.0.0.1:{port}"))
            .env("LOG_FORMAT", "json")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let client = Client::of(format!("http://127.0.0.1:{port}"));
        let until = Instant::now() + Duration::from_secs(30);
        while client
            .agent()
            .get(format!("{}/ready", client.origin))
            .call()
            .is_err()
        {
            assert!(Instant::now() < until, "the service does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, client }
    }

    /// Stops it as an operator does; gives its log.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let mut log = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        log
    }
}

#[test]
fn seed_004_a_thousand_healthy_requests_warn_of_nothing() {
    let place = seeded("500");
    let user = User::first(place.folder());
    let token = user.get("token");
    let service = Served::start(&place, &[("RUST_LOG", "warn")]);
    let paths = [
        format!("/api/v1/collections/{}/", user.get("collection_100")),
        format!(
            "/api/v1/collections/{}/?limit=50&expand=none",
            user.get("collection_150")
        ),
        "/api/v1/collections/".to_owned(),
        "/api/v1/collections/discover/?q=list".to_owned(),
        format!(
            "/api/v1/deals/{}/{}",
            user.get("listing_id"),
            user.get("share_token")
        ),
        "/api/v1/listings/?limit=20".to_owned(),
        "/api/v1/listings/paginated/?sort_by=price_usd".to_owned(),
        "/api/v1/user-shares/".to_owned(),
        "/api/v1/notifications/".to_owned(),
        "/api/v1/notifications/unread-count/".to_owned(),
    ];
    for _ in 0..100 {
        for path in &paths {
            let answer = service
                .client
                .agent()
                .get(format!("{}{path}", service.client.origin))
                .header("authorization", format!("Bearer {token}"))
                .call()
                .unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
    }
    let metrics = service
        .client
        .agent()
        .get(format!("{}/metrics", service.client.origin));
    let metrics = metrics.call().unwrap().body_mut().read_to_string().unwrap();
    assert!(metrics.contains("deals_alert{rule=\"n_plus_one\",severity=\"critical\"} 0\n"));
    assert!(metrics.contains("deals_n_plus_one_total 0\n") && metrics.ends_with("# EOF\n"));
    assert!(metrics.contains("speedwell_cache_memory_hits_total{cache=\"deals\"}"));
    let log = service.stop();
    assert!(!log.contains("SLOW QUERY") && !log.contains("N+1"), "{log}");
    // On PostgreSQL it says at the start that there is no Redis.
    let warnings = log
        .lines()
        .filter(|line| !line.contains("REDIS_URL is not set"));
    assert_eq!(warnings.count(), 0, "{log}");
}

#[test]
fn seed_004_a_slow_statement_is_logged_in_the_words_and_fields_of_the_paper() {
    let place = seeded("500");
    let user = User::first(place.folder());
    // In whole milliseconds; a list of 500 full listings takes more than one in any build.
    let service = Served::start(&place, &[("RUST_LOG", "warn"), ("SLOW_STATEMENT_MS", "1")]);
    let path = format!(
        "{}/api/v1/listings/paginated/?limit=500",
        service.client.origin
    );
    let token = format!("Bearer {}", user.get("token"));
    service
        .client
        .agent()
        .get(path)
        .header("authorization", token)
        .call()
        .unwrap();
    let log = service.stop();
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let slow: Vec<_> = lines
        .iter()
        .filter(|line| line["slow_query"] == true)
        .collect();
    let slow = slow.iter().find(|line| {
        line["query_statement"]
            .as_str()
            .unwrap()
            .starts_with("SELECT l.id")
    });
    let slow = slow.unwrap_or_else(|| panic!("{log}"));
    let message = slow["message"].as_str().unwrap();
    let ms = slow["query_duration_ms"].as_f64().unwrap();
    assert!(
        message.starts_with(&format!("SLOW QUERY ({ms:.2}ms): SELECT l.id")),
        "{message}"
    );
    assert!(message.ends_with("..."), "{message}");
    assert_eq!(slow["http.route"], "GET /api/v1/listings/paginated/");
}

#[test]
fn a_token_for_a_user_is_printed_where_the_secret_is_known() {
    let place = Place::new(crate::DIALECT);
    let output = run(&place, &["token", "7"]);
    let token = String::from_utf8(output.stdout).unwrap();
    assert_eq!(token.trim().split('.').count(), 3);
    let output = deals(&place)
        .env_remove("JWT_SECRET")
        .args(["token", "7"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("JWT_SECRET is not set"));
}

#[test]
fn wrong_variables_end_the_start_with_what_to_do() {
    let place = Place::new(crate::DIALECT);
    for (variable, value) in [
        ("FOREIGN_COLLECTION", "500"),
        ("REDIS_URL", "localhost"),
        ("TRACE_SAMPLE", "2"),
        ("LISTEN", "x"),
    ] {
        let output = deals(&place)
            .arg("serve")
            .env(variable, value)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{variable}: {error}");
        assert!(error.contains(&format!("deals: {variable}: ")), "{error}");
    }
}

#[test]
fn a_filled_database_is_left_alone_unless_told_otherwise() {
    let place = seeded("300");
    let again = run(&place, &["seed", "--scale", "300"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--replace"));
    assert!(
        run(&place, &["seed", "--scale", "200", "--replace"])
            .status
            .success()
    );
    assert!(run(&place, &["migrate"]).status.success());
}
