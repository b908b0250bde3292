#![doc = include_str!("../README.md")]

mod budget;
mod cache;
pub mod detect;
mod finding;
mod layer;
mod log_sink;
#[cfg(feature = "otlp")]
pub mod otlp;
mod request;
mod showable;
pub mod testing;

pub use budget::{Breach, Budget};
pub use cache::{CacheAction, CacheChange, CacheOperation, ChangeOutcome, ReadOutcome};
pub use detect::{Detectors, Thresholds};
pub use finding::{Cost, Finding, FindingId, FindingKind, Observation, Proof, Suppressed};
pub use layer::{ATTRIBUTE, Counters, Counts, Options, Sink, TraceParent, layer, request_span};
pub use log_sink::LogSink;
pub use request::{
    Attribute, AttributeValue, Request, Route, Site, Source, SpanId, Statement, TraceId, Values,
};
pub use showable::showable_text;
pub use speedwell_sql::{Dialect, Fingerprint};
