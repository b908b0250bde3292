//! Reads one HTTP/1.1 answer (RFC 9112) out of the bytes of a connection, where they lie.
//!
//! Nothing is copied or allocated for an answer that fits into the buffer, and headers are looked
//! up only when somebody asks for one. This is where the client's CPU time is saved.

use std::{mem::MaybeUninit, ops::Range, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use crate::answer::{Answer, Received, SERVER_TIMING, ServerTiming};

/// Most headers of an answer, and most trailers; the bound of other clients.
const MOST_HEADERS: usize = 100;

/// Longest head, interim answers before it included. Servers refuse requests with less.
const LONGEST_HEAD: usize = 64 << 10;

/// Longest line with the size of a chunk, extensions included.
const LONGEST_CHUNK_LINE: usize = 4 << 10;

/// First size of the buffer: most answers of an API, and little for a thousand users.
const FIRST_SIZE: usize = 8 << 10;

/// A larger buffer is given back once an answer needed less than a quarter of it.
const KEPT_SIZE: usize = 64 << 10;

/// Why bytes are not an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// They break the protocol, or end too early.
    Protocol(String),
    /// The body is longer than the limit.
    TooLarge,
}

fn broken<T>(what: &str) -> Result<T, Broken> {
    Err(Broken::Protocol(what.to_owned()))
}

/// The buffer of a connection and how far the answer in it has been read.
///
/// It holds the head, then the body, from which the framing of chunks is removed in place, then,
/// while chunks are incomplete, bytes that are not decoded yet.
pub(crate) struct Inbox {
    buffer: Vec<u8>,
    /// Where the bytes that were received end.
    filled: usize,
    /// Longest body that is taken.
    limit: usize,
    asked: Asked,
    state: State,
    /// Where the head begins; interim answers stand before it.
    head: usize,
    status: StatusCode,
    body: Range<usize>,
    keep_alive: bool,
    /// The head has a `Server-Timing`.
    timed: bool,
}

/// What kind of answer the method of the request calls for.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Body,
    HeadOnly,
    Tunnel,
}

#[derive(Clone, Copy)]
enum State {
    Head,
    /// The body ends at this place.
    Sized(usize),
    /// Bytes from this place on are not decoded yet.
    Chunked(Chunk, usize),
    UntilClose,
    Complete,
}

/// What comes next in a chunked body.
#[derive(Clone, Copy)]
enum Chunk {
    Size,
    /// So many bytes of data.
    Data(u64),
    /// The line end after the data.
    DataEnd,
    Trailers,
}

