//! Bodies that nobody read: read to their end behind the answer, so that an early answer
//! (401, 404, 413) neither ends the connection nor gets lost with it.
//!
//! A server that closes a connection with unread bytes in it makes the kernel reset it,
//! and the client may never see the answer (RFC 9112, 9.6).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::Response,
};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// More than this unread, and the answer says that the connection ends: a new one is
/// cheaper than the rest of the body.
const KEPT: u64 = 64 * 1024;
/// An unread body is thrown away for this long. Less than the time that open requests
/// get when the service stops.
const LINGER: Duration = Duration::from_secs(8);
/// A client that sends nothing for this long is waiting for something else.
const QUIET: Duration = Duration::from_secs(3);

/// The layer. The answer never waits for the body.
pub(crate) async fn drain_unread(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() || request.version() > Version::HTTP_11 {
        return next.run(request).await;
    }
    let must_close = Arc::new(AtomicBool::new(false));
    let waits_for_leave = request.headers().contains_key(header::EXPECT);
    let request = request.map(|body| {
        Body::new(Guarded {
            body: Some(body),
            held_back: waits_for_leave,
            must_close: Arc::clone(&must_close),
        })
    });
    let mut response = next.run(request).await;
    if must_close.load(Ordering::Acquire) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// A body that is drained when it is dropped before its end.
struct Guarded {
    body: Option<Body>,
    /// The client asked for leave to send (`Expect: 100-continue`) and has not got it.
    /// Whoever polls the body gives it.
    held_back: bool,
    must_close: Arc<AtomicBool>,
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.held_back = false;
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        // What a client holds back need not be read, but it may send it all the same: only
        // a new connection is sure to begin with a request (RFC 9110, 10.1.1).
        let must_close = self.held_back || body.size_hint().lower() > KEPT;
        self.must_close.store(must_close, Ordering::Release);
        if !self.held_back
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(LINGER, discard(body)));
        }
    }
}

async fn discard(mut body: Body) {
    let mut next = async || std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    while let Ok(Some(Ok(_))) = tokio::time::timeout(QUIET, next()).await {}
}

#[cfg(test)]
mod tests;
