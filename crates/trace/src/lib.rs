//! Requests, the statements inside them, and what is wrong with them.

mod budget;
mod finding;
mod request;

pub use budget::Budget;
pub use finding::{Cost, Finding, FindingId, FindingKind, Observation, Proof, Suppressed};
pub use request::{Request, Route, Site, Source, SpanId, Statement, TraceId, Values};
pub use speedwell_sql::{Dialect, Fingerprint};
