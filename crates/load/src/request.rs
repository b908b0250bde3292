//! A request as bytes.

use std::fmt;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Uri, header};
use rand::Rng;

/// How the client names itself.
const USER_AGENT: &str = concat!("speedwell-load/", env!("CARGO_PKG_VERSION"));

/// A longer body is sent from where it lies. A shorter one is copied behind the headers: that costs
/// less than to hand it to the kernel separately.
const COPIED_SIZE: usize = 16 << 10;

/// A body and its type.
#[derive(Debug, Clone)]
pub(crate) struct Payload {
    content_type: HeaderValue,
    /// Whether a header of the step may give the body another type.
    fixed_type: bool,
    pieces: Vec<Bytes>,
}

impl Payload {
    pub(crate) fn json(text: String) -> Self {
        Self {
            content_type: HeaderValue::from_static("application/json"),
            fixed_type: false,
            pieces: vec![Bytes::from(text)],
        }
    }

    /// A form; its type names the boundary, so that no other type would fit. `boundary` must be
    /// letters, digits and dashes.
    pub(crate) fn multipart(boundary: &str, pieces: Vec<Bytes>) -> Self {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        Self {
            content_type: HeaderValue::try_from(content_type)
                .unwrap_or_else(|_| HeaderValue::from_static("multipart/form-data")),
            fixed_type: true,
            pieces,
        }
    }

    #[cfg(test)]
    pub(crate) fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    #[cfg(test)]
    pub(crate) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }
}

/// A request ready to be sent, as often as wanted.
#[derive(Clone)]
pub struct Prepared {
    method: Method,
    uri: Uri,
    /// In pieces, none of them empty.
    body: Vec<Bytes>,
    body_len: usize,
    /// Request line and headers, without what the connection adds.
    head: Vec<u8>,
    /// Length of the request line.
    line: usize,
    has_host: bool,
    traceparent: Option<HeaderValue>,
    closes: bool,
}

impl Prepared {
    /// `headers` replace those that every request has; of two with the same name the last stays.
    pub(crate) fn new(
        method: &Method,
        uri: Uri,
        headers: &[(HeaderName, HeaderValue)],
        payload: Option<Payload>,
    ) -> Self {
        let (content_type, fixed_type, mut body) = match payload {
            Some(payload) => (
                Some(payload.content_type),
                payload.fixed_type,
                payload.pieces,
            ),
            None => (None, false, Vec::new()),
        };
        body.retain(|piece| !piece.is_empty());
        let mut prepared = Self {
            method: method.clone(),
            head: Vec::with_capacity(256),
            line: 0,
            has_host: false,
            traceparent: None,
            closes: false,
            body_len: body.iter().map(Bytes::len).sum(),
            body,
            uri,
        };
        prepared.push_line();
        let ours = |name: &HeaderName| fixed_type && *name == header::CONTENT_TYPE;
        let own = |name: &HeaderName| !ours(name) && headers.iter().any(|(other, _)| other == name);
        let content_type = content_type.as_ref().map(HeaderValue::as_bytes);
        for (name, value) in [
            (header::USER_AGENT, Some(USER_AGENT.as_bytes())),
            (header::ACCEPT, Some(b"*/*".as_slice())),
            (header::CONTENT_TYPE, content_type),
        ] {
            if let Some(value) = value.filter(|_| !own(&name)) {
                push_header(&mut prepared.head, &name, value);
            }
        }
        for (index, (name, value)) in headers.iter().enumerate() {
            let last = headers[index + 1..].iter().all(|(other, _)| other != name);
            if last && !ours(name) {
                prepared.push_own(name, value);
            }
        }
        prepared.push_length();
        prepared
    }

    fn push_line(&mut self) {
        self.head.extend_from_slice(self.method.as_str().as_bytes());
        self.head.push(b' ');
        let path = self.path();
        let slash = if path.starts_with('/') { "" } else { "/" };
        let path = [slash, path].concat();
        self.head.extend_from_slice(path.as_bytes());
        self.head.extend_from_slice(b" HTTP/1.1\r\n");
        self.line = self.head.len();
    }

