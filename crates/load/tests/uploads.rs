//! Forms and files, on the wire and under load, against real servers.
#![allow(clippy::unwrap_used)] // A failed step of a test should panic where it stands.

mod server;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use serde_json::json;
use server::{Seen, answer, capture, get, scenario, serve};
use speedwell_load::{
    Body, CancelHandle, Connection, ErrorKind, FileContent, LoadOptions, Model, Multipart, Part,
    Prepared, Scenario, Session, Step, Task, Template, run,
};

/// Longer than what any socket buffers: a third of it waits until the server reads.
const LONG: usize = 10 << 20;

fn file(bytes: Bytes) -> FileContent {
    FileContent {
        file_name: "photo.jpg".to_owned(),
        content_type: HeaderValue::from_static("image/jpeg"),
        bytes,
    }
}

/// A content in which a byte that is lost or doubled shows.
fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn upload(method: Method, path: &str, photo: &Bytes) -> Step {
    let text = |name: &str, text: &str| Part::text(name, Template::parse(text).unwrap());
    let parts = vec![
        text("title", "Flohmarkt ${user}-${seq}"),
        text("tag", "events"),
        Part::file("image", file(photo.clone())),
        text("tag", "community"),
        Part::file("image", file(photo.clone())),
    ];
    Step {
        body: Some(Body::Multipart(Multipart::new(parts, 7))),
        ..Step::new("upload", method, Template::parse(path).unwrap())
    }
}

fn prepare(step: &Step) -> Prepared {
    Session::new(7, 0, None).prepare(step).unwrap()
}

/// A server that reads the head of each request and then does as it is told with the rest of its
/// connection.
fn raw(serve: impl Fn(&str, TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, serve) = (stream.unwrap(), Arc::clone(&serve));
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                serve(&String::from_utf8_lossy(&head), stream);
            });
        }
    });
    address
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        .unwrap_or_default()
}

#[tokio::test]
async fn a_long_form_arrives_whole_with_any_verb() {
    let photo = content(LONG);
    let expected = photo.clone();
    let address = raw(move |head, mut stream| {
        let length: usize = header(head, "content-length").parse().unwrap();
        let boundary = multer::parse_boundary(header(head, "content-type")).unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let names = runtime.block_on(async {
            let mut form = multer::Multipart::with_reader(&body[..], boundary);
            let mut names = Vec::new();
            while let Some(field) = form.next_field().await.unwrap() {
                let (name, is_file) = (
                    field.name().unwrap().to_owned(),
                    field.file_name().is_some(),
                );
                let bytes = field.bytes().await.unwrap();
                if is_file {
                    assert!(bytes == expected);
                    names.push(name);
                } else {
                    names.push(format!("{name}={}", String::from_utf8_lossy(&bytes)));
                }
            }
            names.join(" ")
        });
        let length = names.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{names}"
        )
        .unwrap();
    });
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let mut connection = Connection::new(address, Duration::from_secs(20));
        let request = prepare(&upload(method, "/flyers", &photo));
        let answer = connection.send(&request, None).await.unwrap();
        assert_eq!(
            answer.body,
            "title=Flohmarkt 0-1 tag=events image tag=community image"
        );
    }
}

/// What a service does after it has refused an upload whose body it has not read.
#[derive(Debug, Clone, Copy)]
enum After {
    /// Closes at once: with unread bytes that is a reset, which must not hide the answer.
    Closes,
    Waits,
    ReadsOn,
}

