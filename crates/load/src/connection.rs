//! One HTTP/1.1 connection: sends a request, reads the whole answer, reconnects when it must.
//!
//! One write and one read of the socket for a request, on buffers that are kept, and no task but
//! the caller's: what is left is the kernel's part.

use std::{
    fmt,
    future::{Future, poll_fn},
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderValue;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep},
};

use crate::{
    answer::Answer,
    failure::ErrorKind,
    inbox::{Broken, Inbox, Reply},
    request::{Prepared, random_traceparent},
};

/// A larger buffer for requests is given back after the request.
const KEPT_SIZE: usize = 64 << 10;

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

/// One connection to the service, opened when first needed and again after it was lost.
///
/// A request is sent again, once and on a new connection, when the service had closed the old one
/// meanwhile: if nothing of it was written, or nothing of an answer was read and its method is
/// idempotent.
pub struct Connection {
    target: SocketAddr,
    host: String,
    limits: Limits,
    /// Open and without anything under way on it.
    idle: Option<TcpStream>,
    outbox: Vec<u8>,
    inbox: Inbox,
    alarm: Alarm,
    connects: u64,
    last_error: Option<String>,
    ids: ChaCha8Rng,
}

/// When a request was written and when the last byte of its answer was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

/// Why there is no answer.
enum Failed {
    /// The connection was closed or reset before anything of an answer came.
    Unanswered {
        written: bool,
        detail: String,
    },
    Because(ErrorKind, String),
}

impl Connection {
    /// A connection that is not open yet. A bare `Duration` is a timeout.
    #[must_use]
    pub fn new(target: SocketAddr, limits: impl Into<Limits>) -> Self {
        let limits = limits.into();
        Self {
            target,
            host: target.to_string(),
            limits,
            idle: None,
            outbox: Vec::new(),
            inbox: Inbox::new(limits.body),
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
        let stream = match self.take_idle() {
            Some(stream) => stream,
            None => self.connect(Instant::now() + self.limits.timeout).await?,
        };
        self.idle = Some(stream);
        Ok(())
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
        let times = self.exchange(prepared, traceparent).await?;
        Ok(self.reply().to_answer(times.end - times.begin))
    }

    /// Like [`Connection::send`], but leaves the answer where it is, for [`Connection::reply`].
    pub(crate) async fn exchange(
        &mut self,
        prepared: &Prepared,
        traceparent: Option<&str>,
    ) -> Result<Times, ErrorKind> {
        self.last_error = None;
        let body = self.write_request(prepared, traceparent);
        let mut begin = Instant::now();
        let deadline = begin + self.limits.timeout;
        loop {
            let idle = self.take_idle();
            let reused = idle.is_some();
            let mut stream = match idle {
                Some(stream) => stream,
                None => {
                    let stream = self.connect(deadline).await?;
                    begin = Instant::now();
                    stream
                }
            };
            self.inbox.begin(prepared.method());
            match self.converse(&mut stream, body, deadline).await {
                Ok(all_written) => {
                    if all_written && self.inbox.keeps_alive() && !prepared.closes() {
                        self.idle = Some(stream);
                    }
                    let end = Instant::now();
                    return Ok(Times { begin, end });
                }
                // A connection that the service closed while the user paused.
                Err(Failed::Unanswered { written, .. })
                    if reused && (!written || prepared.method().is_idempotent()) => {}
                Err(Failed::Unanswered { detail, .. }) => {
                    return Err(self.fail(ErrorKind::Reset, detail));
                }
                Err(Failed::Because(kind, detail)) => return Err(self.fail(kind, detail)),
            }
        }
    }

    /// The answer to the last request, if that was answered.
    pub(crate) fn reply(&self) -> Reply<'_> {
        self.inbox.reply()
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
        self.last_error = Some(detail);
        kind
    }

    /// The open connection, unless the service has closed it, or sent what nobody asked for,
    /// since the last answer. Costs no system call while neither has happened.
    ///
    /// It is put back when an answer is complete: one whose request was given up halfway must not
    /// be used again.
    fn take_idle(&mut self) -> Option<TcpStream> {
        let stream = self.idle.take()?;
        let silent = stream.try_read(&mut [0]);
        silent
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
            .then_some(stream)
    }

    async fn connect(&mut self, deadline: Instant) -> Result<TcpStream, ErrorKind> {
        let connecting = async {
            let stream = TcpStream::connect(self.target).await?;
            stream.set_nodelay(true)?;
            io::Result::Ok(stream)
        };
        match tokio::time::timeout_at(deadline, connecting).await {
            Ok(Ok(stream)) => {
                self.connects += 1;
                Ok(stream)
            }
            Ok(Err(error)) => Err(self.fail(ErrorKind::Connect, error.to_string())),
            Err(_) => Err(self.fail(ErrorKind::Timeout, "no connection within the limit".into())),
        }
    }

