//! One connection against servers that behave well, badly and not at all.
#![allow(clippy::unwrap_used)] // A failed step of a test should panic where it stands.

mod server;

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use server::{get, post};
use speedwell_load::{Answer, Connection, ErrorKind, Limits, Prepared, Session, Step, Template};

const TIMEOUT: Duration = Duration::from_secs(5);

fn prepare(step: &Step) -> Prepared {
    Session::new(0, 0, None).prepare(step).unwrap()
}

fn request(method: Method) -> Prepared {
    prepare(&Step::new("one", method, Template::parse("/").unwrap()))
}

/// A server whose connections are handled by `serve`, which gets their number, from 0.
fn raw(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (count, serve) = (Arc::clone(&accepted), Arc::new(serve));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (number, serve) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&serve));
            std::thread::spawn(move || serve(number, stream.unwrap()));
        }
    });
    (address, accepted)
}

/// Reads one small request; nothing when the connection has ended.
fn receive(stream: &mut TcpStream) -> String {
    let mut request = [0; 4096];
    let read = stream.read(&mut request).unwrap_or(0);
    String::from_utf8_lossy(&request[..read]).into_owned()
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn serve_ok(stream: &mut TcpStream, answers: usize) {
    for _ in 0..answers {
        if receive(stream).is_empty() {
            return;
        }
        stream.write_all(OK).unwrap();
    }
}

/// Lets the news of a close arrive.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let (address, accepted) = raw(|_, mut stream| serve_ok(&mut stream, 100));
    let mut connection = Connection::new(address, TIMEOUT);
    connection.open().await.unwrap();
    connection.open().await.unwrap();
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let answer = connection.send(&request(method), None).await.unwrap();
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::OK, &b"ok"[..])
        );
        assert!(!answer.service_time.is_zero());
    }
    assert_eq!(
        (connection.connects(), accepted.load(Ordering::SeqCst)),
        (1, 1)
    );
}

#[tokio::test]
async fn a_connection_closed_meanwhile_is_opened_again_for_any_method() {
    let (address, _) = raw(|_, mut stream| serve_ok(&mut stream, 1));
    let mut connection = Connection::new(address, TIMEOUT);
    for (sent, method) in [Method::POST, Method::POST, Method::GET]
        .into_iter()
        .enumerate()
    {
        connection.send(&request(method), None).await.unwrap();
        assert_eq!(connection.connects(), sent as u64 + 1);
        pause().await;
    }
}

/// The first connection answers once, takes a second request and closes without an answer.
fn closes_on_second() -> (SocketAddr, Arc<AtomicUsize>) {
    raw(|number, mut stream| {
        if number == 0 {
            serve_ok(&mut stream, 1);
            receive(&mut stream);
        } else {
            serve_ok(&mut stream, 100);
        }
    })
}

