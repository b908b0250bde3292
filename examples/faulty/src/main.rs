//! The command: `faulty serve` and `faulty seed --scale N`.

use std::env;

use clap::{Parser, Subcommand};
use faulty::{Database, seed, serve};

/// A small shop with every fault planted, and healthy look-alikes beside them.
///
/// DATABASE_URL names the database (default sqlite:data/faulty.db), LISTEN the address to answer on
/// (default 127.0.0.1:8090), RUST_LOG what is logged (default warn), OTEL_EXPORTER_OTLP_ENDPOINT
/// where requests and statements are reported to (default nowhere).
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Answer requests until interrupted (the default).
    Serve,
    /// Replace all data by a shop of that size, always the same.
    Seed {
        /// Rows of the main table, `items`.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=10_000_000))]
        scale: i64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let command = Arguments::parse().command.unwrap_or(Command::Serve);
    let database = Database::open(&setting("DATABASE_URL", "sqlite:data/faulty.db")).await?;
    match command {
        Command::Serve => serve::serve(database, &setting("LISTEN", "127.0.0.1:8090")).await,
        Command::Seed { scale } => {
            seed::seed(&database, scale).await?;
            database.close().await;
            Ok(())
        }
    }
}

fn setting(name: &str, default: &str) -> String {
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| default.to_owned())
}
