//! The `challenges` command: serve, migrate, seed, token.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use challenges::{
    MIGRATIONS, PLANNING,
    app::{self, State},
    cache_version, referenced, seed, storage_from_env,
};
use clap::{Parser, Subcommand};
use service_kit::{
    cache,
    config::Config,
    database::Database,
    server,
    storage::{Storage, StorageError},
    telemetry,
    token::Tokens,
    uuid::Uuid,
};

/// Habits that people keep together.
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
    /// Fill an empty database with people and what they do, the same for the same numbers.
    Seed(Seed),
    /// Print a bearer token for a user, signed with JWT_SECRET.
    Token {
        /// Id of the user.
        user: Uuid,
    },
}

#[derive(clap::Args)]
struct Seed {
    /// Users to make.
    #[arg(long, default_value_t = 1000)]
    scale: u32,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Write ids, bearer tokens (signed with JWT_SECRET) and what is theirs of 200 users to this file.
    #[arg(long)]
    users_csv: Option<PathBuf>,
    /// Throw away what is in the database. Without it a database with users is left alone.
    #[arg(long)]
    replace: bool,
}

/// The paper calls a statement slow above this.
const SLOW_STATEMENT: Duration = Duration::from_millis(500);
/// How often files are looked at whose change nobody ended.
const TRASH_INTERVAL: Duration = Duration::from_secs(15 * 60);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The only place where the program speaks outside its log.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("challenges: {error}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let mut config = Config::from_env("challenges")?;
    config.slow_statement = config.slow_statement.or(Some(SLOW_STATEMENT));
    config.planning = PLANNING;
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
        Command::Token { user } => print_token(config, user),
    }
}

fn print_token(config: &Config, user: Uuid) -> anyhow::Result<()> {
    if config.jwt_secret_is_random {
        anyhow::bail!("JWT_SECRET is not set: nobody would take the token");
    }
    let token = Tokens::from_config(config).issue(user, "");
    let token = token.map_err(|_| anyhow::anyhow!("the token cannot be signed"))?;
    // What the command is for.
    #[allow(clippy::print_stdout)]
    {
        println!("{token}");
    }
    Ok(())
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).ok();
    let listener = server::listen(config).await?;
    let stop = server::stop_signal()?;
    let database =
        Database::open_planned(&config.database, config.connections, config.planning).await?;
    database.migrate(MIGRATIONS).await?;
    let storage = storage_from_env(variable)?;
    recover(&database, &storage).await?;
    let cache = cache::open(config, cache_version(&config.database)).await?;
    let last = cache.clone();
    let state = State::new(config, database.clone(), cache, storage.clone(), variable)?;
    warn(config);
    let housekeeping = tokio::spawn(look_at_trash_forever(database.clone(), storage));
    let app = app::build(config, &state);
    tracing::info!(address = %config.listen, database = %config.database, "listening");
    // Who writes elsewhere need not wait for this process.
    let last = async move { last.close().await };
    server::serve_then(listener, app, database, stop, last).await?;
    housekeeping.abort();
    Ok(())
}

async fn look_at_trash_forever(database: Database, storage: Storage) {
    loop {
        tokio::time::sleep(TRASH_INTERVAL).await;
        if let Err(error) = recover(&database, &storage).await {
            tracing::warn!(%error, "the trash could not be settled; it is tried again");
        }
    }
}

/// Makes files agree with rows where a process ended, or lost its database, half way.
async fn recover(database: &Database, storage: &Storage) -> Result<(), StorageError> {
    storage
        .recover(|files| referenced(database, files))
        .await
        .map(drop)
}

fn warn(config: &Config) {
    if config.trust_user_header {
        tracing::warn!("TRUST_USER_HEADER is set: anybody may say who they are");
    } else if config.jwt_secret_is_random {
        tracing::warn!("JWT_SECRET is not set: tokens are valid until this process ends");
    }
    if config.redis.is_none() && config.database.path().is_none() {
        tracing::warn!(
            "REDIS_URL is not set: a second process on this database would not see what this one changes for minutes"
        );
    }
}

async fn fill(config: &Config, arguments: Seed) -> anyhow::Result<()> {
    let database = Database::open(&config.database, 1).await?;
    database.migrate(MIGRATIONS).await?;
    let plan = seed::Plan {
        scale: arguments.scale,
        seed: arguments.seed,
        replace: arguments.replace,
        users_csv: arguments.users_csv,
        tokens: (!config.jwt_secret_is_random).then(|| Tokens::from_config(config)),
    };
    let done = seed::run(&database, &plan).await?;
    tracing::info!(?done, "seeded");
    database.close().await;
    Ok(())
}
