//! The request span, and the W3C header that joins it to its caller.

use tracing::{Span, field::Empty};

use crate::{SpanId, TraceId};

/// The ids that a W3C `traceparent` header carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The caller's trace.
    pub trace_id: TraceId,
    /// The caller's span.
    pub span_id: SpanId,
}

impl TraceParent {
    /// Reads a header value: `00-<32 hex>-<16 hex>-<2 hex>`. A later version may say more after
    /// that. `None` if it is not one, as the standard asks: the header is then ignored.
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let version = parts.next()?;
        let trace_id = TraceId::parse(parts.next()?)?;
        let span_id = SpanId::parse(parts.next()?)?;
        let flags = parts.next()?;
        let two_hex = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let whole = version != "00" || parts.next().is_none();
        let known = two_hex(version) && !version.eq_ignore_ascii_case("ff") && two_hex(flags);
        (whole && known).then_some(Self { trace_id, span_id })
    }
}

/// The span of one HTTP request, for a server's middleware.
///
/// `template` is the path template of the route (`/flyers/{id}`), `path` the path as requested (a
/// query string is cut off), `traceparent` the header of that name. Record the answer's status
/// with `span.record("http.response.status_code", 200)`, and, if it is known,
/// `span.record("speedwell.rows_answered", 20)`.
///
/// ```
/// let span = speedwell_trace::request_span("GET", "/flyers/{id}", Some("/flyers/7"), None);
/// span.in_scope(|| { /* answer the request */ });
/// span.record("http.response.status_code", 200);
/// ```
pub fn request_span(
    method: &str,
    template: &str,
    path: Option<&str>,
    traceparent: Option<&str>,
) -> Span {
    let caller = traceparent.and_then(TraceParent::parse);
    let trace_id = caller.map_or_else(TraceId::random, |caller| caller.trace_id);
    tracing::info_span!(
        target: "speedwell",
        "request",
        otel.kind = "server",
        http.request.method = method,
        http.route = template,
        url.path = path.map(without_query),
        http.response.status_code = Empty,
        trace_id = %trace_id,
        parent_span_id = caller.map(|caller| tracing::field::display(caller.span_id)),
        speedwell.rows_answered = Empty,
    )
}

/// The span of a block that a test watches; requests inside it are handed to it as well.
pub(crate) fn recording_span(name: &str, trace_id: TraceId) -> Span {
    tracing::info_span!(
        target: "speedwell",
        "recording",
        http.request.method = "TEST",
        http.route = name,
        trace_id = %trace_id,
        speedwell.recording = true,
        speedwell.rows_answered = Empty,
    )
}

/// A path without its query string, which may hold secrets.
pub(super) fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_gives_both_ids() {
        let parent =
            TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!(
            parent.trace_id.to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(parent.span_id.to_string(), "b7ad6b7169203331");
    }

    #[test]
    fn a_broken_traceparent_is_ignored() {
        for header in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceParent::parse(header), None, "{header}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let header = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(TraceParent::parse(header).is_some());
    }

    #[test]
    fn a_query_string_is_cut_off() {
        assert_eq!(without_query("/flyers?token=secret"), "/flyers");
        assert_eq!(without_query("/flyers"), "/flyers");
    }
}
