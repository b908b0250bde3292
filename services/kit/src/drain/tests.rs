//! A client on a bare TCP connection, which sees what a library would hide.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::from_fn,
    routing::{get, post},
};

use super::*;

async fn server() -> SocketAddr {
    let app = Router::new()
        .route("/refuse", post(|| async { StatusCode::UNAUTHORIZED }))
        .route(
            "/length",
            post(|body: Bytes| async move { body.len().to_string() })
                .layer(DefaultBodyLimit::max(100_000)),
        )
        .route("/", get(|| async { "here" }))
        .layer(from_fn(drain_unread));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app).await });
    address
}

/// Runs a blocking client beside the server.
async fn with_client<T: Send + 'static>(client: fn(TcpStream) -> T) -> T {
    let address = server().await;
    let connect = move || {
        let stream = TcpStream::connect(address).unwrap();
        let long = Some(Duration::from_secs(20));
        stream.set_read_timeout(long).unwrap();
        stream.set_write_timeout(long).unwrap();
        client(stream)
    };
    tokio::task::spawn_blocking(connect).await.unwrap()
}

fn head(path: &str, length: usize) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n")
}

/// One answer: its head in lower case, and its body.
fn answer(stream: &mut TcpStream) -> (String, String) {
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
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn still_answers(stream: &mut TcpStream) {
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .unwrap();
    assert_eq!(answer(stream).1, "here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_small_body_that_nobody_read_the_connection_goes_on() {
    with_client(|mut stream| {
        for _ in 0..20 {
            // The body follows late, so that it cannot come along with the head.
            stream
                .write_all(head("/refuse", 65_536).as_bytes())
                .unwrap();
            let (head, _) = answer(&mut stream);
            assert!(head.starts_with("http/1.1 401") && !head.contains("connection: close"));
            for _ in 0..64 {
                stream.write_all(&[b'x'; 1024]).unwrap();
            }
            still_answers(&mut stream);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_does_not_wait_for_the_body() {
    with_client(|mut stream| {
        let begin = Instant::now();
        stream.write_all(head("/refuse", 1000).as_bytes()).unwrap();
        assert!(answer(&mut stream).0.starts_with("http/1.1 401"));
        assert!(begin.elapsed() < QUIET / 2, "{:?}", begin.elapsed());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunked_body_that_nobody_read_keeps_the_connection_too() {
    with_client(|mut stream| {
        let head = "POST /refuse HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        assert!(answer(&mut stream).0.starts_with("http/1.1 401"));
        stream.write_all(b"5\r\nhello\r\n0\r\n\r\n").unwrap();
        still_answers(&mut stream);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_body_is_answered_readably_and_ends_the_connection_without_a_reset() {
    for path in ["/refuse", "/length"] {
        let client = if path == "/refuse" {
            long_body::<false>
        } else {
            long_body::<true>
        };
        with_client(client).await;
    }
}

/// Sends more than all buffers between hold before it reads a byte.
fn long_body<const LIMITED: bool>(mut stream: TcpStream) {
    const LENGTH: usize = 32 << 20;
    let (path, status) = if LIMITED {
        ("/length", "http/1.1 413")
    } else {
        ("/refuse", "http/1.1 401")
    };
    stream.write_all(head(path, LENGTH).as_bytes()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..LENGTH / chunk.len() {
        stream.write_all(&chunk).unwrap();
    }
    let (head, _) = answer(&mut stream);
    assert!(head.starts_with(status), "{head}");
    assert!(head.contains("connection: close"), "{head}");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end, not a reset");
    assert!(rest.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_was_read_is_whole_and_keeps_the_connection() {
    with_client(|mut stream| {
        for length in [0, 1, 70_000, 100_000] {
            stream
                .write_all(head("/length", length).as_bytes())
                .unwrap();
            stream.write_all(&vec![b'x'; length]).unwrap();
            let (head, body) = answer(&mut stream);
            assert_eq!(body, length.to_string());
            assert!(!head.contains("connection: close"));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_first_is_not_told_to_send_what_nobody_reads() {
    with_client(|mut stream| {
        let head = head("/refuse", 10).replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let (head, _) = answer(&mut stream);
        assert!(head.starts_with("http/1.1 401"), "{head}");
        assert!(head.contains("connection: close"), "{head}");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_comes_does_not_hold_the_connection_for_long() {
    with_client(|mut stream| {
        stream.write_all(head("/refuse", 10).as_bytes()).unwrap();
        answer(&mut stream);
        let begin = Instant::now();
        let end = stream.read(&mut [0]);
        let closed = matches!(&end, Ok(0))
            || matches!(&end, Err(error) if error.kind() == ErrorKind::ConnectionReset);
        assert!(closed, "{end:?}");
        assert!(begin.elapsed() < LINGER, "{:?}", begin.elapsed());
    })
    .await;
}
