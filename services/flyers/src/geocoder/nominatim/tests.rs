//! The client against a server that misbehaves on purpose.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response as Answer},
    routing::get,
};
use proptest::prelude::*;

use super::*;
use crate::geocoder::{
    GeocodeError, Geocoder as _,
    remote::{Remote, Settings},
};

/// Status, one header, body.
type Prepared = (u16, &'static str, String);

/// What the next requests get, and what they asked.
#[derive(Clone, Default)]
struct Fake {
    answers: Arc<Mutex<Vec<Prepared>>>,
    delay: Duration,
    seen: Arc<Mutex<Vec<(Uri, HeaderMap)>>>,
}

const ZURICH: &str = r#"[{"place_id":1,"licence":"ODbL","lat":"47.37688719","lon":"8.54169412",
    "display_name":"Zürich","boundingbox":["47.3","47.4","8.4","8.6"]}]"#;

impl Fake {
    /// Answers in this order, then with Zurich.
    fn that(answers: &[(u16, &'static str, &str)]) -> Self {
        let owned = answers
            .iter()
            .rev()
            .map(|(status, headers, body)| (*status, *headers, (*body).to_owned()));
        Self {
            answers: Arc::new(Mutex::new(owned.collect())),
            ..Self::default()
        }
    }

    /// Starts it; gives its address.
    async fn start(&self) -> Url {
        async fn search(State(fake): State<Fake>, uri: Uri, headers: HeaderMap) -> Answer {
            fake.seen.lock().unwrap().push((uri, headers));
            tokio::time::sleep(fake.delay).await;
            let next = fake.answers.lock().unwrap().pop();
            let (status, header, body) = next.unwrap_or((200, "", ZURICH.to_owned()));
            let status = StatusCode::from_u16(status).unwrap();
            let mut answer = (status, body).into_response();
            if let Some((name, value)) = header.split_once(": ") {
                let name: axum::http::HeaderName = name.parse().unwrap();
                answer.headers_mut().insert(name, value.parse().unwrap());
            }
            answer
        }
        let app = Router::new()
            .route("/map/search", get(search))
            .with_state(self.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/map/", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, app).await });
        url.parse().unwrap()
    }

    async fn client(&self) -> Nominatim {
        Nominatim::new(self.start().await).unwrap()
    }

    fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn asked(status: u16, header: &'static str, body: &str) -> Result<Option<Point>, AskError> {
    let fake = Fake::that(&[(status, header, body)]);
    let answer = fake.client().await.ask("Bahnhofstrasse 1").await;
    assert_eq!(fake.requests(), 1);
    answer
}

#[tokio::test]
async fn a_request_names_the_application_and_quotes_the_address() {
    let fake = Fake::default();
    let address = "Bahnhofstrasse 1 & Co #2, 8001 Zürich?";
    let place = fake.client().await.ask(address).await.unwrap().unwrap();
    assert_eq!((place.lat, place.lng), (47.376887, 8.541694));
    let (uri, headers) = fake.seen.lock().unwrap()[0].clone();
    assert_eq!(headers["user-agent"], "PockitFlyer/1.0");
    let url: Url = format!("http://h{uri}").parse().unwrap();
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs[0], ("q".to_owned(), address.to_owned()));
    assert!(pairs.contains(&("format".to_owned(), "jsonv2".to_owned())));
}

#[tokio::test]
async fn no_hit_is_an_answer() {
    assert_eq!(asked(200, "", "[]").await, Ok(None));
}

#[tokio::test]
async fn garbage_is_a_failure_that_another_try_does_not_mend() {
    for body in [
        "",
        "<html>maintenance</html>",
        "{}",
        r#"{"error":"no"}"#,
        "[{}]",
        "[] []",
        r#"[{"lat":47.0,"lon":8.0}]"#,
        r#"[{"lat":"north","lon":"8"}]"#,
        r#"[{"lat":"NaN","lon":"8"}]"#,
        r#"[{"lat":"1e999","lon":"8"}]"#,
        r#"[{"lat":"90.1","lon":"8"}]"#,
        r#"[{"lat":"47","lon":"-180.0000001"}]"#,
    ] {
        let error = asked(200, "", body).await.unwrap_err();
        assert!(!error.again, "{body}: {error}");
        assert!(!error.reason.contains("maintenance"), "{error}");
    }
}

#[tokio::test]
async fn a_huge_answer_is_not_read_to_its_end() {
    let huge = format!("[{}]", " ".repeat(50 << 20));
    let error = asked(200, "", &huge).await.unwrap_err();
    assert!(!error.again && error.reason.contains("too long"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error = asked(302, "location: http://127.0.0.1:9/", "")
        .await
        .unwrap_err();
    assert!(
        !error.again && error.reason.contains("NOMINATIM_URL"),
        "{error}"
    );
}

#[tokio::test]
async fn failures_say_whether_and_when_to_try_again() {
    for (status, header, again, wait_s) in [
        (429, "retry-after: 3", true, Some(3)),
        (429, "", true, None),
        (503, "retry-after: soon", true, None),
        (500, "", true, None),
        (400, "retry-after: 3", false, None),
        (403, "", false, None),
        (404, "", false, None),
        (204, "", false, None),
    ] {
        let error = asked(status, header, ZURICH).await.unwrap_err();
        assert_eq!(error.again, again, "{status} {header}");
        assert_eq!(error.retry_after, wait_s.map(Duration::from_secs));
        assert!(error.reason.contains(&status.to_string()), "{error}");
    }
}

#[test]
fn a_wait_may_be_a_date() {
    let now: DateTime<Utc> = "2024-05-01T12:00:00Z".parse().unwrap();
    let seconds = |value: &str| wait(value, now).map(|wait| wait.as_secs());
    assert_eq!(seconds("Wed, 01 May 2024 12:01:30 GMT"), Some(90));
    assert_eq!(seconds("Wed, 01 May 2024 11:00:00 GMT"), Some(0));
    assert_eq!(seconds(" 7 "), Some(7));
    assert_eq!(seconds("-7"), None);
    assert_eq!(seconds("later"), None);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_worth_another_try_and_no_address_is_logged() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let client = Nominatim::new(url.parse().unwrap()).unwrap();
    let error = client.ask("Geheimgasse 7").await.unwrap_err();
    assert!(error.again, "{error}");
    assert!(error.reason.contains("refused"), "{error}");
    assert!(!error.reason.contains("Geheim"), "{error}");
}

#[tokio::test]
async fn over_the_network_a_lookup_recovers_from_a_busy_server() {
    let fake = Fake::that(&[(429, "retry-after: 1", ""), (502, "", "")]);
    let remote = Remote::new(
        fake.client().await,
        Settings::within(Duration::from_secs(20)),
    );
    let place = remote.locate("Zürich").await.unwrap();
    assert_eq!(place.lat, 47.376887);
    assert_eq!(fake.requests(), 3);
    remote.locate("zürich").await.unwrap();
    assert_eq!(fake.requests(), 3);
}

#[tokio::test]
async fn a_slow_server_costs_no_more_than_the_limit() {
    let fake = Fake {
        delay: Duration::from_secs(30),
        ..Fake::default()
    };
    let remote = Remote::new(
        fake.client().await,
        Settings::within(Duration::from_secs(1)),
    );
    let begin = std::time::Instant::now();
    assert_eq!(
        remote.locate("Zürich").await,
        Err(GeocodeError::Unavailable)
    );
    assert!(begin.elapsed() < Duration::from_secs(5));
}

proptest! {
    #[test]
    fn no_answer_breaks_the_reading(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _any = read(&body);
    }

    #[test]
    fn every_place_on_the_globe_is_read_to_six_decimals(lat in -90.0..=90.0_f64, lng in -180.0..=180.0_f64) {
        let body = format!(r#"[{{"lat":"{lat}","lon":"{lng}"}}]"#);
        let place = read(body.as_bytes()).unwrap().unwrap();
        prop_assert!((place.lat - lat).abs() <= 5.1e-7 && (place.lng - lng).abs() <= 5.1e-7);
        prop_assert!(Point::new(place.lat, place.lng).is_some());
        let text = place.lat.to_string();
        prop_assert!(text.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 6));
    }
}