impl Inbox {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            filled: 0,
            limit,
            asked: Asked::Body,
            state: State::Head,
            head: 0,
            status: StatusCode::OK,
            body: 0..0,
            keep_alive: false,
            timed: false,
        }
    }

    /// Forgets the last answer; the next one answers a request of this method.
    pub(crate) fn begin(&mut self, method: &Method) {
        if self.buffer.len() > KEPT_SIZE && self.filled < self.buffer.len() / 4 {
            self.buffer.truncate(KEPT_SIZE);
            self.buffer.shrink_to_fit();
        }
        self.filled = 0;
        self.head = 0;
        self.body = 0..0;
        self.state = State::Head;
        self.asked = match *method {
            Method::HEAD => Asked::HeadOnly,
            Method::CONNECT => Asked::Tunnel,
            _ => Asked::Body,
        };
    }

    /// Longest body that is taken, in bytes.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether nothing of the answer has come yet.
    pub(crate) fn is_untouched(&self) -> bool {
        self.filled == 0
    }

    /// Whether another request can be sent on the connection after this answer.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// Where to put the bytes that come next; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.filled == self.buffer.len() {
            self.close_gap();
        }
        if self.filled == self.buffer.len() {
            let size = (2 * self.buffer.len()).max(FIRST_SIZE);
            self.buffer.resize(size, 0);
        }
        &mut self.buffer[self.filled..]
    }

    /// Moves what is not decoded yet to the end of what is.
    fn close_gap(&mut self) {
        if let State::Chunked(chunk, raw) = self.state {
            self.buffer.copy_within(raw..self.filled, self.body.end);
            self.filled = self.body.end + (self.filled - raw);
            self.state = State::Chunked(chunk, self.body.end);
        }
    }

    /// Takes the first `read` bytes of [`Inbox::space`] into account; true when the answer is
    /// complete.
    pub(crate) fn advance(&mut self, read: usize) -> Result<bool, Broken> {
        self.filled += read;
        if matches!(self.state, State::Head) {
            self.read_head()?;
        }
        match self.state {
            State::Head => Ok(false),
            State::Sized(end) => {
                self.body.end = end.min(self.filled);
                self.complete_at(end)
            }
            State::Chunked(chunk, raw) => self.read_chunks(chunk, raw),
            State::UntilClose => {
                self.body.end = self.filled;
                if self.body.len() > self.limit {
                    return Err(Broken::TooLarge);
                }
                Ok(false)
            }
            State::Complete => broken("bytes after the end of the answer"),
        }
    }

    /// The service closed its side; an error unless that ends the body.
    pub(crate) fn closed(&mut self) -> Result<(), Broken> {
        match self.state {
            State::Head if self.is_untouched() => broken("closed without an answer"),
            State::Head => broken("closed inside the head of the answer"),
            State::Sized(_) | State::Chunked(..) => broken("closed inside the body"),
            State::UntilClose | State::Complete => {
                self.state = State::Complete;
                Ok(())
            }
        }
    }

    /// The answer, once it is complete.
    pub(crate) fn reply(&self) -> Reply<'_> {
        Reply { inbox: self }
    }

    fn complete_at(&mut self, end: usize) -> Result<bool, Broken> {
        if self.filled > end {
            return broken("bytes after the end of the answer");
        }
        if self.filled == end {
            self.state = State::Complete;
        }
        Ok(self.filled == end)
    }

    /// Reads the head if all of it is there, and skips interim answers.
    fn read_head(&mut self) -> Result<(), Broken> {
        loop {
            let bytes = &self.buffer[self.head..self.filled];
            let (head, length) = match Head::parse(bytes)? {
                Some((head, length)) if self.head + length <= LONGEST_HEAD => (head, length),
                None if self.filled <= LONGEST_HEAD => return Ok(()),
                _ => return broken("the head of the answer is longer than 64 KiB"),
            };
            // 101 ends HTTP on the connection: no interim answer, and nothing that we asked for.
            if head.status.is_informational() && head.status != StatusCode::SWITCHING_PROTOCOLS {
                self.head += length;
                continue;
            }
            let begin = self.head + length;
            self.status = head.status;
            self.timed = head.timed;
            self.body = begin..begin;
            self.state = self.framing(&head, begin)?;
            self.keep_alive = head.keep_alive
                && head.status != StatusCode::SWITCHING_PROTOCOLS
                && self.asked != Asked::Tunnel
                && !matches!(self.state, State::UntilClose);
            return Ok(());
        }
    }

    /// How the body ends (RFC 9112, 6.3).
    fn framing(&self, head: &Head, begin: usize) -> Result<State, Broken> {
        let bodiless = self.asked == Asked::HeadOnly
            || (self.asked == Asked::Tunnel && head.status.is_success())
            || matches!(
                head.status,
                StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        Ok(match (head.coding, head.length) {
            _ if bodiless => State::Sized(begin),
            (Coding::Chunked, _) => State::Chunked(Chunk::Size, begin),
            (Coding::Other, _) | (Coding::None, None) => State::UntilClose,
            (Coding::None, Some(length)) => match usize::try_from(length) {
                Ok(length) if length <= self.limit => State::Sized(begin + length),
                _ => return Err(Broken::TooLarge),
            },
        })
    }

    /// Decodes the chunks that are there.
    fn read_chunks(&mut self, mut chunk: Chunk, mut raw: usize) -> Result<bool, Broken> {
        loop {
            let rest = &self.buffer[raw..self.filled];
            let next = match chunk {
                Chunk::Size => chunk_size(rest)?.map(|(length, size)| {
                    raw += length;
                    match size {
                        0 => Chunk::Trailers,
                        _ => Chunk::Data(size),
                    }
                }),
                Chunk::Data(left) => {
                    if left > (self.limit - self.body.len()) as u64 {
                        return Err(Broken::TooLarge);
                    }
                    let take = rest.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.buffer.copy_within(raw..raw + take, self.body.end);
                    self.body.end += take;
                    raw += take;
                    match left - take as u64 {
                        0 => Some(Chunk::DataEnd),
                        left => {
                            chunk = Chunk::Data(left);
                            None
                        }
                    }
                }
                Chunk::DataEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        raw += 2;
                        Some(Chunk::Size)
                    }
                    [] | [b'\r'] => None,
                    _ => return broken("a chunk is longer than it says"),
                },
                Chunk::Trailers => match trailers(rest)? {
                    Some(length) => return self.complete_at(raw + length),
                    None => None,
                },
            };
            match next {
                Some(next) => chunk = next,
                None => break,
            }
        }
        self.state = State::Chunked(chunk, raw);
        if raw == self.filled {
            self.close_gap();
        }
        Ok(false)
    }
}

