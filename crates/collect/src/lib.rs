#![doc = include_str!("../README.md")]

mod assemble;
mod decode;
mod error;
mod http;
mod limits;
mod measure;
mod receiver;
mod span;
mod store;

pub use error::CollectError;
pub use limits::{Counters, Limits};
pub use receiver::{Receiver, Taken};