#[tokio::test]
async fn an_upload_that_is_refused_early_counts_as_the_status_it_got() {
    let request = prepare(&upload(Method::POST, "/flyers", &content(LONG)));
    for after in [After::Closes, After::Waits, After::ReadsOn] {
        for (status, reason) in [(413, "Content Too Large"), (503, "Service Unavailable")] {
            let address = raw(move |_, mut stream| {
                // In one piece: a close beside unread bytes throws away what is not yet sent.
                let answer = format!(
                    "HTTP/1.1 {status} {reason}\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\nno"
                );
                stream.write_all(answer.as_bytes()).unwrap();
                match after {
                    After::Closes => {}
                    After::Waits => std::thread::sleep(Duration::from_secs(3)),
                    After::ReadsOn => drop(stream.read_to_end(&mut Vec::new())),
                }
            });
            for _ in 0..10 {
                let begun = Instant::now();
                let mut connection = Connection::new(address, Duration::from_secs(20));
                let answer = connection
                    .send(&request, None)
                    .await
                    .unwrap_or_else(|error| {
                        panic!("{after:?} {status}: {error}, {:?}", connection.last_error())
                    });
                assert_eq!(
                    answer.status,
                    StatusCode::from_u16(status).unwrap(),
                    "{after:?}"
                );
                assert!(begun.elapsed() < Duration::from_secs(2), "{after:?}");
                if matches!(after, After::Waits) {
                    break;
                }
            }
        }
    }
}

fn closed(users: usize, steady_ms: u64) -> LoadOptions {
    LoadOptions {
        model: Model::Closed {
            users,
            think: "5ms".parse().unwrap(),
        },
        ramp: Duration::ZERO,
        steady: Duration::from_millis(steady_ms),
        ..LoadOptions::default()
    }
}

async fn load(scenario: Scenario, options: &LoadOptions) -> speedwell_load::Outcome {
    run(Arc::new(scenario), options, |_| {}, CancelHandle::new())
        .await
        .unwrap()
}

#[tokio::test]
async fn refused_uploads_under_load_are_errors_of_their_status_alone() {
    let address = raw(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    });
    let step = upload(Method::POST, "/flyers", &content(1 << 20));
    let outcome = load(scenario(address, vec![step]), &closed(4, 500)).await;
    let step = &outcome.steps[0];
    let kinds: Vec<ErrorKind> = step.errors.keys().copied().collect();
    assert!(step.requests > 10);
    assert_eq!(
        kinds,
        [ErrorKind::Status5xx],
        "{:?}",
        step.first_error_sample
    );
}

/// Every user has five things at first, and may make more; deleting one that is gone is 404.
fn things() -> (SocketAddr, server::Log) {
    let store: Arc<std::sync::Mutex<std::collections::BTreeMap<String, Vec<u64>>>> = Arc::default();
    let next = AtomicU64::new(1000);
    serve(move |seen: Seen| {
        let path: Vec<&str> = seen.path.split('/').collect();
        let (user, thing) = (
            path[1].to_owned(),
            path.get(2).and_then(|id| id.parse::<u64>().ok()),
        );
        let mut store = store.lock().unwrap();
        let own = store.entry(user).or_insert_with(|| (1..=5).collect());
        let answer = match (seen.method.as_str(), thing) {
            ("GET", _) => answer(200, &json!({ "things": own }).to_string()),
            ("POST", _) => {
                let id = next.fetch_add(1, Ordering::Relaxed);
                own.push(id);
                answer(201, &json!({ "id": id }).to_string())
            }
            ("DELETE", Some(id)) if own.contains(&id) => {
                own.retain(|other| *other != id);
                answer(204, "")
            }
            _ => answer(404, "gone"),
        };
        async move { answer }
    })
}

fn delete(path: &str) -> Step {
    Step::new("delete", Method::DELETE, Template::parse(path).unwrap())
}

fn task(weight: u32, steps: &[usize]) -> Task {
    Task {
        name: format!("{steps:?}"),
        weight,
        steps: steps.to_vec(),
    }
}

#[tokio::test]
async fn no_user_deletes_the_same_thing_twice_and_an_empty_pool_is_listed_again() {
    let (target, log) = things();
    let list = capture(get("list", "/${user}"), "thing", "$.things[*]");
    let mut scenario = scenario(target, vec![list, delete("/${user}/${take thing}")]);
    scenario.tasks = vec![task(1, &[0]), task(10, &[1])];
    let outcome = load(scenario, &closed(3, 500)).await;
    // A second deletion of anything would have been a 404.
    assert_eq!(
        outcome.errors(),
        0,
        "{:?}",
        outcome.steps[1].first_error_sample
    );
    let deletions = log
        .lock()
        .unwrap()
        .iter()
        .filter(|seen| seen.method == "DELETE")
        .count();
    assert_eq!((deletions, outcome.steps[1].requests), (15, 15));
    // Then there was nothing left: said, and neither sent nor counted as an error.
    assert!(outcome.steps[1].skipped > 3, "{}", outcome.steps[1].skipped);
}

