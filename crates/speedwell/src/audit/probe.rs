//! Probes: each route asked several times, one request after the other, on an instrumented
//! service, so that every statement of every request is known.

use std::{collections::HashMap, net::SocketAddr, path::Path, time::Duration};

use http::Method;
use serde_json::Value;
use speedwell_collect::Receiver;
use speedwell_load::{Answer, Connection, Prepared, Rows, Session, Step};
use speedwell_trace::{Request, SpanId, TraceId};
use tokio::task::JoinSet;

use super::steps::{Sizes, step};
use crate::config::{Audited, RouteSpec};

/// Spans are exported every 100 ms; a service that needs longer than this for its last ones is
/// not going to send them.
const SPAN_TIMEOUT: Duration = Duration::from_secs(10);

/// So many ask for the same at the same moment when a `GET` is asked for the first time: enough for
/// a stampede on an empty cache, and few beside any load.
const CROWD: usize = 5;

/// All probes of one route at one scale and page size.
#[derive(Debug)]
pub(crate) struct Probe {
    /// Name of the route in the configuration.
    pub(crate) name: String,
    pub(crate) scale: u64,
    pub(crate) page_size: Option<u64>,
    pub(crate) samples: Vec<Sample>,
    /// The requests before the counted ones, of a `GET` several at the same moment: what the
    /// service does while its caches are empty. Their times are not counted.
    pub(crate) cold: Vec<Request>,
    /// Probes whose spans never came.
    pub(crate) unseen: usize,
    /// Why a probe could not be sent or was not answered as expected; the first one.
    pub(crate) failure: Option<Failure>,
}

/// A probe that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What happened, without anything that may belong to users.
    pub(crate) what: String,
    /// The request and the beginning of the answer, for whoever started the audit.
    pub(crate) detail: String,
}

impl Failure {
    fn plain(what: String) -> Self {
        Self {
            detail: what.clone(),
            what,
        }
    }
}

impl Probe {
    /// Everything that was observed, the counted requests first.
    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request> {
        let counted = self.samples.iter().map(|sample| &sample.request);
        counted.chain(&self.cold)
    }
}

/// One request that was sent, answered and observed.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) request: Request,
    /// Path and query as sent.
    pub(crate) path: String,
    /// Length of the answer's body; `None` when it came compressed.
    pub(crate) body_bytes: Option<u64>,
    /// As the client saw it.
    pub(crate) total: Duration,
}

/// Whom and what to probe.
pub(crate) struct Target<'a> {
    pub(crate) audited: &'a Audited,
    pub(crate) routes: &'a [&'a RouteSpec],
    pub(crate) address: SocketAddr,
    pub(crate) scale: u64,
    /// Folder with the data of the scale.
    pub(crate) workdir: &'a Path,
    pub(crate) users: Option<Rows>,
    /// Counted probes of each route and page size; one more, of a `GET` a crowd, is sent first to
    /// warm it up. Each is sent by a user of its own, so that what a user can do once can be probed.
    pub(crate) probes: usize,
}

struct Sent {
    probe: usize,
    is_counted: bool,
    trace: TraceId,
    path: String,
    total: Duration,
    rows_answered: Option<u64>,
    body_bytes: Option<u64>,
}

