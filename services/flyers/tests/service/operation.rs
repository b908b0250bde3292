//! When something outside the request goes wrong: no connection, no time, a bug, an end.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use flyers::{
    geo::Point,
    geocoder::{Gazetteer, GeocodeError, Geocoder, Lookup},
};
use serde_json::{Value, json};
use service_kit::database::{Dialect, Text, query};
use tokio::task::JoinHandle;

use crate::{
    forms::{Form, picture},
    running::Running,
};

/// A geocoder that does what its address says.
struct Moody;

const SLOW: Duration = Duration::from_millis(1500);

impl Geocoder for Moody {
    fn locate<'a>(&'a self, address: &'a str) -> Lookup<'a> {
        Box::pin(async move {
            match address {
                "slow" => tokio::time::sleep(SLOW).await,
                "down" => return Err(GeocodeError::Unavailable),
                "bug" => panic!("the secret of the geocoder"),
                _ => {}
            }
            Ok(Point {
                lat: 47.0,
                lng: 8.0,
            })
        })
    }
}

fn moody(environment: &[(&str, &str)]) -> Running {
    Running::start(environment, Arc::new(Moody))
}

fn new_flyer(address: &str) -> Value {
    json!({ "title": "x", "category_tags": ["events"], "location_address": address })
}

#[test]
fn without_a_connection_in_time_a_client_is_told_to_come_back() {
    let service = Running::start(&[("DATABASE_CONNECTIONS", "1")], Arc::new(Gazetteer));
    let held = service.runtime.block_on(service.database.begin()).unwrap();
    let started = Instant::now();
    let body = json!({ "email": "a@example.org", "password": "Abcdefg1" });
    let answer = service.post("/api/v1/auth/register/", &body);
    assert_eq!(answer.expect(503)["error"], "unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(
        started.elapsed() >= Duration::from_secs(2),
        "it waited first"
    );
    // On SQLite, who only reads does not notice.
    let read = match crate::DIALECT {
        Dialect::Sqlite => 200,
        Dialect::Postgres => 503,
    };
    assert_eq!(service.get("/api/v1/flyers/feed/").status, read);
    service.runtime.block_on(held.rollback()).unwrap();
    service.register("a@example.org");
}

/// Rows without end, each of which takes a while: the connection is taken until the task
/// is aborted.
const ENDLESS: Text = Text {
    sqlite: "
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
SELECT i
FROM n
WHERE i % 10000 = 0",
    postgres: "
SELECT i
FROM generate_series(1::bigint, 1000000) AS i
CROSS JOIN LATERAL pg_sleep(0.01 * sign(i))",
};

fn take_the_reader(service: &Running) -> JoinHandle<()> {
    let database = service.database.clone();
    let held = service.runtime.spawn(async move {
        let rows: Result<Vec<(i64,)>, _> = query(ENDLESS).fetch_all(database.read()).await;
        panic!("it ended: {:?}", rows.map(|rows| rows.len()));
    });
    let reader = || service.database.pools()[0].idle;
    while reader() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    held
}

