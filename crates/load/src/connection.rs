//! One HTTP/1.1 connection: sends a request, reads the whole answer, reconnects when it must.

use std::{
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep},
};

use crate::{failure::ErrorKind, session::Prepared};

/// Bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time from sending, connecting included, to the last byte of the answer.
    pub timeout: Duration,
    /// Longest body that is read, in bytes; a longer one is [`ErrorKind::TooLarge`].
    pub body: usize,
}

impl From<Duration> for Limits {
    /// A timeout, and bodies up to 16 MiB: far above a page of any API, far below what a
    /// hundred users at once could fill memory with.
    fn from(timeout: Duration) -> Self {
        Self {
            timeout,
            body: 16 << 20,
        }
    }
}

/// A complete answer.
#[derive(Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// From the moment the request was written, on an open connection, to the last byte.
    pub service_time: Duration,
}

impl Answer {
    /// The metrics of the answer's `Server-Timing` headers, in order; what is not one is left out.
    #[must_use]
    pub fn server_timing(&self) -> Vec<ServerTiming> {
        self.headers
            .get_all("server-timing")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(split_outside_quotes(','))
            .filter_map(|metric| ServerTiming::parse(&metric))
            .collect()
    }
}

// Headers hold cookies, bodies personal data.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body_len", &self.body.len())
            .field("service_time", &self.service_time)
            .finish_non_exhaustive()
    }
}

/// One metric of a `Server-Timing` header (W3C): `db;dur=12.3;desc="3 queries"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTiming {
    /// Name of the metric.
    pub name: String,
    /// `dur`, which the header gives in milliseconds.
    pub duration: Option<Duration>,
    /// `desc`.
    pub description: Option<String>,
}

impl ServerTiming {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = split_outside_quotes(';')(text).into_iter();
        let name = fields.next()?.trim().to_owned();
        let mut metric = Self {
            name,
            duration: None,
            description: None,
        };
        for field in fields {
            let Some((key, value)) = field.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "dur" => {
                    let millis = value.parse::<f64>().ok();
                    metric.duration =
                        millis.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
                }
                "desc" => metric.description = Some(value.to_owned()),
                _ => {}
            }
        }
        (!metric.name.is_empty()).then_some(metric)
    }
}

/// Cuts at a delimiter that does not stand between double quotes.
fn split_outside_quotes(delimiter: char) -> impl Fn(&str) -> Vec<String> {
    move |text| {
        let mut quoted = false;
        text.split(|c: char| {
            quoted ^= c == '"';
            c == delimiter && !quoted
        })
        .map(str::to_owned)
        .collect()
    }
}

/// One connection to the service, opened when first needed and again after it was lost.
///
/// The connection is driven by the task that sends on it: there is no task of its own to switch
/// to, which is worth a tenth of the client's CPU time.
pub struct Connection {
    target: SocketAddr,
    host: HeaderValue,
    limits: Limits,
    link: Option<Link>,
    alarm: Alarm,
    connects: u64,
    last_error: Option<String>,
    ids: ChaCha8Rng,
}

/// An open connection and what moves its bytes.
struct Link {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>,
}

enum Failed {
    /// The connection was closed before the request was written: it can be sent again.
    NotSent,
    Because(ErrorKind, String),
}

impl Connection {
    /// A connection that is not open yet. A bare `Duration` is a timeout.
    #[must_use]
    #[allow(clippy::expect_used)] // A socket address is made of characters a header may hold.
    pub fn new(target: SocketAddr, limits: impl Into<Limits>) -> Self {
        Self {
            target,
            host: HeaderValue::try_from(target.to_string()).expect("an address is a valid header"),
            limits: limits.into(),
            link: None,
            alarm: Alarm::default(),
            connects: 0,
            last_error: None,
            // Trace ids must differ between runs of the same seed.
            ids: ChaCha8Rng::from_rng(&mut rand::rng()),
        }
    }

    /// Opens the connection unless it is open, so that the first request does not pay for it.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] or [`ErrorKind::Timeout`].
    pub async fn open(&mut self) -> Result<(), ErrorKind> {
        self.open_until(Instant::now() + self.limits.timeout).await
    }

    /// Sends a request and reads its whole answer, whatever its status. Each request carries a
    /// `traceparent`, a random one unless given.
    ///
    /// # Errors
    /// When there is no complete answer; [`Connection::last_error`] then has the details. The
    /// connection is dropped and the next request opens another.
    pub async fn send(
        &mut self,
        prepared: &Prepared,
        traceparent: Option<&str>,
    ) -> Result<Answer, ErrorKind> {
        let deadline = Instant::now() + self.limits.timeout;
        self.last_error = None;
        loop {
            let reused = self.link.is_some();
            self.open_until(deadline).await?;
            let request = self.request(prepared, traceparent);
            match self.exchange(request, deadline).await {
                Ok(answer) => return Ok(answer),
                // A connection that the service closed while the user paused.
                Err(Failed::NotSent) if reused => self.link = None,
                Err(Failed::NotSent) => {
                    return Err(self.fail(ErrorKind::Reset, "closed before the request".into()));
                }
                Err(Failed::Because(kind, detail)) => return Err(self.fail(kind, detail)),
            }
        }
    }