/// What the head of an answer says about its framing.
struct Head {
    status: StatusCode,
    coding: Coding,
    length: Option<u64>,
    keep_alive: bool,
    timed: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Coding {
    None,
    Chunked,
    /// Not chunked in the end: only closing the connection ends the body.
    Other,
}

impl Head {
    /// The head at the start of `bytes` and its length; `None` while it is incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Broken> {
        // Setting up the room would take longer than parsing a usual head.
        let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            bytes,
            &mut room,
        );
        match parsed {
            Ok(httparse::Status::Complete(length)) => {
                Ok(Some((Self::of_response(&response)?, length)))
            }
            Ok(httparse::Status::Partial) => Ok(None),
            Err(error) => Err(Broken::Protocol(format!("not an HTTP answer: {error}"))),
        }
    }

    fn of_response(response: &httparse::Response<'_, '_>) -> Result<Self, Broken> {
        let Some(Ok(status)) = response.code.map(StatusCode::from_u16) else {
            return broken("not an HTTP answer: the status is below 100");
        };
        let current = response.version == Some(1);
        let mut head = Self {
            status,
            coding: Coding::None,
            length: None,
            keep_alive: current,
            timed: false,
        };
        let (mut close, mut keep) = (false, false);
        for header in response.headers.iter() {
            // Most names are told apart by their length alone.
            let is = |name: &HeaderName| header.name.eq_ignore_ascii_case(name.as_str());
            if is(&header::CONTENT_LENGTH) {
                head.length = Some(content_length(head.length, header.value)?);
            } else if is(&header::TRANSFER_ENCODING) {
                if !current {
                    return broken("an HTTP/1.0 answer with a transfer coding");
                }
                // The last coding of the last header decides.
                head.coding = match tokens(header.value).next_back() {
                    Some(last) if last.eq_ignore_ascii_case(b"chunked") => Coding::Chunked,
                    _ => Coding::Other,
                };
            } else if is(&header::CONNECTION) {
                close |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"close"));
                keep |= tokens(header.value).any(|token| token.eq_ignore_ascii_case(b"keep-alive"));
            } else if is(&SERVER_TIMING) {
                head.timed = true;
            }
        }
        head.keep_alive = !close && (current || keep);
        Ok(head)
    }
}

/// The elements of a header that is a list.
fn tokens(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// The length of the body; several that agree are one.
fn content_length(known: Option<u64>, value: &[u8]) -> Result<u64, Broken> {
    let mut length = known;
    for token in tokens(value) {
        let digits = std::str::from_utf8(token)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|text| text.parse().ok()) {
            Some(number) if length.is_none_or(|length| length == number) => length = Some(number),
            _ => return broken("the answer has no valid `content-length`"),
        }
    }
    length.map_or_else(|| broken("the answer has no valid `content-length`"), Ok)
}