/// Probes every route and collects what the service reported of it.
pub(crate) async fn probe(
    target: &Target<'_>,
    receiver: &Receiver,
    mut tick: impl FnMut(&str),
) -> Vec<Probe> {
    let audited = target.audited;
    let mut sessions: Vec<Session> = (0..=target.probes as u64)
        .map(|user| {
            let row = target.users.as_ref().and_then(|rows| rows.get(user));
            Session::new(audited.load.seed, user, row)
        })
        .collect();
    let mut connection = Connection::new(target.address, audited.load.timeout);
    let mut probes = Vec::new();
    let mut sent = Vec::new();
    for route in audited.setup.iter().chain(target.routes.iter().copied()) {
        tick(&route.name);
        for page_size in page_sizes(route) {
            let index = probes.len();
            let mut probe = Probe {
                name: route.name.clone(),
                scale: target.scale,
                page_size,
                samples: Vec::new(),
                cold: Vec::new(),
                unseen: 0,
                failure: None,
            };
            let sizes = Sizes {
                page_size,
                scale: target.scale,
                workdir: Some(target.workdir),
            };
            match step(route, sizes) {
                Ok(step) => {
                    for (user, session) in sessions.iter_mut().enumerate() {
                        let crowd = crowd(&step, user);
                        match ask(&step, session, &mut connection, crowd, target).await {
                            Ok(asked) => {
                                sent.extend(asked.into_iter().map(|one| one.sent(index, user > 0)));
                            }
                            Err(failure) => {
                                probe.failure.get_or_insert(failure);
                            }
                        }
                    }
                }
                Err(failure) => probe.failure = Some(Failure::plain(failure)),
            }
            probes.push(probe);
        }
    }
    attach(&mut probes, sent, receiver).await;
    probes
}

/// The page sizes that a route is probed at; one probe without a size for routes without pages.
fn page_sizes(route: &RouteSpec) -> Vec<Option<u64>> {
    match route.page_sizes.as_slice() {
        [] => vec![None],
        sizes => sizes.iter().copied().map(Some).collect(),
    }
}

/// How many ask at the same moment: a crowd for what only reads, when it is read for the first time.
fn crowd(step: &Step, user: usize) -> usize {
    match user == 0 && step.method == Method::GET {
        true => CROWD,
        false => 1,
    }
}

struct Asked {
    trace: TraceId,
    path: String,
    answer: Answer,
}

impl Asked {
    fn sent(self, probe: usize, is_counted: bool) -> Sent {
        Sent {
            probe,
            is_counted,
            trace: self.trace,
            path: self.path,
            total: self.answer.service_time,
            rows_answered: rows_answered(&self.answer),
            body_bytes: body_bytes(&self.answer),
        }
    }
}

/// Sends a request as often as `crowd` says, at the same moment, and takes the captures of one
/// answer. That one must be as expected; of the others, those that are not do not count.
async fn ask(
    step: &Step,
    session: &mut Session,
    connection: &mut Connection,
    crowd: usize,
    target: &Target<'_>,
) -> Result<Vec<Asked>, Failure> {
    let prepared: Prepared = session
        .prepare(step)
        .map_err(|error| Failure::plain(error.to_string()))?;
    let mut others = JoinSet::new();
    for _ in 1..crowd {
        let (step, prepared) = (step.clone(), prepared.clone());
        let mut own = Connection::new(target.address, target.audited.load.timeout);
        others.spawn(async move { send(&step, &prepared, &mut own).await });
    }
    let asked = send(step, &prepared, connection).await?;
    session
        .absorb(step, &asked.answer)
        .map_err(|error| failed(step, &prepared, error.to_string(), ""))?;
    let others = others.join_all().await.into_iter().flatten();
    Ok([asked].into_iter().chain(others).collect())
}

async fn send(
    step: &Step,
    prepared: &Prepared,
    connection: &mut Connection,
) -> Result<Asked, Failure> {
    let trace = TraceId(rand::random());
    let traceparent = format!("00-{trace}-{}-01", SpanId(rand::random()));
    let answer = connection
        .send(prepared, Some(&traceparent))
        .await
        .map_err(|error| failed(step, prepared, error.to_string(), ""))?;
    if !step.expect.accepts(answer.status) {
        let body = String::from_utf8_lossy(&answer.body);
        let start: String = body.chars().take(200).collect();
        let what = format!("it answered {}", answer.status);
        return Err(failed(step, prepared, what, &format!(": {start}")));
    }
    Ok(Asked {
        trace,
        path: prepared.path().to_owned(),
        answer,
    })
}

fn failed(step: &Step, prepared: &Prepared, what: String, more: &str) -> Failure {
    Failure {
        detail: format!("{what} ({} {}){more}", step.method, prepared.path()),
        what,
    }
}

