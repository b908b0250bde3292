//! Who asks: limits on guessing, proxies that tell, connections that go on, and the
//! address service that is asked for them.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use flyers::geocoder::{self, Gazetteer};
use serde_json::{Value, json};

use crate::running::Running;

const LOGIN: &str = "/api/v1/auth/login/";

fn with(environment: &[(&str, &str)]) -> Running {
    Running::start(environment, Arc::new(Gazetteer))
}

fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// Signs in with these headers; gives the status.
fn sign_in(service: &Running, headers: &[(&str, &str)], body: &Value) -> u16 {
    let mut request = service.agent().post(format!("{}{LOGIN}", service.origin));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send_json(body).unwrap().status().as_u16()
}

#[test]
fn after_too_many_wrong_passwords_known_and_unknown_accounts_answer_alike() {
    let service = with(&[("LOGIN_ATTEMPTS_PER_ACCOUNT", "3")]);
    service.register("known@example.org");
    service.register("other@example.org");
    let answers = |email: &str| -> Vec<(u16, String)> {
        (0..5)
            .map(|_| service.post(LOGIN, &credentials(email, "Wrong-123")))
            .map(|answer| (answer.status, answer.text))
            .collect()
    };
    let known = answers("known@example.org");
    assert_eq!(known, answers("nobody@example.org"));
    let statuses: Vec<u16> = known.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [401, 401, 401, 429, 429]);

    // Neither the right password nor another spelling helps.
    let right = credentials(" KNOWN@example.org", "Abcdefg1");
    let answer = service.post(LOGIN, &right);
    assert_eq!(answer.expect(429)["error"], "too_many_requests");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let wait_s: u64 = answer.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((800..=900).contains(&wait_s), "{wait_s}");
    let other = credentials("other@example.org", "Abcdefg1");
    assert_eq!(service.post(LOGIN, &other).status, 200);
}

#[test]
fn a_wrong_password_takes_as_long_as_an_unknown_account() {
    let service = with(&[("LOGIN_ATTEMPTS_PER_ACCOUNT", "0")]);
    service.register("known@example.org");
    let fastest = |email: &str| {
        let times = (0..7).map(|_| {
            let begin = Instant::now();
            let answer = service.post(LOGIN, &credentials(email, "Wrong-123"));
            assert_eq!(answer.status, 401);
            begin.elapsed()
        });
        times.min().unwrap()
    };
    let (known, unknown) = (fastest("known@example.org"), fastest("b@example.org"));
    assert!(
        known < unknown * 3 && unknown < known * 3,
        "{known:?} {unknown:?}"
    );
}

#[test]
fn any_number_may_sign_in_with_right_passwords_at_once() {
    let service = with(&[
        ("LOGIN_ATTEMPTS_PER_ACCOUNT", "1"),
        ("LOGIN_ATTEMPTS_PER_ADDRESS", "1"),
    ]);
    for number in 0..5 {
        service.register(&format!("user{number}@example.org"));
    }
    std::thread::scope(|scope| {
        for number in 0..30 {
            let service = &service;
            scope.spawn(move || {
                let email = format!("user{}@example.org", number % 5);
                let body = credentials(&email, "Abcdefg1");
                assert_eq!(service.post(LOGIN, &body).status, 200);
            });
        }
    });
}