    /// Writes the request to the outbox; returns its body unless that is there as well.
    fn write_request<'a>(
        &mut self,
        prepared: &'a Prepared,
        traceparent: Option<&str>,
    ) -> &'a [Bytes] {
        if self.outbox.capacity() > KEPT_SIZE {
            self.outbox = Vec::new();
        }
        let given = traceparent.filter(|text| HeaderValue::from_str(text).is_ok());
        let random;
        let trace = match given.map(str::as_bytes).or(prepared.traceparent()) {
            Some(trace) => trace,
            None => {
                random = random_traceparent(&mut self.ids);
                &random
            }
        };
        prepared.write(&mut self.outbox, &self.host, trace)
    }

    /// Writes the request and reads its answer; whether all was written by then.
    ///
    /// Reads while it writes: a service may refuse a long body before it has come to its end.
    async fn converse(
        &mut self,
        stream: &mut TcpStream,
        body: &[Bytes],
        deadline: Instant,
    ) -> Result<bool, Failed> {
        let mut outgoing = Outgoing::new(&self.outbox, body);
        let (inbox, alarm) = (&mut self.inbox, &mut self.alarm);
        poll_fn(|cx| {
            outgoing.poll(stream, cx);
            if let Poll::Ready(read) = poll_answer(inbox, stream, cx) {
                return Poll::Ready(match read {
                    Ok(()) => Ok(outgoing.is_done()),
                    Err(failed) => Err(outgoing.explain(failed)),
                });
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
            .field("open", &self.idle.is_some())
            .field("connects", &self.connects)
            .finish_non_exhaustive()
    }
}

/// Pieces of a body that one write takes; forms have few, and the rest goes with the next.
const PIECES_AT_ONCE: usize = 16;

/// How far a request is written.
struct Outgoing<'a> {
    /// What is left of the piece under way.
    rest: &'a [u8],
    later: &'a [Bytes],
    begun: bool,
    /// Writing failed. The service may have answered before, so that is read first.
    error: Option<io::Error>,
}

impl<'a> Outgoing<'a> {
    fn new(head: &'a [u8], body: &'a [Bytes]) -> Self {
        Self {
            rest: head,
            later: body,
            begun: false,
            error: None,
        }
    }

    /// Writes what the connection takes at the moment.
    fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) {
        while !self.is_done() && self.error.is_none() {
            match self.write(Pin::new(&mut *stream), cx) {
                Poll::Ready(Ok(0)) => self.error = Some(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.advance(written),
                Poll::Ready(Err(error)) => self.error = Some(error),
                Poll::Pending => return,
            }
        }
    }

    fn write(&self, stream: Pin<&mut TcpStream>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.later.is_empty() {
            return stream.poll_write(cx, self.rest);
        }
        let mut slices = [IoSlice::new(&[]); PIECES_AT_ONCE];
        slices[0] = IoSlice::new(self.rest);
        for (slice, piece) in slices[1..].iter_mut().zip(self.later) {
            *slice = IoSlice::new(piece);
        }
        let count = PIECES_AT_ONCE.min(1 + self.later.len());
        stream.poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut written: usize) {
        self.begun = true;
        while written >= self.rest.len() {
            written -= self.rest.len();
            let Some((next, later)) = self.later.split_first() else {
                self.rest = &[];
                return;
            };
            (self.rest, self.later) = (next, later);
        }
        self.rest = &self.rest[written..];
    }

    fn is_done(&self) -> bool {
        self.rest.is_empty() && self.later.is_empty()
    }

    /// Adds what is known of the request to why there is no answer.
    fn explain(&self, failed: Failed) -> Failed {
        match failed {
            Failed::Unanswered { detail, .. } => Failed::Unanswered {
                written: self.begun,
                detail: match &self.error {
                    Some(error) => format!("{error} while sending"),
                    None => detail,
                },
            },
            because @ Failed::Because(..) => because,
        }
    }
}

/// Reads until the answer is complete.
fn poll_answer(
    inbox: &mut Inbox,
    stream: &mut TcpStream,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failed>> {
    loop {
        let mut space = ReadBuf::new(inbox.space());
        let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut space));
        let result = match read.map(|()| space.filled().len()) {
            Ok(0) => inbox.closed().map(|()| true),
            Ok(read) => inbox.advance(read),
            Err(error) => Err(Broken::Protocol(error.to_string())),
        };
        match result {
            Ok(true) => return Poll::Ready(Ok(())),
            Ok(false) => {}
            Err(broken) => return Poll::Ready(Err(failed(inbox, broken))),
        }
    }
}

fn failed(inbox: &Inbox, broken: Broken) -> Failed {
    match broken {
        Broken::TooLarge => Failed::Because(
            ErrorKind::TooLarge,
            format!("the body is longer than {} bytes", inbox.limit()),
        ),
        Broken::Protocol(detail) if inbox.is_untouched() => Failed::Unanswered {
            written: true,
            detail,
        },
        Broken::Protocol(detail) => Failed::Because(ErrorKind::Reset, detail),
    }
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
