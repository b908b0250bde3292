//! Whose request an event belongs to: the one that reads or writes, whatever task does the work.

use std::sync::Mutex;

use tracing::{Event, Instrument as _, Subscriber, field::Visit};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt as _, registry::LookupSpan};

use super::*;

/// Notes what is said inside the span `request`: of the cache its operation, else the target.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

struct Operation(String);

impl Visit for Operation {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "cache.operation" {
            value.clone_into(&mut self.0);
        }
    }

    fn record_debug(&mut self, _: &tracing::field::Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber + for<'lookup> LookupSpan<'lookup>> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut spans = context.event_scope(event).into_iter().flatten();
        if spans.any(|span| span.name() == "request") {
            let mut operation = Operation(event.metadata().target().to_owned());
            event.record(&mut operation);
            self.0.lock().unwrap().push(operation.0);
        }
    }
}

#[tokio::test]
async fn what_a_write_does_and_tells_belongs_to_the_request_that_writes() {
    let notes = Notes::default();
    let registry = tracing_subscriber::registry().with(notes.clone());
    let _subscribed = tracing::subscriber::set_default(registry);
    let server = throwaway::Redis::start().unwrap();
    let shared = Cache::builder("test").redis(&server.url());
    for cache in [local().await, shared.build().await.unwrap()] {
        let request = tracing::info_span!("request");
        let work = async {
            let write = cache.write(["t"], |_| async {
                tracing::debug!(target: "statement", "UPDATE");
                Ok::<_, Infallible>(())
            });
            write.await.unwrap();
            cache.invalidate(["t"]).await.unwrap();
            cache.clear().await.unwrap();
        };
        work.instrument(request).await;
        let told = std::mem::take(&mut *notes.0.lock().unwrap());
        assert_eq!(told, ["statement", "write", "invalidate", "clear"]);
    }
}

#[tokio::test]
async fn a_cache_that_is_to_observe_statements_and_cannot_keeps_nothing() {
    let builder = Cache::builder("test");
    let deaf = builder.observe_statements(speedwell_cache::statements::Dialect::Sqlite);
    let (cache, loads) = (deaf.build().await.unwrap(), Loads::default());
    for turn in 1..4 {
        assert_eq!(loads.read(&cache, "k", &PLAIN).await, turn);
    }
    cache.set("k", 7, &PLAIN, NO_TAGS).await;
    let write = cache.write(NO_TAGS, |_| async { Ok::<_, Infallible>(()) });
    write.await.unwrap();
    assert!(!cache.exists::<i32>("k", NO_TAGS).await);
}