#[test]
fn guesses_sent_all_at_once_are_limited_too() {
    let service = with(&[("LOGIN_ATTEMPTS_PER_ACCOUNT", "3")]);
    service.register("a@example.org");
    let told = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (service, told) = (&service, &told);
            scope.spawn(move || {
                let guess = credentials("a@example.org", &format!("Guess-{number}"));
                let status = service.post(LOGIN, &guess).status;
                assert!(matches!(status, 401 | 429), "{status}");
                told.fetch_add(usize::from(status == 401), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(told.into_inner(), 3);
}

#[test]
fn behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let limit = ("LOGIN_ATTEMPTS_PER_ADDRESS", "2");
    let guess = |service: &Running, client: &str, number: usize| {
        let body = credentials(&format!("{number}@example.org"), "Wrong-123");
        sign_in(service, &[("x-forwarded-for", client)], &body)
    };
    let trusting = with(&[limit, ("TRUSTED_PROXIES", "127.0.0.0/8")]);
    let from = |client: &str| [0, 1, 2].map(|number| guess(&trusting, client, number));
    assert_eq!(from("203.0.113.1"), [401, 401, 429]);
    assert_eq!(from("203.0.113.2"), [401, 401, 429]);
    // What the client wrote itself stands before what the proxy added.
    assert_eq!(from("198.51.100.7, 203.0.113.2"), [429; 3]);

    let direct = with(&[limit]);
    let statuses: Vec<u16> = (0..4)
        .map(|number| guess(&direct, &format!("203.0.113.{number}"), number))
        .collect();
    assert_eq!(statuses, [401, 401, 429, 429], "nobody is believed");
}

#[test]
fn links_have_the_scheme_and_host_that_a_trusted_proxy_names() {
    let feed = "/api/v1/flyers/feed/?page_size=1";
    let next = |service: &Running, headers: &[(&str, &str)]| {
        let page = service.get_with(feed, headers).expect(200);
        page["next"].as_str().unwrap().to_owned()
    };
    let customary = [
        ("x-forwarded-for", "203.0.113.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "flyers.example.org"),
    ];
    let standard = [(
        "forwarded",
        "for=203.0.113.1;proto=https;host=flyers.example.org",
    )];
    let only_scheme = [("x-forwarded-proto", "https"), ("host", "example.org:81")];
    let filled = |environment: &[(&str, &str)]| {
        let service = with(environment);
        let (token, _) = service.register("a@example.org");
        for title in ["x", "y"] {
            service.flyer(&token, title, "events", "8001 Zürich");
        }
        service
    };
    let trusting = filled(&[("TRUSTED_PROXIES", "127.0.0.1/32")]);
    for headers in [&customary[..], &standard[..]] {
        let link = next(&trusting, headers);
        assert!(
            link.starts_with("https://flyers.example.org/api/v1/"),
            "{link}"
        );
    }
    let link = next(&trusting, &only_scheme);
    assert!(link.starts_with("https://example.org:81/api/v1/"), "{link}");
    let direct = filled(&[]);
    for headers in [&customary[..], &standard[..]] {
        let link = next(&direct, headers);
        assert!(link.starts_with(&direct.origin), "{link}");
    }
}

/// Reads one answer whose body has a length; gives its head.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head
}

#[test]
fn a_refusal_before_the_body_is_read_keeps_the_connection() {
    let service = Running::empty();
    let address = service.origin.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    for path in ["/api/v1/flyers/", "/api/v1/nothing/", "/health"] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let refused = head(&mut stream);
        assert!(refused.starts_with("http/1.1 40"), "{path}: {refused}");
        stream.write_all(&[b' '; 60_000]).unwrap();
    }
    stream
        .write_all(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    assert!(head(&mut stream).starts_with("http/1.1 200"));
}

/// An address service that says of each request: Bern, or that it is busy.
fn address_service(busy: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _read = stream.read(&mut [0; 4096]).unwrap();
            counter.fetch_add(1, Ordering::Relaxed);
            let (status, body) = if busy {
                ("503 Service Unavailable", "")
            } else {
                ("200 OK", r#"[{"lat":"46.94797","lon":"7.44744"}]"#)
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    (url, asked)
}

fn with_nominatim(url: &str) -> Running {
    let geocoder = geocoder::from_env(|name| match name {
        "GEOCODER" => Some("nominatim".to_owned()),
        "NOMINATIM_URL" => Some(url.to_owned()),
        "GEOCODER_TIMEOUT_S" => Some("2".to_owned()),
        _ => None,
    });
    Running::start(&[], geocoder.unwrap())
}

fn new_flyer(address: &str) -> Value {
    json!({ "title": "x", "category_tags": ["events"], "location_address": address })
}

#[test]
fn a_flyer_is_where_the_address_service_finds_it_and_reading_asks_nobody() {
    let (url, asked) = address_service(false);
    let service = with_nominatim(&url);
    let (token, _) = service.register("a@example.org");
    for address in ["Bundesplatz 3, Bern", "BUNDESPLATZ  3, bern"] {
        let made = service.publish(&token, &new_flyer(address)).expect(201);
        assert_eq!(made["location"]["lat"], 46.94797);
        assert_eq!(made["location"]["lng"], 7.44744);
        service
            .get(&format!("/api/v1/flyers/{}/", made["id"]))
            .expect(200);
    }
    service.get("/api/v1/flyers/feed/").expect(200);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[test]
fn a_busy_address_service_costs_no_more_than_its_limit_and_then_nothing() {
    let (url, asked) = address_service(true);
    let service = with_nominatim(&url);
    let (token, _) = service.register("a@example.org");
    let publish = |address: &str| {
        let begin = Instant::now();
        let answer = service.publish(&token, &new_flyer(address));
        assert_eq!(answer.expect(503)["error"], "unavailable");
        begin.elapsed()
    };
    for address in ["a", "b", "c"] {
        let took = publish(address);
        assert!(took < Duration::from_secs(6), "{took:?}");
    }
    let tries = asked.load(Ordering::Relaxed);
    assert!(tries > 3, "each was tried again");
    publish("d");
    assert_eq!(asked.load(Ordering::Relaxed), tries, "the breaker is open");
    assert_eq!(service.execute("DELETE FROM flyers"), 0);
}
