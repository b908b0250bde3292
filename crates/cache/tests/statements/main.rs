//! Tags from statements: with real SQLite through sqlx, over a real Redis, and with the checker.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

mod checked;
#[path = "../consistency/harness.rs"]
mod harness;
#[path = "../consistency/ready.rs"]
mod ready;
mod sqlite;
mod strict;

use std::sync::Once;

use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Installs the layer for all threads: sqlx reports from one of SQLite's own.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::registry()
            .with(speedwell_cache::statements::layer())
            .init();
    });
}