/// Length of the line at the start of `rest` and the size of the chunk that it begins.
fn chunk_size(rest: &[u8]) -> Result<Option<(usize, u64)>, Broken> {
    // The parser would take a line without digits for a 0.
    if rest.first().is_some_and(|byte| !byte.is_ascii_hexdigit()) {
        return broken("a chunk has no valid size");
    }
    match httparse::parse_chunk_size(rest) {
        Ok(httparse::Status::Complete(line)) => Ok(Some(line)),
        Ok(httparse::Status::Partial) if rest.len() <= LONGEST_CHUNK_LINE => Ok(None),
        _ => broken("a chunk has no valid size"),
    }
}

/// Length of the trailers and the empty line that ends them.
fn trailers(rest: &[u8]) -> Result<Option<usize>, Broken> {
    if rest.starts_with(b"\r\n") {
        return Ok(Some(2));
    }
    match httparse::parse_headers(rest, &mut [httparse::EMPTY_HEADER; MOST_HEADERS]) {
        Ok(httparse::Status::Complete((length, _))) => Ok(Some(length)),
        Ok(httparse::Status::Partial) if rest.len() <= LONGEST_HEAD => Ok(None),
        _ => broken("the trailers after the last chunk are not valid"),
    }
}

/// A complete answer that still lies in the connection's buffer.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    inbox: &'a Inbox,
}

impl<'a> Reply<'a> {
    /// The metrics of all `Server-Timing` headers.
    pub(crate) fn server_timing(&self) -> Vec<ServerTiming> {
        let mut timings = Vec::new();
        if self.inbox.timed {
            self.each_header(|name, value| {
                if name.eq_ignore_ascii_case(SERVER_TIMING.as_str()) {
                    timings.extend(ServerTiming::of_header(value));
                }
            });
        }
        timings
    }

    /// A copy that outlives the buffer.
    pub(crate) fn to_answer(self, service_time: Duration) -> Answer {
        let mut headers = HeaderMap::new();
        self.each_header(|name, value| {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
                headers.append(name, value);
            }
        });
        Answer {
            status: self.status(),
            headers,
            body: Bytes::copy_from_slice(self.body()),
            service_time,
        }
    }

    /// Goes through the headers, which were parsed once and found good, in their order.
    fn each_header(&self, mut found: impl FnMut(&'a str, &'a [u8])) {
        let inbox = self.inbox;
        let mut room = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut room);
        if response
            .parse(&inbox.buffer[inbox.head..inbox.body.start])
            .is_ok()
        {
            for header in response.headers.iter() {
                found(header.name, header.value);
            }
        }
    }
}