/// Waits for the spans of everything that was sent and hands each request to its probe.
async fn attach(probes: &mut [Probe], sent: Vec<Sent>, receiver: &Receiver) {
    let traces: Vec<TraceId> = sent.iter().map(|sent| sent.trace).collect();
    let mut taken: HashMap<TraceId, Vec<Request>> =
        receiver.take(&traces, SPAN_TIMEOUT).await.requests;
    for sent in sent {
        let probe = &mut probes[sent.probe];
        // A request that called its own service has several roots in its trace; the longest one
        // is what the client waited for.
        let request = taken
            .remove(&sent.trace)
            .and_then(|requests| requests.into_iter().max_by_key(|request| request.duration));
        match request {
            Some(request) if !sent.is_counted => probe.cold.push(request),
            Some(mut request) => {
                request.rows_answered = sent.rows_answered;
                probe.samples.push(Sample {
                    request,
                    path: sent.path,
                    body_bytes: sent.body_bytes,
                    total: sent.total,
                });
            }
            None => probe.unseen += usize::from(sent.is_counted),
        }
    }
}

/// Length of the body as the service made it: a probe does not ask for compression.
fn body_bytes(answer: &Answer) -> Option<u64> {
    let plain = answer
        .headers
        .get_all(http::header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding == "identity");
    plain.then_some(answer.body.len() as u64)
}

/// What the answer shows of the rows that were fetched for it: elements of arrays in JSON, at any
/// depth; lines below the heading of CSV; nothing where there is no body. Of a page or a picture
/// nobody can say.
fn rows_answered(answer: &Answer) -> Option<u64> {
    fn count(value: &Value) -> u64 {
        match value {
            Value::Array(items) => items.len() as u64 + items.iter().map(count).sum::<u64>(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
    }
    if answer.body.is_empty() {
        return Some(0);
    }
    if has_type(answer, "text/csv") {
        let lines = answer.body.iter().filter(|byte| **byte == b'\n').count();
        return Some(lines.saturating_sub(1) as u64);
    }
    serde_json::from_slice(&answer.body)
        .ok()
        .map(|value| count(&value))
}

fn has_type(answer: &Answer, kind: &str) -> bool {
    let found = answer.headers.get("content-type");
    let found = found.and_then(|found| found.to_str().ok());
    found.is_some_and(|found| found.split(';').next().map(str::trim) == Some(kind))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use speedwell_load::Answer;

    use super::{body_bytes, rows_answered};

    #[test]
    fn the_length_of_a_compressed_body_is_not_that_of_the_answer() {
        let answer = |coding: Option<&'static str>| {
            let mut headers = http::HeaderMap::new();
            if let Some(coding) = coding {
                headers.insert("content-encoding", http::HeaderValue::from_static(coding));
            }
            Answer {
                status: http::StatusCode::OK,
                headers,
                body: "[1,2]".into(),
                service_time: Duration::ZERO,
            }
        };
        assert_eq!(body_bytes(&answer(None)), Some(5));
        assert_eq!(body_bytes(&answer(Some("identity"))), Some(5));
        assert_eq!(body_bytes(&answer(Some("gzip"))), None);
    }

    #[test]
    fn rows_answered_counts_array_elements_at_any_depth() {
        let rows = |body: &'static str, kind: &'static str| {
            let kind = http::HeaderValue::from_static(kind);
            let headers = http::HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind)]);
            rows_answered(&Answer {
                headers,
                body: body.into(),
                status: http::StatusCode::OK,
                service_time: Duration::ZERO,
            })
        };
        let list = r#"{"results":[{"images":[1,2]},{"images":[]}],"count":7}"#;
        assert_eq!(rows(list, "application/json"), Some(4));
        assert_eq!(rows(r#"{"id":1}"#, "application/json"), Some(0));
        assert_eq!(
            rows("a,b\r\n1,2\r\n3,4\r\n", "text/csv; charset=utf-8"),
            Some(2)
        );
        assert_eq!(rows("", "text/html"), Some(0));
        assert_eq!(rows("<html>", "text/html"), None);
    }
}
