//! A client that knows what the service did for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use serde_json::Value;
use speedwell_trace::{Observation, Options, Request, Sink, TraceId};
use tracing_subscriber::layer::SubscriberExt as _;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: ureq::http::HeaderMap,
    /// The body.
    pub text: String,
    trace: TraceId,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks the status and gives the JSON.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The messages of a 400.
    pub fn fields(&self) -> Vec<String> {
        let json = self.expect(400);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        json["fields"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    /// The request as the tracing layer saw it.
    pub fn seen(&self) -> Arc<Request> {
        // The span closes after the answer is on its way.
        for _ in 0..500 {
            if let Some(request) = SEEN.get().unwrap().0.lock().unwrap().remove(&self.trace) {
                return request;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the layer did not report the request");
    }

    /// The statements of the request. That a transaction begins and ends is seen on one database
    /// only, and is not counted.
    pub fn statements(&self) -> Vec<String> {
        let request = self.seen();
        let texts = request
            .statements
            .iter()
            .map(|statement| statement.text.to_string());
        texts
            .filter(|text| !["BEGIN", "COMMIT"].contains(&text.as_str()))
            .collect()
    }
}

#[derive(Default)]
struct Seen(Mutex<HashMap<TraceId, Arc<Request>>>);

static SEEN: OnceLock<Arc<Seen>> = OnceLock::new();

impl Sink for Seen {
    fn request(&self, request: &Arc<Request>, _: &Observation) {
        self.0
            .lock()
            .unwrap()
            .insert(request.trace_id, Arc::clone(request));
    }
}

/// Lets the tracing layer see the requests of this process, and these sinks, too, if nobody
/// watched before.
pub fn watch(sinks: Vec<Arc<dyn Sink>>) {
    SEEN.get_or_init(|| {
        let seen = Arc::new(Seen::default());
        let mut sinks = sinks;
        sinks.push(Arc::clone(&seen) as Arc<dyn Sink>);
        let layer = speedwell_trace::layer(Options::new(), sinks);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .unwrap();
        seen
    });
}

/// A client of one service.
#[derive(Debug, Clone)]
pub struct Client {
    /// `http://host:port`.
    pub origin: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client of the service there.
    pub fn of(origin: String) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // The server hangs up after an answer to a body that it did not read.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .build()
            .into();
        Self { origin, agent }
    }

    /// The client, for requests with a body or an answer of their own.
    pub fn agent(&self) -> ureq::Agent {
        self.agent.clone()
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    /// Gets a path with a token.
    pub fn get_as(&self, token: &str, path: &str) -> Answer {
        self.get_with(path, &[("authorization", &format!("Bearer {token}"))])
    }

    /// Gets a path with headers.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let (trace, traceparent) = new_trace();
        let mut request = self
            .agent
            .get(format!("{}{path}", self.origin))
            .header("traceparent", traceparent);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call().unwrap(), trace)
    }

    /// Posts JSON.
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, None, "application/json", &body.to_string())
    }

    /// Posts JSON with a token.
    pub fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.send(path, Some(token), "application/json", &body.to_string())
    }

    /// Any request with a body of JSON and a token.
    pub fn call(&self, method: &str, token: &str, path: &str, body: &Value) -> Answer {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send_as(
            method,
            path,
            Some(token),
            "application/json",
            body.as_bytes(),
        )
    }

    /// Posts a body of this type.
    pub fn send(&self, path: &str, token: Option<&str>, kind: &str, body: &str) -> Answer {
        self.send_as("POST", path, token, kind, body.as_bytes())
    }

    /// Any request with a body.
    pub fn send_as(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        kind: &str,
        body: &[u8],
    ) -> Answer {
        let mut headers = vec![("content-type", kind.to_owned())];
        headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
        self.send_with(method, path, &headers, body)
    }

    /// Any request with a body and headers.
    pub fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Answer {
        let (trace, traceparent) = new_trace();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header("traceparent", traceparent);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).unwrap();
        // Some tests send a body where there is none to be.
        let sent = self.agent.run(request);
        answer(sent.unwrap(), trace)
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>, trace: TraceId) -> Answer {
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.body_mut().read_to_string().unwrap(),
        trace,
    }
}

fn new_trace() -> (TraceId, String) {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = u128::from(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) | 1 << 100;
    (
        TraceId(number.to_be_bytes()),
        format!("00-{number:032x}-00000000000000ab-01"),
    )
}
