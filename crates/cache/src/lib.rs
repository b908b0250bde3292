#![doc = include_str!("../README.md")]

mod builder;
mod cache;
mod envelope;
mod error;
mod event;
mod flight;
mod generation;
pub mod history;
mod key;
mod learning;
mod load;
mod memory;
mod metrics;
mod mode;
mod mutant;
mod operations;
mod policy;
mod read;
mod redis;
mod response;
#[cfg(feature = "statements")]
pub mod statements;
mod write;

pub use builder::Builder;
pub use cache::{Cache, Cached};
pub use error::{BuildError, LoadError, NotTold, WriteError};
pub use metrics::Stats;
pub use mode::Mode;
#[cfg(feature = "mutants")]
pub use mutant::Mutant;
pub use policy::{LONGEST_TTL, Policy};
pub use response::Response;
pub use write::Write;