impl Received for Reply<'_> {
    fn status(&self) -> StatusCode {
        self.inbox.status
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut first = None;
        self.each_header(|other, value| {
            if first.is_none() && other.eq_ignore_ascii_case(name.as_str()) {
                first = Some(value);
            }
        });
        first
    }

    fn body(&self) -> &[u8] {
        &self.inbox.buffer[self.inbox.body.clone()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const LIMIT: usize = 100_000;

    /// What came of an answer.
    #[derive(Debug, Clone, PartialEq)]
    struct Read {
        status: u16,
        body: Vec<u8>,
        headers: Vec<(String, Vec<u8>)>,
        keep_alive: bool,
    }

    /// Feeds pieces one by one, and the end of the connection if they are not enough.
    fn feed<'a>(
        method: &Method,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Read, Broken> {
        let mut inbox = Inbox::new(LIMIT);
        inbox.begin(method);
        let mut complete = false;
        for mut piece in pieces {
            while !piece.is_empty() {
                let space = inbox.space();
                let fits = space.len().min(piece.len());
                space[..fits].copy_from_slice(&piece[..fits]);
                complete = inbox.advance(fits)?;
                piece = &piece[fits..];
            }
        }
        if !complete {
            inbox.closed()?;
        }
        let answer = inbox.reply().to_answer(Duration::ZERO);
        let headers = answer.headers.iter();
        Ok(Read {
            status: answer.status.as_u16(),
            body: answer.body.to_vec(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            keep_alive: inbox.keeps_alive(),
        })
    }

    fn read(text: &str) -> Result<Read, Broken> {
        feed(&Method::GET, [text.as_bytes()])
    }

    fn body(text: &str) -> (u16, String, bool) {
        let read = read(text).unwrap();
        let body = String::from_utf8(read.body).unwrap();
        (read.status, body, read.keep_alive)
    }

    fn reason(text: &str) -> String {
        match read(text).unwrap_err() {
            Broken::Protocol(reason) => reason,
            Broken::TooLarge => "too large".to_owned(),
        }
    }

    #[test]
    fn the_head_decides_how_the_body_ends() {
        for (text, expected) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                (200, "ok", true),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\ncontent-length: 2\r\n\r\nok",
                (200, "ok", true),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
                (200, "", true),
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", (204, "", true)),
            (
                "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
                (304, "", true),
            ),
            (
                "HTTP/1.1 200 OK\r\n\r\nuntil the end",
                (200, "until the end", false),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nt: u\r\n\r\n",
                (200, "abc0123456789", true),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                (200, "", true),
            ),
            // A transfer coding overrides a length (RFC 9112, 6.3).
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: gzip, Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                (200, "ok", true),
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nzipped",
                (200, "zipped", false),
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                (200, "ok", true),
            ),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", (101, "", false)),
            (
                "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 0\r\n\r\n",
                (200, "", false),
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
                (200, "", false),
            ),
            (
                "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
                (200, "", true),
            ),
        ] {
            let (status, found, keep) = expected;
            assert_eq!(body(text), (status, found.to_owned(), keep), "{text}");
        }
    }

    #[test]
    fn an_answer_to_head_has_no_body_whatever_its_length_says() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n";
        let read = feed(&Method::HEAD, [&text[..]]).unwrap();
        assert_eq!((read.body.len(), read.keep_alive), (0, true));
        assert_eq!(read.headers[0].1, b"999999999");
    }

    #[test]
    fn what_breaks_the_protocol_is_refused_with_a_reason() {
        let chunked = |body: &str| {
            reason(&format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"
            ))
        };
        let with = |header: &str| reason(&format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\nabc"));
        for (found, part) in [
            (reason(""), "without an answer"),
            (reason("HTTP/1.1 200 OK\r\n"), "inside the head"),
            (reason("SSH-2.0-OpenSSH\r\n"), "not an HTTP answer"),
            (reason("HTTP/1.1 099 X\r\n\r\n"), "below 100"),
            (with("content-length: 2"), "after the end"),
            (with("content-length: 4"), "inside the body"),
            (with("content-length: -3"), "content-length"),
            (with("content-length: +3"), "content-length"),
            (with("content-length:"), "content-length"),
            (with("content-length: 3, 4"), "content-length"),
            (with("content-length: 100001"), "too large"),
            (
                with("content-length: 18446744073709551616"),
                "content-length",
            ),
            (with(&format!("x: {}", "y".repeat(70_000))), "64 KiB"),
            (with(&"x: y\r\n".repeat(101)), "too many headers"),
            (
                reason("HTTP/1.1 204 No Content\r\n\r\nbody"),
                "after the end",
            ),
            (
                reason("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
                "HTTP/1.0",
            ),
            (
                reason(&format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LIMIT + 1))),
                "too large",
            ),
            (chunked("2\r\nok\r\n0\r\n\r\nHTTP"), "after the end"),
            (chunked("2\r\nok"), "inside the body"),
            (chunked("1\r\nok\r\n"), "longer than it says"),
            (chunked("\r\n\r\n"), "valid size"),
            (chunked("xyz\r\n"), "valid size"),
            (chunked(&format!("1;{}", "x".repeat(5000))), "valid size"),
            (chunked("FFFFFFFFFFFFFFFF\r\n"), "too large"),
            (chunked("c350\r\n"), "inside the body"),
            (chunked("186a1\r\n"), "too large"),
            (chunked("0\r\nno trailer\r\n\r\n"), "trailers"),
        ] {
            assert!(found.contains(part), "{found}, not {part}");
        }
    }

    #[test]
    fn a_large_buffer_is_kept_while_it_is_needed_and_then_given_back() {
        let mut inbox = Inbox::new(1 << 20);
        for (length, kept) in [(500_000, true), (500_000, true), (10, false)] {
            let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            let text = [text.as_bytes(), &vec![b'x'; length]].concat();
            for piece in text.chunks(5000) {
                let space = inbox.space();
                let (now, later) = piece.split_at(piece.len().min(space.len()));
                space[..now.len()].copy_from_slice(now);
                inbox.advance(now.len()).unwrap();
                if !later.is_empty() {
                    inbox.space()[..later.len()].copy_from_slice(later);
                    inbox.advance(later.len()).unwrap();
                }
            }
            assert_eq!(inbox.reply().body().len(), length);
            inbox.begin(&Method::GET);
            assert_eq!(inbox.buffer.capacity() > 2 * KEPT_SIZE, kept, "{length}");
        }
    }

    /// An answer in one of the framings, with the body it carries.
    fn answers() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let body = vec(vec(any::<u8>(), 1..40), 0..6);
        (body, 0..3, any::<bool>(), 200u16..600).prop_map(|(pieces, framing, interim, status)| {
            let body = pieces.concat();
            let empty = [204, 304].contains(&status);
            let mut text = Vec::new();
            if interim {
                text.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
            }
            text.extend_from_slice(format!("HTTP/1.1 {status} X\r\nserver: s\r\n").as_bytes());
            match framing {
                _ if empty => text.extend_from_slice(b"\r\n"),
                0 => {
                    let length = format!("content-length: {}\r\n\r\n", body.len());
                    text.extend_from_slice(length.as_bytes());
                    text.extend_from_slice(&body);
                }
                1 => {
                    text.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
                    for piece in &pieces {
                        text.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                        text.extend_from_slice(piece);
                        text.extend_from_slice(b"\r\n");
                    }
                    text.extend_from_slice(b"0\r\netag: 1\r\n\r\n");
                }
                _ => {
                    text.extend_from_slice(b"\r\n");
                    text.extend_from_slice(&body);
                }
            }
            (text, if empty { Vec::new() } else { body })
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            pieces in vec(vec(any::<u8>(), 0..50), 0..10),
            start in prop::sample::select(vec![
                "",
                "HTTP/1.1 200 OK\r\n",
                "HTTP/1.1 200 OK\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            ]),
        ) {
            let pieces = std::iter::once(start.as_bytes()).chain(pieces.iter().map(Vec::as_slice));
            let _ = feed(&Method::GET, pieces);
        }

        #[test]
        fn damaged_answers_are_read_without_panic(
            (mut text, _) in answers(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let at = at.index(text.len());
            text[at] = byte;
            let _ = feed(&Method::GET, [text.as_slice()]);
        }

        #[test]
        fn an_answer_split_anywhere_is_read_the_same((text, body) in answers()) {
            let whole = feed(&Method::GET, [text.as_slice()]).unwrap();
            prop_assert_eq!(&whole.body, &body);
            for at in 0..=text.len() {
                let (left, right) = text.split_at(at);
                let split = feed(&Method::GET, [left, right]).unwrap();
                prop_assert_eq!(&split, &whole, "split at {}", at);
            }
            prop_assert_eq!(feed(&Method::GET, text.chunks(1)).unwrap(), whole);
        }

        #[test]
        fn chunks_of_any_size_make_up_the_body(
            length in 0usize..60_000, size in 1usize..20_000, read in 1usize..30_000,
        ) {
            let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for chunk in body.chunks(size) {
                text.extend_from_slice(format!("{:X};a=b\r\n", chunk.len()).as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(feed(&Method::GET, text.chunks(read)).unwrap().body, body);
        }
    }
}
