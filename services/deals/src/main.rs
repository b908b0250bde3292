//! The `deals` command: serve, migrate, seed, token.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};
use deals::{
    MIGRATIONS, PLANNING,
    alerts::{self, Alerts},
    app::{self, State},
    cache_version, seed,
    views::Storing,
    warm_up,
};
use service_kit::{cache, config::Config, database::Database, server, telemetry, token::Tokens};

/// Collections of listings, and links to share them.
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
    /// Fill an empty database with listings and collections, the same ones for the same numbers.
    Seed(Seed),
    /// Print a bearer token for a user, signed with JWT_SECRET.
    Token {
        /// Id of the user.
        user: i64,
    },
}

#[derive(clap::Args)]
struct Seed {
    /// Listings to make.
    #[arg(long, default_value_t = 1000)]
    scale: u32,
    /// Where the random numbers begin.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Write ids, bearer tokens (signed with JWT_SECRET) and links of 200 users to this file.
    #[arg(long)]
    users_csv: Option<PathBuf>,
    /// Throw away what is in the database. Without it a database with users is left alone.
    #[arg(long)]
    replace: bool,
}

/// The paper calls a statement slow above this.
const SLOW_STATEMENT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command.unwrap_or(Command::Serve)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The only place where the program speaks outside its log.
            #[allow(clippy::print_stderr)]
            {
                eprintln!("deals: {error}");
            }
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let mut config = Config::from_env("deals")?;
    config.slow_statement = config.slow_statement.or(Some(SLOW_STATEMENT));
    config.planning = PLANNING;
    let alerts = Alerts::default();
    let telemetry = telemetry::start_with(&config, vec![Arc::new(alerts.clone())])?;
    let result = carry_out(&config, command, alerts);
    telemetry.finish();
    result
}

#[tokio::main]
async fn carry_out(config: &Config, command: Command, alerts: Alerts) -> anyhow::Result<()> {
    match command {
        Command::Serve => serve(config, alerts).await,
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

fn print_token(config: &Config, user: i64) -> anyhow::Result<()> {
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

async fn serve(config: &Config, alerts: Alerts) -> anyhow::Result<()> {
    let listener = server::listen(config).await?;
    let stop = server::stop_signal()?;
    let database =
        Database::open_planned(&config.database, config.connections, config.planning).await?;
    database.migrate(MIGRATIONS).await?;
    let cache = cache::open(config, cache_version(&config.database)).await?;
    let state = State::new(config, database.clone(), cache.clone(), |name| {
        std::env::var(name).ok()
    })?;
    warn(config);
    let telling = alerts::tell_the_log(alerts.clone());
    let storing = Storing::start(state.views(), &database);
    let app = app::build(config, &state, alerts);
    tokio::spawn(async move {
        match warm_up(&state).await {
            Ok(links) => tracing::info!(links, "the links that were looked at most are cached"),
            Err(error) => tracing::warn!(%error, "the cache starts cold"),
        }
    });
    tracing::info!(address = %config.listen, database = %config.database, "listening");
    // Who writes elsewhere need not wait for this process.
    let last = async {
        storing.end().await;
        cache.close().await;
    };
    server::serve_then(listener, app, database, stop, last).await?;
    telling.abort();
    Ok(())
}

fn warn(config: &Config) {
    if config.trust_user_header {
        tracing::warn!("TRUST_USER_HEADER is set: anybody may say who they are");
    } else if config.jwt_secret_is_random {
        tracing::warn!("JWT_SECRET is not set: nobody has a token that is valid here");
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
    tracing::info!(
        users = done.users,
        listings = done.listings,
        collections = done.collections,
        items = done.items,
        shares = done.shares,
        took_s = done.took.as_secs_f64(),
        "seeded"
    );
    database.close().await;
    Ok(())
}