#[tokio::test]
async fn what_a_task_makes_it_can_take_away_again() {
    let (target, log) = things();
    let make = capture(server::post("make", "/${user}", &json!({})), "id", "$.id");
    let mut scenario = scenario(
        target,
        vec![
            make,
            delete("/${user}/${take id}"),
            get("after", "/${user}"),
        ],
    );
    // The second deletion finds nothing, and what follows it is left out.
    scenario.tasks = vec![task(1, &[0, 1, 1, 2])];
    let outcome = load(scenario, &closed(2, 300)).await;
    assert_eq!(
        outcome.errors(),
        0,
        "{:?}",
        outcome.steps[1].first_error_sample
    );
    let (made, deleted) = (outcome.steps[0].requests, outcome.steps[1].requests);
    assert!(made > 3 && deleted.abs_diff(made) <= 2, "{made} {deleted}");
    assert!(outcome.steps[1].skipped.abs_diff(made) <= 2);
    assert!(log.lock().unwrap().iter().all(|seen| seen.method != "GET"));
}

#[tokio::test]
async fn a_setup_may_list_delete_upload_and_go_on_when_there_is_nothing_to_delete() {
    let (target, log) = things();
    let list = capture(get("list", "/${user}"), "thing", "$.things[*]");
    let steps = vec![
        list,
        delete("/${user}/${take thing}"),
        upload(Method::POST, "/${user}", &content(1000)),
        get("all", "/${user}"),
    ];
    let mut scenario = scenario(target, steps);
    // Seven deletions of five things.
    scenario.setup = vec![0, 1, 1, 1, 1, 1, 1, 1, 2];
    scenario.tasks = vec![task(1, &[3])];
    for model in [
        closed(3, 200).model,
        Model::Open {
            rate: 20.0,
            connections: 3,
        },
    ] {
        let options = LoadOptions {
            model,
            ..closed(3, 200)
        };
        let outcome = load(scenario.clone(), &options).await;
        assert_eq!((outcome.errors(), outcome.lost_users), (0, 0));
        assert_eq!(
            (
                outcome.steps[1].requests + outcome.steps[1].skipped,
                outcome.steps[2].ok
            ),
            (21, 3)
        );
        assert!(outcome.steps[1].skipped >= 6 && outcome.steps[3].ok > 0);
    }
    let log = log.lock().unwrap();
    let uploads: Vec<&Seen> = log.iter().filter(|seen| seen.method == "POST").collect();
    assert!(uploads.iter().all(|seen| {
        seen.header("content-type")
            .starts_with("multipart/form-data; boundary=")
    }));
}

/// A hyper server that refuses every upload without reading it, and offers to keep the connection.
fn refuses_unread() -> SocketAddr {
    use http_body_util::Full;
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;

    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let service = service_fn(|_: http::Request<hyper::body::Incoming>| async {
                        let mut answer = http::Response::new(Full::new(Bytes::from("who?")));
                        *answer.status_mut() = StatusCode::UNAUTHORIZED;
                        Ok::<_, std::convert::Infallible>(answer)
                    });
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
    });
    receiver.recv().unwrap()
}

#[tokio::test]
async fn the_request_after_a_refused_upload_does_not_pay_for_it() {
    for length in [1000, 20_000, 100_000, 1 << 20] {
        let step = upload(Method::POST, "/flyers", &content(length));
        let options = LoadOptions {
            model: Model::Closed {
                users: 8,
                think: "0s".parse().unwrap(),
            },
            ..closed(8, 400)
        };
        let outcome = load(scenario(refuses_unread(), vec![step]), &options).await;
        let step = &outcome.steps[0];
        let refused = step.errors[&ErrorKind::Status4xx];
        assert!(refused > 20);
        assert_eq!(refused, step.requests, "{length}: {:?}", step.errors);
    }
}
