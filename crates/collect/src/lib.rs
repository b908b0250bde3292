//! Sources outside the process.

mod assemble;
mod error;
mod limits;
mod span;
mod store;

pub use error::CollectError;
pub use limits::{Counters, Limits};
