//! Holds the shop against what is said of it: its faults, its healthy routes, its lists, its data.

#![allow(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped here has failed the test"
)]

mod configuration;
mod explain;
mod faults;
mod healthy;
mod listen;
mod look;
mod routes;
mod seed;
