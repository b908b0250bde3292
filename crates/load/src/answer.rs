//! What came back for a request, and what its `Server-Timing` says.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};

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
            .get_all(SERVER_TIMING)
            .iter()
            .flat_map(|value| ServerTiming::of_header(value.as_bytes()))
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

/// What checks and captures look at. During a run that is the connection's own buffer, from
/// which only what they ask for is taken.
pub(crate) trait Received {
    fn status(&self) -> StatusCode;
    /// The first header of that name.
    fn header(&self, name: &HeaderName) -> Option<&[u8]>;
    fn body(&self) -> &[u8];
}

impl Received for Answer {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(http::HeaderValue::as_bytes)
    }

    fn body(&self) -> &[u8] {
        &self.body
    }
}

/// A header's value, unless it has other characters than ASCII.
pub(crate) fn ascii(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value)
        .ok()
        .filter(|text| text.is_ascii())
}

/// Name of the header with the metrics.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

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
    /// The metrics of one header.
    pub(crate) fn of_header(value: &[u8]) -> Vec<Self> {
        let text = ascii(value).unwrap_or_default();
        split_outside_quotes(text, ',')
            .filter_map(Self::parse)
            .collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = split_outside_quotes(text, ';');
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
            let (key, value) = (key.trim(), value.trim().trim_matches('"'));
            if key.eq_ignore_ascii_case("dur") {
                let millis = value.parse::<f64>().ok();
                metric.duration =
                    millis.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
            } else if key.eq_ignore_ascii_case("desc") {
                metric.description = Some(value.to_owned());
            }
        }
        (!metric.name.is_empty()).then_some(metric)
    }
}

/// Cuts at a delimiter that does not stand between double quotes.
fn split_outside_quotes(text: &str, delimiter: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c: char| {
        quoted ^= c == '"';
        c == delimiter && !quoted
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