#[tokio::test]
async fn an_unanswered_request_is_sent_again_only_if_that_does_no_harm() {
    for (method, result, connects) in [
        (Method::GET, Ok(()), 2),
        (Method::DELETE, Ok(()), 2),
        (Method::POST, Err(ErrorKind::Reset), 1),
        (Method::PATCH, Err(ErrorKind::Reset), 1),
    ] {
        let (address, accepted) = closes_on_second();
        let mut connection = Connection::new(address, TIMEOUT);
        connection.send(&request(Method::GET), None).await.unwrap();
        let sent = connection.send(&request(method.clone()), None).await;
        assert_eq!(sent.map(drop), result, "{method}");
        assert_eq!(accepted.load(Ordering::SeqCst), connects, "{method}");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_asked_once_on_a_new_connection() {
    let (address, accepted) = raw(|_, mut stream| drop(receive(&mut stream)));
    let mut connection = Connection::new(address, TIMEOUT);
    let error = connection.send(&request(Method::GET), None).await;
    assert_eq!(error.unwrap_err(), ErrorKind::Reset);
    assert_eq!(connection.last_error(), Some("closed without an answer"));
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_comes_after_an_answer_is_not_taken_for_the_next() {
    // In one packet it breaks the protocol; later, as with a notice that the connection is given
    // up, it ends the connection.
    let (address, _) = raw(|_, mut stream| {
        receive(&mut stream);
        stream
            .write_all(&[OK, b"HTTP/1.1 500 X\r\n\r\n"].concat())
            .unwrap();
        receive(&mut stream);
    });
    let mut connection = Connection::new(address, TIMEOUT);
    let error = connection.send(&request(Method::GET), None).await;
    assert_eq!(error.unwrap_err(), ErrorKind::Reset);

    let (address, accepted) = raw(|_, mut stream| {
        serve_ok(&mut stream, 1);
        std::thread::sleep(Duration::from_millis(10));
        stream
            .write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            .unwrap();
        receive(&mut stream);
    });
    let mut connection = Connection::new(address, TIMEOUT);
    for _ in 0..2 {
        let answer = connection.send(&request(Method::POST), None).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        pause().await;
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn connections_that_either_side_closes_are_not_used_again() {
    let (address, _) = raw(|_, mut stream| {
        receive(&mut stream);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
        // Announced, but late.
        std::thread::sleep(Duration::from_secs(1));
    });
    let mut connection = Connection::new(address, TIMEOUT);
    for connects in 1..=3 {
        connection.send(&request(Method::POST), None).await.unwrap();
        assert_eq!(connection.connects(), connects);
    }

    let (address, _) = raw(|_, mut stream| serve_ok(&mut stream, 100));
    let mut connection = Connection::new(address, TIMEOUT);
    let closing = prepare(&server::header(get("one", "/"), "connection", "close"));
    for connects in 1..=3 {
        connection.send(&closing, None).await.unwrap();
        assert_eq!(connection.connects(), connects);
    }
}

#[tokio::test]
async fn a_slow_answer_times_out_and_its_connection_is_given_up() {
    let (address, _) = raw(|number, mut stream| {
        receive(&mut stream);
        stream.write_all(&OK[..OK.len() - 1]).unwrap();
        if number == 0 {
            std::thread::sleep(Duration::from_millis(400));
        }
        let _ = stream.write_all(b"k");
        receive(&mut stream);
    });
    let mut connection = Connection::new(address, Duration::from_millis(150));
    let begin = Instant::now();
    let error = connection.send(&request(Method::GET), None).await;
    assert_eq!(error.unwrap_err(), ErrorKind::Timeout);
    assert!(begin.elapsed() >= Duration::from_millis(145));
    let answer = connection.send(&request(Method::GET), None).await.unwrap();
    assert_eq!((&answer.body[..], connection.connects()), (&b"ok"[..], 2));
}

#[tokio::test]
async fn a_request_given_up_halfway_does_not_leave_its_answer_to_the_next() {
    let (address, _) = raw(|number, mut stream| {
        receive(&mut stream);
        std::thread::sleep(Duration::from_millis(if number == 0 { 200 } else { 0 }));
        let body = if number == 0 { "old" } else { "new" };
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{body}");
        let _ = stream.read(&mut [0]);
    });
    let mut connection = Connection::new(address, TIMEOUT);
    let request = request(Method::GET);
    let given_up = connection.send(&request, None);
    let waited = tokio::time::timeout(Duration::from_millis(50), given_up).await;
    assert!(waited.is_err());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let answer = connection.send(&request, None).await.unwrap();
    assert_eq!(&answer.body[..], b"new");
}

#[tokio::test]
async fn a_long_body_that_is_refused_early_has_its_answer_read() {
    let (address, _) = raw(|_, mut stream| {
        receive(&mut stream);
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
            .unwrap();
        // Neither reads on nor closes: the client must not wait until all is written.
        std::thread::sleep(Duration::from_secs(2));
    });
    let long = serde_json::json!("x".repeat(32 << 20));
    let mut connection = Connection::new(address, TIMEOUT);
    for connects in 1..=2 {
        let answer = connection
            .send(&prepare(&post("long", "/", &long)), None)
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(connection.connects(), connects, "the rest is no request");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_not_read() {
    let (address, _) = raw(|_, mut stream| {
        receive(&mut stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001));
    });
    let limits = Limits {
        timeout: TIMEOUT,
        body: 1000,
    };
    let mut connection = Connection::new(address, limits);
    let error = connection.send(&request(Method::GET), None).await;
    assert_eq!(error.unwrap_err(), ErrorKind::TooLarge);
    assert_eq!(
        connection.last_error(),
        Some("the body is longer than 1000 bytes")
    );
}

#[tokio::test]
async fn a_given_traceparent_is_sent_and_a_broken_one_is_not() {
    let (address, _) = raw(|_, mut stream| {
        for _ in 0..3 {
            let request = receive(&mut stream);
            let line = request
                .lines()
                .find_map(|line| line.strip_prefix("traceparent: "));
            let line = line.unwrap();
            let length = line.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{line}"
            )
            .unwrap();
        }
    });
    let mut connection = Connection::new(address, TIMEOUT);
    let own = prepare(&server::header(
        get("one", "/"),
        "traceparent",
        "of the step",
    ));
    let plain = request(Method::GET);
    let answer = connection.send(&own, None).await.unwrap();
    assert_eq!(&answer.body[..], b"of the step");
    let answer = connection.send(&own, Some("given")).await.unwrap();
    assert_eq!(&answer.body[..], b"given");
    let answer = connection.send(&plain, Some("two\r\nlines")).await.unwrap();
    assert_eq!(answer.body.len(), 55);
}

/// A hyper server that answers as the path says: its length, and how it is framed.
fn framed() -> SocketAddr {
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
                let serving = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service_fn(answer_framed));
                tokio::spawn(serving);
            }
        });
    });
    receiver.recv().unwrap()
}

