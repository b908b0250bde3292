//! The `tracing` layer that hears statements and hands them to the load or write that runs them.

use std::sync::Arc;

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{Layer, filter::FilterFn, layer::Context, registry::LookupSpan};

use super::found::{Found, claim};
use crate::event::TARGET;

/// Target of the event that sqlx sends at the end of every statement.
pub(super) const DRIVER_TARGET: &str = "sqlx::query";

/// Name of the span in which a load or a write runs that is watched.
pub(super) const WATCH: &str = "watched";

/// Hears the statements of loads and writes, for all caches of the process that observe them. Put it
/// beside a log layer with a filter of its own; a filter that is a layer itself (a bare `EnvFilter`
/// on the registry) would hide statements from it.
///
/// Without it, a cache that is to observe statements says so once, keeps nothing, and invalidates
/// everything with each write.
///
/// ```
/// use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};
///
/// tracing_subscriber::registry()
///     .with(speedwell_cache::statements::layer())
///     .init();
/// ```
pub fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    Listener.with_filter(FilterFn::new(is_wanted as fn(&Metadata<'_>) -> bool))
}

/// Asked by target alone for events: sqlx first asks with `enabled!`, which is neither event nor span.
fn is_wanted(metadata: &Metadata<'_>) -> bool {
    match metadata.target() {
        DRIVER_TARGET => true,
        TARGET => !metadata.is_span() || metadata.name() == WATCH,
        _ => false,
    }
}

struct Listener;

impl<S: Subscriber + for<'lookup> LookupSpan<'lookup>> Layer<S> for Listener {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut number = Number(None);
        attributes.record(&mut number);
        let found = number.0.and_then(claim);
        if let (Some(span), Some(found)) = (context.span(id), found) {
            span.extensions_mut().insert(found);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else {
            return;
        };
        let extensions = span.extensions();
        let Some(found) = extensions.get::<Arc<Found>>() else {
            return;
        };
        match event.metadata().target() {
            DRIVER_TARGET => found.statement(&Text::of(event)),
            _ => found.uses_a_cache(),
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let found = span.extensions_mut().remove::<Arc<Found>>();
        if let Some(found) = found {
            found.close();
        }
    }
}

/// The number that a span carries.
struct Number(Option<u64>);

impl Visit for Number {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "watch" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// The text of a statement; sqlx leaves `db.statement` empty when `summary` says it all.
#[derive(Default)]
struct Text {
    whole: String,
    summary: String,
}

impl Text {
    fn of(event: &Event<'_>) -> String {
        let mut text = Self::default();
        event.record(&mut text);
        match text.whole.trim().is_empty() {
            true => text.summary,
            false => text.whole,
        }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "db.statement" => value.clone_into(&mut self.whole),
            "summary" => value.clone_into(&mut self.summary),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