    /// How often a connection was opened.
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.connects
    }

    /// What the last failed request failed of, in words of the operating system or of HTTP.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    fn fail(&mut self, kind: ErrorKind, detail: String) -> ErrorKind {
        self.link = None;
        self.last_error = Some(detail);
        kind
    }

    async fn open_until(&mut self, deadline: Instant) -> Result<(), ErrorKind> {
        if let Some(link) = &mut self.link {
            // Sees a close that arrived since the last request.
            let closed = poll_fn(|cx| Poll::Ready(link.driver.as_mut().poll(cx).is_ready())).await;
            if !closed && !link.sender.is_closed() {
                return Ok(());
            }
            self.link = None;
        }
        match tokio::time::timeout_at(deadline, connect(self.target)).await {
            Ok(Ok(link)) => {
                self.link = Some(link);
                self.connects += 1;
                Ok(())
            }
            Ok(Err(detail)) => Err(self.fail(ErrorKind::Connect, detail)),
            Err(_) => Err(self.fail(ErrorKind::Timeout, "no connection within the limit".into())),
        }
    }

    fn request(&mut self, prepared: &Prepared, traceparent: Option<&str>) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(prepared.body.clone()));
        *request.method_mut() = prepared.method.clone();
        *request.uri_mut() = prepared.uri.clone();
        let headers = request.headers_mut();
        *headers = prepared.headers.clone();
        if let Some(host) = headers.get_mut(header::HOST).filter(|host| host.is_empty()) {
            *host = self.host.clone();
        }
        if let Some(trace) = headers.get_mut(TRACEPARENT) {
            let value = match traceparent {
                Some(given) => HeaderValue::try_from(given).ok(),
                None if !trace.is_empty() => None,
                None => HeaderValue::from_bytes(&random_traceparent(&mut self.ids)).ok(),
            };
            if let Some(value) = value {
                *trace = value;
            }
        }
        request
    }

    /// One request and its answer on the open link, driving the link meanwhile.
    async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        deadline: Instant,
    ) -> Result<Answer, Failed> {
        let Some(Link { sender, driver }) = &mut self.link else {
            return Err(Failed::NotSent);
        };
        let alarm = &mut self.alarm;
        let mut answer = pin!(answer(sender, request, self.limits.body));
        let mut driven = true;
        poll_fn(|cx| {
            // The answer hands over the request, the driver writes it and reads, the answer takes
            // what was read, in one turn when it is already there.
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            if driven && driver.as_mut().poll(cx).is_ready() {
                driven = false;
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            alarm.poll(cx, deadline).map(|()| {
                Err(Failed::Because(
                    ErrorKind::Timeout,
                    "no complete answer in time".into(),
                ))
            })
        })
        .await
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("target", &self.target)
            .field("open", &self.link.is_some())
            .field("connects", &self.connects)
            .finish_non_exhaustive()
    }
}

async fn connect(target: SocketAddr) -> Result<Link, String> {
    let stream = TcpStream::connect(target)
        .await
        .map_err(|error| error.to_string())?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let (sender, driver) = http1::Builder::new()
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    Ok(Link {
        sender,
        driver: Box::pin(driver),
    })
}

async fn answer(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    limit: usize,
) -> Result<Answer, Failed> {
    let failed = |error: hyper::Error| {
        if error.is_canceled() {
            Failed::NotSent
        } else {
            Failed::Because(ErrorKind::Reset, error.to_string())
        }
    };
    sender.ready().await.map_err(|_| Failed::NotSent)?;
    let begin = Instant::now();
    let (parts, incoming) = sender
        .send_request(request)
        .await
        .map_err(failed)?
        .into_parts();
    let body = read(incoming, limit).await?;
    Ok(Answer {
        status: parts.status,
        headers: parts.headers,
        body,
        service_time: begin.elapsed(),
    })
}

/// Reads a body to its end; the common one that comes in one piece is not copied.
async fn read(mut incoming: hyper::body::Incoming, limit: usize) -> Result<Bytes, Failed> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| {
            Failed::Because(ErrorKind::Reset, format!("inside the body: {error}"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.len() > limit {
            return Err(Failed::Because(
                ErrorKind::TooLarge,
                format!("the body is longer than {limit} bytes"),
            ));
        }
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// A timer that is set once for many requests: while answers come in time it is moved on only
/// when it fires, about once in a timeout, rather than set and cleared for every request.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `deadline` is past.
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self
            .0
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// W3C Trace Context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Version 0, random trace and span id, sampled.
fn random_traceparent(rng: &mut impl Rng) -> [u8; 55] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut ids = [0u8; 24];
    rng.fill_bytes(&mut ids);
    // An id of zeros is not valid.
    ids[0] |= 1;
    ids[16] |= 1;
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-01";
    for (index, byte) in ids.into_iter().enumerate() {
        let at = if index < 16 {
            3 + 2 * index
        } else {
            4 + 2 * index
        };
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_has_the_form_of_the_standard() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let text = String::from_utf8(random_traceparent(&mut rng).to_vec()).unwrap();
        let fields: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = fields.iter().map(|field| field.len()).collect();
        assert_eq!(lengths, [2, 32, 16, 2], "{text}");
        assert!(fields.concat().chars().all(|c| c.is_ascii_hexdigit()));
        assert!(!text.contains("0000000000"), "{text}");
    }

    #[test]
    fn server_timing_is_read_with_quotes_and_without_numbers() {
        let mut headers = HeaderMap::new();
        headers.append(
            "server-timing",
            HeaderValue::from_static(r#"db;dur=12.5;desc="3 queries, 1 slow", hit"#),
        );
        headers.append(
            "server-timing",
            HeaderValue::from_static("total;DUR=\"7\";x=y, ;dur=1"),
        );
        let answer = Answer {
            status: StatusCode::OK,
            headers,
            body: Bytes::new(),
            service_time: Duration::ZERO,
        };
        let metric = |name: &str, micros: Option<u64>, description: Option<&str>| ServerTiming {
            name: name.to_owned(),
            duration: micros.map(Duration::from_micros),
            description: description.map(str::to_owned),
        };
        assert_eq!(
            answer.server_timing(),
            [
                metric("db", Some(12_500), Some("3 queries, 1 slow")),
                metric("hit", None, None),
                metric("total", Some(7_000), None),
            ]
        );
    }
}
