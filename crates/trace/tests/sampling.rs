//! A sampled layer looks at a share of the requests and counts them all.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use speedwell_trace::{Observation, Options, Request, Sink, request_span};
use tracing_subscriber::layer::SubscriberExt;

#[derive(Default)]
struct Counted(AtomicU64);

impl Sink for Counted {
    fn request(&self, _: &Arc<Request>, _: &Observation) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn about_the_asked_share_of_requests_is_looked_at() {
    let counted = Arc::new(Counted::default());
    let options = Options::new().sample(0.25);
    let counters = options.counters();
    let layer = speedwell_trace::layer(options, vec![counted.clone()]);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..4_000 {
            request_span("GET", "/", None, None).in_scope(|| {});
        }
    });
    let seen = counted.0.load(Ordering::Relaxed);
    assert_eq!(counters.read().requests, 4_000);
    // Six standard deviations around 1,000.
    assert!((835..=1_165).contains(&seen), "{seen} of 4000");
}
