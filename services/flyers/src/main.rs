//! The `flyers` command: serve, migrate, seed.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use flyers::{
    MIGRATIONS, app, seed,
    surroundings::{Surroundings, storage_from_env},
    sweep::{self, Housekeeping},
};
use service_kit::{config::Config, database::Database, server, telemetry};

/// Flyers on a wall near you.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API; the default. Brings the schema up to date first.
    Serve,
    /// Bring the schema up to date and end.
    Migrate,
    /// Fill an empty database with flyers, the same ones for the same numbers.
    Seed(Seed),
}

#[derive(clap::Args)]
struct Seed {
    /// Flyers to make.
    #[arg(long, default_value_t = 1000)]
    scale: u32,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Write e-mail, password and id of 200 users to this file, and the id of a flyer of theirs
    /// to delete.
    #[arg(long)]
    users_csv: Option<PathBuf>,
    /// Write five photographs of 12 million pixels and about 2 MB to this folder, to upload.
    #[arg(long)]
    photos: Option<PathBuf>,
    /// Throw away what is in the database. Without it a database with users is left alone.
    #[arg(long)]
    replace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The only place where the program speaks outside its log.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("flyers: {error}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let config = Config::from_env("flyers")?;
    let telemetry = telemetry::start(&config)?;
    let result = carry_out(&config, command);
    telemetry.finish();
    result
}

#[tokio::main]
async fn carry_out(config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve(config).await,
        Command::Migrate => {
            let database = Database::open(&config.database, 1).await?;
            database.migrate(MIGRATIONS).await?;
            tracing::info!(database = %config.database, "the schema is up to date");
            database.close().await;
            Ok(())
        }
        Command::Seed(arguments) => fill(config, arguments).await,
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).ok();
    let sweep_every = sweep::interval_from_env(variable)?;
    let listener = server::listen(config).await?;
    let surroundings = Surroundings::from_env(variable)?;
    let stop = server::stop_signal()?;
    let database = Database::open(&config.database, config.connections).await?;
    database.migrate(MIGRATIONS).await?;
    let storage = surroundings.storage.clone();
    sweep::recover(&database, &storage).await?;
    if config.jwt_secret_is_random {
        tracing::warn!("JWT_SECRET is not set: tokens are valid until this process ends");
    }
    let app = app::build_with(config, database.clone(), surroundings).await?;
    let housekeeping = Housekeeping::start(database.clone(), storage, sweep_every);
    let stop = async move {
        stop.await;
        housekeeping.end().await;
    };
    tracing::info!(address = %config.listen, database = %config.database, "listening");
    server::serve(listener, app, database, stop).await?;
    Ok(())
}

async fn fill(config: &Config, arguments: Seed) -> anyhow::Result<()> {
    if let Some(folder) = &arguments.photos {
        seed::write_photos(folder)?;
    }
    let storage = storage_from_env(|name| std::env::var(name).ok())?;
    let database = Database::open(&config.database, 1).await?;
    database.migrate(MIGRATIONS).await?;
    let plan = seed::Plan {
        scale: arguments.scale,
        seed: arguments.seed,
        replace: arguments.replace,
        users_csv: arguments.users_csv,
        storage: Some(storage),
    };
    let done = seed::run(&database, &plan).await?;
    tracing::info!(
        users = done.users,
        flyers = done.flyers,
        images = done.images,
        took_s = done.took.as_secs_f64(),
        "seeded"
    );
    database.close().await;
    Ok(())
}