async fn answer_framed(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let path = request.uri().path().to_owned();
    let mut parts = path[1..].split('/');
    let (framing, length) = (parts.next().unwrap(), parts.next().unwrap());
    let body = body_of(length.parse().unwrap());
    // Read to the end, or the connection cannot be used again.
    request.into_body().collect().await.unwrap();
    let response = Response::builder().header("x-framing", framing);
    let streamed = || Pieces(body.chunks(1000).map(<[u8]>::to_vec).collect()).boxed();
    Ok(match framing {
        "chunked" => response.body(streamed()),
        "close" => response.version(http::Version::HTTP_10).body(streamed()),
        "empty" => response.status(204).body(Full::default().boxed()),
        _ => response.body(Full::from(body).boxed()),
    }
    .unwrap())
}

/// A body whose length is not known before its end.
struct Pieces(VecDeque<Vec<u8>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.pop_front();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
    }
}

fn body_of(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn answers_of_another_implementation_are_read_in_every_framing() {
    let mut connection = Connection::new(framed(), TIMEOUT);
    let mut closed = 0;
    for method in [Method::GET, Method::POST, Method::HEAD] {
        for framing in ["length", "chunked", "close", "empty"] {
            for length in [0, 1, 999, 1000, 1001, 8100, 8192, 70_000, 1_000_000] {
                let path = Template::parse(&format!("/{framing}/{length}")).unwrap();
                let step = Step::new(framing, method.clone(), path);
                let answer: Answer = connection.send(&prepare(&step), None).await.unwrap();
                let expected = match framing {
                    "empty" => Vec::new(),
                    _ if method == Method::HEAD => Vec::new(),
                    _ => body_of(length),
                };
                assert!(answer.body == expected, "{method} {framing} {length}");
                assert_eq!(answer.headers["x-framing"], framing);
                let chunked = answer.headers.contains_key("transfer-encoding");
                let expected = framing == "chunked" && method != Method::HEAD;
                assert_eq!(chunked, expected, "{method} {framing}");
                closed += u64::from(framing == "close");
            }
        }
    }
    // Only the answers that end with their connection cost a new one.
    assert_eq!(connection.connects(), closed + 1);
}