#[test]
fn without_readers_the_service_is_alive_but_not_ready() {
    let service = Running::start(&[("DATABASE_CONNECTIONS", "1")], Arc::new(Gazetteer));
    let held = take_the_reader(&service);
    assert_eq!(service.get("/health").status, 200);
    let ready = service.get("/ready");
    assert_eq!(
        (ready.status, &ready.headers["retry-after"]),
        (503, &"1".parse().unwrap())
    );
    let pool = pool();
    shows(
        &service,
        &[
            format!(r#"db_pool_connections{{pool="{pool}"}} 1"#),
            format!(r#"db_pool_idle_connections{{pool="{pool}"}} 0"#),
        ],
    );
    held.abort();
    ready_again(&service);
}

/// The pool that reads.
fn pool() -> &'static str {
    match crate::DIALECT {
        Dialect::Sqlite => "readers",
        Dialect::Postgres => "connections",
    }
}

fn shows(service: &Running, lines: &[String]) {
    let metrics = service.get("/metrics").text;
    for line in lines {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}

fn ready_again(service: &Running) {
    let started = Instant::now();
    while service.get("/ready").status != 200 {
        assert!(started.elapsed() < Duration::from_secs(10), "never again");
    }
}

#[test]
fn the_pool_tells_its_size_and_how_long_it_was_waited_for() {
    let service = Running::start(&[("DATABASE_CONNECTIONS", "3")], Arc::new(Gazetteer));
    let pool = pool();
    let waits = |service: &Running| -> f64 {
        let metrics = service.get("/metrics").text;
        let count = format!(r#"db_pool_wait_seconds_count{{pool="{pool}"}} "#);
        let line = metrics.lines().find_map(|line| line.strip_prefix(&count));
        let count = line.unwrap_or_else(|| panic!("{count}\n{metrics}"));
        count.parse().unwrap()
    };
    let before = waits(&service);
    assert_eq!(service.get("/api/v1/flyers/feed/").status, 200);
    assert!(waits(&service) > before);
    shows(
        &service,
        &[
            format!(r#"db_pool_connections{{pool="{pool}"}} 3"#),
            format!(r#"db_pool_idle_connections{{pool="{pool}"}} 3"#),
        ],
    );
}

#[test]
fn a_request_that_takes_too_long_ends_and_leaves_nothing_behind() {
    let service = moody(&[("REQUEST_TIMEOUT_S", "1")]);
    let (token, _) = service.register("a@example.org");
    let answer = service.publish(&token, &new_flyer("slow"));
    let problem = answer.expect(503);
    assert_eq!(problem["detail"], "the request took too long");
    assert!(answer.headers.contains_key("retry-after"));
    std::thread::sleep(SLOW);
    assert_eq!(service.execute("DELETE FROM flyers"), 0);
}

#[test]
fn an_address_service_that_is_down_is_not_an_unknown_address() {
    let service = moody(&[]);
    let (token, _) = service.register("a@example.org");
    let answer = service.publish(&token, &new_flyer("down"));
    assert_eq!(answer.expect(503)["error"], "unavailable");
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(service.execute("DELETE FROM flyers"), 0);
}

#[test]
fn a_bug_is_answered_without_its_details_and_the_service_goes_on() {
    let service = moody(&[]);
    let (token, _) = service.register("a@example.org");
    for _ in 0..20 {
        let answer = service.publish(&token, &new_flyer("bug"));
        assert_eq!(answer.expect(500)["error"], "internal");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert!(answer.headers.contains_key("x-request-id"));
        for word in ["secret", "geocoder", "panicked", ".rs"] {
            assert!(!answer.text.contains(word), "{}", answer.text);
        }
    }
    service.publish(&token, &new_flyer("fine")).expect(201);
    let metrics = service.get("/metrics").text;
    let counted = r#"http_requests_total{route="POST /api/v1/flyers/",status="500"} 20"#;
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn a_failing_statement_is_answered_without_its_text() {
    let service = Running::seeded(200);
    service.execute("ALTER TABLE flyer_images RENAME TO elsewhere");
    let answer = service.get("/api/v1/flyers/feed/");
    assert_eq!(answer.expect(500)["error"], "internal");
    for word in ["flyer_images", "SELECT", "table", "relation", "sqlite"] {
        assert!(!answer.text.contains(word), "{}", answer.text);
    }
}

#[test]
fn an_open_request_is_answered_before_the_service_ends() {
    let mut service = moody(&[]);
    let (token, _) = service.register("a@example.org");
    let (send, receive) = std::sync::mpsc::channel();
    let agent = service.agent();
    let url = format!("{}/api/v1/flyers/", service.origin);
    let request = std::thread::spawn(move || {
        send.send(()).unwrap();
        let answer = agent
            .post(url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", Form::kind())
            .send(
                Form::of(&new_flyer("slow"))
                    .file("image_1", &picture(1))
                    .bytes(),
            );
        answer.unwrap().status().as_u16()
    });
    receive.recv().unwrap();
    std::thread::sleep(SLOW / 3);
    service.tell_to_stop();
    std::thread::sleep(SLOW / 5);
    let late = service
        .agent()
        .get(format!("{}/health", service.origin))
        .call();
    assert!(late.is_err(), "no new connections");
    assert_eq!(request.join().unwrap(), 201);
    service.ended().unwrap();
}

#[test]
fn answers_are_compressed_when_the_client_can_read_it() {
    let service = Running::seeded(200);
    let path = "/api/v1/flyers/feed/";
    let plain = service.get(path);
    assert!(!plain.headers.contains_key("content-encoding"));
    let length = |encoding: &str| {
        let answer = service
            .agent()
            .get(format!("{}{path}", service.origin))
            .header("accept-encoding", encoding)
            .call()
            .unwrap();
        let zipped = answer.headers().get("content-encoding").cloned();
        let vary = answer.headers().get_all("vary").iter();
        let vary: Vec<_> = vary
            .map(|one| one.to_str().unwrap().to_lowercase())
            .collect();
        assert!(vary.join(",").contains("accept-encoding"), "{vary:?}");
        (zipped, answer.into_body().read_to_vec().unwrap())
    };
    let (encoding, zipped) = length("gzip");
    assert_eq!(encoding.unwrap(), "gzip");
    assert_eq!(&zipped[..2], [0x1f, 0x8b]);
    assert!(
        zipped.len() * 3 < plain.text.len(),
        "{} bytes",
        zipped.len()
    );
    assert_eq!(length("br;q=1, identity").0, None);
}

#[test]
fn a_head_request_is_a_get_without_a_body() {
    let service = Running::seeded(200);
    let path = format!("{}/api/v1/flyers/feed/", service.origin);
    let head = service.agent().head(&path).call().unwrap();
    assert_eq!(head.status(), 200);
    let get = service.get("/api/v1/flyers/feed/");
    assert_eq!(head.headers()["etag"], get.headers["etag"]);
    assert_eq!(head.headers()["content-length"], get.text.len().to_string());
}

#[test]
fn a_tag_changes_with_the_content_and_with_the_caller() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let feed = "/api/v1/flyers/feed/";
    let empty = service.get(feed).headers["etag"].clone();
    service.flyer(&token, "x", "events", "8001 Zürich");
    let one = service.get(feed);
    assert_ne!(one.headers["etag"], empty);
    assert_ne!(
        service.get_as(&token, feed).headers["etag"],
        one.headers["etag"]
    );
    let tag = one.headers["etag"].to_str().unwrap().to_owned();
    for (known, status) in [
        (tag.clone(), 304),
        (format!("\"other\", {tag}"), 304),
        (tag.trim_start_matches("W/").to_owned(), 304),
        ("*".to_owned(), 304),
        ("\"other\"".to_owned(), 200),
        (empty.to_str().unwrap().to_owned(), 200),
    ] {
        let answer = service.get_with(feed, &[("if-none-match", &known)]);
        assert_eq!(answer.status, status, "{known}");
        assert_eq!(answer.headers["etag"], tag.as_str());
        assert!(answer.text.is_empty() == (status == 304));
    }
    // Problems are never kept.
    let missing = service.get("/api/v1/flyers/77/");
    assert_eq!(missing.headers["cache-control"], "no-store");
    assert!(!missing.headers.contains_key("etag"));
}
