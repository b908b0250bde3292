//! A scratch database of PostgreSQL: made from the audited one's schema and rows, tried, dropped.

mod copy;
mod imagined;
mod session;
mod writes;

pub(crate) use session::{build, open};
