//! A small HTTP server on a free port, whose answers a test decides.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub)] // Each test file uses its own part of it.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use speedwell_load::{Body, Capture, Expect, JsonTemplate, Scenario, Step, Task, Template};
use tokio::net::TcpListener;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: http::HeaderMap,
    pub body: String,
    pub at: std::time::Instant,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

pub type Log = Arc<Mutex<Vec<Seen>>>;

/// Serves until the test ends, on a runtime of its own, so that the server does not wait for the
/// client under test; returns its address and a log of requests.
pub fn serve<F, A>(handler: F) -> (SocketAddr, Log)
where
    F: Fn(Seen) -> A + Send + Sync + 'static,
    A: Future<Output = Response<String>> + Send + 'static,
{
    let log: Log = Arc::default();
    let (seen, handler) = (Arc::clone(&log), Arc::new(handler));
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                tokio::spawn(async move {
                    let service = service_fn(|request: Request<hyper::body::Incoming>| {
                        let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                        async move {
                            let request = read(request).await;
                            seen.lock().unwrap().push(request.clone());
                            let answer = handler(request).await;
                            Ok::<_, Infallible>(answer.map(|body| Full::new(Bytes::from(body))))
                        }
                    });
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
    });
    (receiver.recv().unwrap(), log)
}

async fn read(request: Request<hyper::body::Incoming>) -> Seen {
    let at = std::time::Instant::now();
    let (parts, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    Seen {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().unwrap().to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
        at,
    }
}

pub fn answer(status: u16, body: &str) -> Response<String> {
    Response::builder()
        .status(status)
        .body(body.to_owned())
        .unwrap()
}

pub fn get(name: &str, path: &str) -> Step {
    step(name, http::Method::GET, path)
}

pub fn post(name: &str, path: &str, json: &serde_json::Value) -> Step {
    Step {
        body: Some(Body::Json(JsonTemplate::parse(json).unwrap())),
        ..step(name, http::Method::POST, path)
    }
}

fn step(name: &str, method: http::Method, path: &str) -> Step {
    Step {
        name: name.to_owned(),
        route: format!("{method} {path}"),
        method,
        path: Template::parse(path).unwrap(),
        headers: Vec::new(),
        body: None,
        expect: Expect::default(),
        captures: Vec::new(),
    }
}

pub fn capture(mut step: Step, name: &str, path: &str) -> Step {
    step.captures.push(Capture::parse(name, path).unwrap());
    step
}

pub fn header(mut step: Step, name: &'static str, value: &str) -> Step {
    step.headers.push((
        http::HeaderName::from_static(name),
        Template::parse(value).unwrap(),
    ));
    step
}

/// One task of weight 1 for each step.
pub fn scenario(target: SocketAddr, steps: Vec<Step>) -> Scenario {
    let tasks = steps
        .iter()
        .enumerate()
        .map(|(index, step)| Task {
            name: step.name.clone(),
            weight: 1,
            steps: vec![index],
        })
        .collect();
    Scenario {
        target,
        steps,
        setup: Vec::new(),
        tasks,
        rows: None,
        constants: Vec::new(),
    }
}
