//! A small shop with every fault planted that Speedwell looks for, each behind a route of its own,
//! and beside each fault a healthy route that looks like it.
//!
//! `FAULTS.toml` lists both. An audit must find every fault and nothing else; the tests of this
//! crate ask the database for the plans and so keep the list true.

mod answer;
mod cached;
pub mod database;
mod faults;
mod healthy;
mod items;
mod observe;
pub mod seed;
pub mod serve;

pub use database::Database;
pub use serve::router;