    fn push_own(&mut self, name: &HeaderName, value: &HeaderValue) {
        // How long the body is and how it is sent is decided here.
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].contains(name) {
            return;
        }
        if *name == TRACEPARENT {
            self.traceparent = Some(value.clone());
            return;
        }
        self.has_host |= *name == header::HOST;
        self.closes |= *name == header::CONNECTION
            && value
                .as_bytes()
                .split(|byte| *byte == b',')
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
        push_header(&mut self.head, name, value.as_bytes());
    }

    /// Methods that usually have a body say so when they have none (RFC 9110, 8.6).
    fn push_length(&mut self) {
        let usual = [Method::POST, Method::PUT, Method::PATCH].contains(&self.method);
        if usual || self.body_len > 0 {
            let length = self.body_len.to_string();
            push_header(&mut self.head, &header::CONTENT_LENGTH, length.as_bytes());
        }
    }

    /// Method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Path and query, filled. They may hold users' values: not for logs and reports.
    #[must_use]
    pub fn path(&self) -> &str {
        self.uri
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// Body, in pieces; none when there is no body.
    #[must_use]
    pub fn body(&self) -> &[Bytes] {
        &self.body
    }

    /// Whether the request itself asks for the connection to be closed.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// The step's own `traceparent`.
    pub(crate) fn traceparent(&self) -> Option<&[u8]> {
        self.traceparent.as_ref().map(HeaderValue::as_bytes)
    }

    /// Replaces `out` with the request; returns the body unless that is in `out` as well.
    pub(crate) fn write(&self, out: &mut Vec<u8>, host: &str, traceparent: &[u8]) -> &[Bytes] {
        let (line, headers) = self.head.split_at(self.line);
        out.clear();
        out.extend_from_slice(line);
        if !self.has_host {
            push_header(out, &header::HOST, host.as_bytes());
        }
        out.extend_from_slice(headers);
        push_header(out, &TRACEPARENT, traceparent);
        out.extend_from_slice(b"\r\n");
        if self.body_len > COPIED_SIZE {
            return &self.body;
        }
        for piece in &self.body {
            out.extend_from_slice(piece);
        }
        &[]
    }
}

// Headers hold credentials, path and body personal data.
impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

fn push_header(out: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Version 0, random trace and span id, sampled.
pub(crate) fn random_traceparent(rng: &mut impl Rng) -> [u8; 55] {
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
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn written(
        method: &Method,
        headers: &[(&'static str, &'static str)],
        body: Option<&'static str>,
    ) -> String {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect();
        let uri = Uri::from_static("/a?b=c");
        let payload = body.map(|body| Payload::json(body.to_owned()));
        let prepared = Prepared::new(method, uri, &headers, payload);
        let mut out = b"left over".to_vec();
        let trace = prepared.traceparent().unwrap_or(b"00-1-2-01");
        let apart = prepared.write(&mut out, "127.0.0.1:80", trace).concat();
        out.extend_from_slice(&apart);
        String::from_utf8(out).unwrap().replace(USER_AGENT, "me")
    }

    #[test]
    fn a_request_is_written_with_its_host_first_and_its_body_last() {
        assert_eq!(
            written(&Method::POST, &[("x", "y")], Some("{}")),
            "POST /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:80\r\nuser-agent: me\r\naccept: */*\r\n\
             content-type: application/json\r\nx: y\r\ncontent-length: 2\r\n\
             traceparent: 00-1-2-01\r\n\r\n{}"
        );
    }

    #[test]
    fn headers_of_a_step_replace_the_usual_ones_but_not_the_framing() {
        let own = [
            ("host", "other"),
            ("accept", "first"),
            ("accept", "text/plain"),
            ("user-agent", "you"),
            ("traceparent", "mine"),
            ("content-length", "77"),
            ("transfer-encoding", "chunked"),
        ];
        assert_eq!(
            written(&Method::GET, &own, None),
            "GET /a?b=c HTTP/1.1\r\nhost: other\r\naccept: text/plain\r\nuser-agent: you\r\n\
             traceparent: mine\r\n\r\n"
        );
    }

    #[test]
    fn a_form_keeps_its_type_whatever_the_step_says() {
        let own = [(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"))];
        let payload = Payload::multipart("b", vec![Bytes::from_static(b"--b--\r\n")]);
        let uri = Uri::from_static("/");
        let prepared = Prepared::new(&Method::POST, uri, &own, Some(payload));
        let mut out = Vec::new();
        prepared.write(&mut out, "h", b"t");
        let written = String::from_utf8(out).unwrap();
        assert!(written.contains("\r\ncontent-type: multipart/form-data; boundary=b\r\n"));
        assert!(!written.contains("text/plain"), "{written}");
        assert!(written.ends_with("\r\ncontent-length: 7\r\ntraceparent: t\r\n\r\n--b--\r\n"));
    }

    #[test]
    fn a_long_body_is_handed_over_where_it_lies() {
        let long = "x".repeat(COPIED_SIZE + 1);
        let uri = Uri::from_static("/");
        let prepared = Prepared::new(&Method::PUT, uri, &[], Some(Payload::json(long)));
        let mut out = Vec::new();
        let apart = prepared.write(&mut out, "h", b"t");
        assert_eq!(apart[0].as_ptr(), prepared.body()[0].as_ptr());
        assert!(out.len() < 200 && out.ends_with(b"\r\n\r\n"));
    }

    #[test]
    fn an_empty_post_says_that_it_is_empty() {
        assert!(written(&Method::POST, &[], None).contains("\r\ncontent-length: 0\r\n"));
        assert!(!written(&Method::DELETE, &[], None).contains("content-length"));
    }

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
}
