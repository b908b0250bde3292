//! What the environment says: where to listen, which database, which secrets.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr as _,
    time::Duration,
};

use rand::Rng as _;
use sqlx::postgres::PgConnectOptions;

use crate::{database::Planning, forwarded::TrustedProxies, login::LoginLimits};

/// A value that must never be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    Pretty,
    /// One JSON object a line, for machines.
    Json,
}

/// Which database to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

/// Where a PostgreSQL server is, and as whom to go there. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    url: Secret,
    shown: String,
}

/// Everything a service is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of the service, used in logs and for the default database file.
    pub service: &'static str,
    /// `LISTEN`: address and port.
    pub listen: SocketAddr,
    /// `DATABASE_URL`.
    pub database: DatabaseUrl,
    /// `DATABASE_CONNECTIONS`: connections, all opened at start; SQLite gets one more to write.
    pub connections: u32,
    /// `JWT_SECRET`: signs tokens.
    pub jwt_secret: Secret,
    /// Whether `JWT_SECRET` was made up at this start, so that tokens end with the process.
    pub jwt_secret_is_random: bool,
    /// `TOKEN_HOURS`: how long a token is valid; 24 hours unless told otherwise.
    pub token_lifetime: Duration,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// `RUST_LOG`: a filter of `tracing_subscriber`.
    pub log_filter: String,
    /// `REQUEST_TIMEOUT_S`: a request that takes longer is answered with 503.
    pub request_timeout: Duration,
    /// `TRUSTED_PROXIES`: networks of the proxies that say who the client is; none unless told.
    pub trusted_proxies: TrustedProxies,
    /// `LOGIN_ATTEMPTS_PER_ACCOUNT`, `LOGIN_ATTEMPTS_PER_ADDRESS`: failed sign-ins in a
    /// quarter of an hour; 10 and 100 unless told otherwise, 0 is no limit.
    pub login_limits: LoginLimits,
    /// `SLOW_STATEMENT_MS`: a statement that takes longer is logged; 100 ms unless told otherwise,
    /// by the environment or by the service.
    pub slow_statement: Option<Duration>,
    /// `REDIS_URL`: where processes of one service share their cache; without it, each has its own.
    pub redis: Option<Secret>,
    /// `TRACE_SAMPLE`: the share of requests whose statements are looked at, from 0 to 1; 1 unless
    /// told otherwise.
    pub trace_sample: f64,
    /// How PostgreSQL plans statements; the service says it, not the environment.
    pub planning: Planning,
    /// `TRUST_USER_HEADER`: whether `X-User-Id` says who is calling. Anybody can write it: for
    /// development only.
    pub trust_user_header: bool,
}

/// A variable of the environment that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{variable}: {problem}; {remedy}")]
pub struct ConfigError {
    /// Which variable.
    pub variable: &'static str,
    /// What is wrong with it. Never repeats a secret.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// HS256 keys shorter than the hash are easier to guess than to break (RFC 7518, 3.2).
const SHORTEST_SECRET: usize = 32;

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// The first variable that cannot be used, with what to do about it.
    pub fn from_env(service: &'static str) -> Result<Self, ConfigError> {
        Self::from_lookup(service, |name| std::env::var(name).ok())
    }

    /// Reads variables through `lookup`; tests need no environment.
    ///
    /// # Errors
    /// The first variable that cannot be used, with what to do about it.
    pub fn from_lookup(
        service: &'static str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let (jwt_secret, jwt_secret_is_random) = match get("JWT_SECRET") {
            Some(secret) => (long_enough(secret)?, false),
            None => (Secret::random(), true),
        };
        Ok(Self {
            service,
            listen: listen(get("LISTEN"))?,
            database: match get("DATABASE_URL") {
                Some(url) => DatabaseUrl::parse(&url)?,
                None => DatabaseUrl::Sqlite(PathBuf::from(format!("data/{service}.db"))),
            },
            connections: number("DATABASE_CONNECTIONS", get("DATABASE_CONNECTIONS"), 1..=256)?
                .map_or_else(default_connections, |n| {
                    u32::try_from(n).unwrap_or(u32::MAX)
                }),
            jwt_secret,
            jwt_secret_is_random,
            token_lifetime: Duration::from_secs(
                3600 * number("TOKEN_HOURS", get("TOKEN_HOURS"), 1..=24 * 365)?.unwrap_or(24),
            ),
            log_format: log_format(get("LOG_FORMAT"))?,
            log_filter: get("RUST_LOG").unwrap_or_else(|| "info".to_owned()),
            request_timeout: Duration::from_secs(
                number("REQUEST_TIMEOUT_S", get("REQUEST_TIMEOUT_S"), 1..=3600)?.unwrap_or(30),
            ),
            trusted_proxies: TrustedProxies::from_lookup(get)?,
            login_limits: LoginLimits::from_lookup(get)?,
            slow_statement: number("SLOW_STATEMENT_MS", get("SLOW_STATEMENT_MS"), 1..=600_000)?
                .map(Duration::from_millis),
            redis: redis_url(get("REDIS_URL"))?,
            trace_sample: share("TRACE_SAMPLE", get("TRACE_SAMPLE"))?.unwrap_or(1.0),
            planning: Planning::default(),
            trust_user_header: flag("TRUST_USER_HEADER", get("TRUST_USER_HEADER"))?,
        })
    }
}

/// Readers of SQLite work on threads of their own, so a few more than cores keep them busy;
/// so it is with a server, which works on processes of its own.
fn default_connections() -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    u32::try_from(cores * 2).unwrap_or(16).clamp(4, 16)
}

fn listen(value: Option<String>) -> Result<SocketAddr, ConfigError> {
    let text = value.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    text.parse().map_err(|_| ConfigError {
        variable: "LISTEN",
        problem: format!("`{text}` is not an address with a port"),
        remedy: "write it like 127.0.0.1:8080 or [::1]:8080".to_owned(),
    })
}

fn log_format(value: Option<String>) -> Result<LogFormat, ConfigError> {
    match value.as_deref() {
        None | Some("pretty") => Ok(LogFormat::Pretty),
        Some("json") => Ok(LogFormat::Json),
        Some(other) => Err(ConfigError {
            variable: "LOG_FORMAT",
            problem: format!("`{other}` is unknown"),
            remedy: "use pretty or json".to_owned(),
        }),
    }
}

pub(crate) fn number(
    variable: &'static str,
    value: Option<String>,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, ConfigError> {
    let Some(text) = value else { return Ok(None) };
    match text.trim().parse::<u64>() {
        Ok(n) if range.contains(&n) => Ok(Some(n)),
        _ => Err(ConfigError {
            variable,
            problem: format!("`{text}` is not a number in range"),
            remedy: format!(
                "give a whole number from {} to {}",
                range.start(),
                range.end()
            ),
        }),
    }
}

fn redis_url(value: Option<String>) -> Result<Option<Secret>, ConfigError> {
    let Some(url) = value else { return Ok(None) };
    // Whether the rest of it is right is for the client to say; it may hold a password.
    if !["redis://", "rediss://", "unix://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Err(ConfigError {
            variable: "REDIS_URL",
            problem: "it is not the URL of a Redis server".to_owned(),
            remedy: "write it like redis://host:6379/0".to_owned(),
        });
    }
    Ok(Some(Secret(url)))
}

fn share(variable: &'static str, value: Option<String>) -> Result<Option<f64>, ConfigError> {
    let Some(text) = value else { return Ok(None) };
    match text.trim().parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(Some(share)),
        _ => Err(ConfigError {
            variable,
            problem: format!("`{text}` is not a share"),
            remedy: "give a number from 0 to 1".to_owned(),
        }),
    }
}

pub(crate) fn flag(variable: &'static str, value: Option<String>) -> Result<bool, ConfigError> {
    match value.as_deref().map(str::trim) {
        None | Some("false" | "0") => Ok(false),
        Some("true" | "1") => Ok(true),
        Some(text) => Err(ConfigError {
            variable,
            problem: format!("`{text}` is neither true nor false"),
            remedy: "write true or false".to_owned(),
        }),
    }
}

fn long_enough(secret: String) -> Result<Secret, ConfigError> {
    if secret.len() < SHORTEST_SECRET {
        return Err(ConfigError {
            variable: "JWT_SECRET",
            problem: format!(
                "it has {} bytes, HS256 needs {SHORTEST_SECRET}",
                secret.len()
            ),
            remedy: "make one with `openssl rand -hex 32`, or leave it out in development"
                .to_owned(),
        });
    }
    Ok(Secret(secret))
}

impl DatabaseUrl {
    /// Reads `sqlite:path`, `sqlite://path`, `postgres://…` or `postgresql://…`.
    ///
    /// # Errors
    /// A scheme that is not served, or no path.
    pub fn parse(url: &str) -> Result<Self, ConfigError> {
        let error = |problem: String| ConfigError {
            variable: "DATABASE_URL",
            problem,
            remedy: "write it like sqlite:data/service.db or postgres://user@host/database"
                .to_owned(),
        };
        let scheme = url.split(':').next().unwrap_or_default();
        if matches!(scheme, "postgres" | "postgresql") {
            // What the parser says may repeat the password.
            return PostgresUrl::parse(url)
                .map(Self::Postgres)
                .ok_or_else(|| error("it is not the URL of a PostgreSQL database".to_owned()));
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(error(format!("the scheme `{scheme}` is not supported")));
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('?').next().unwrap_or_default();
        if path.is_empty() || path.starts_with(':') {
            return Err(error(
                "it names no file; a database in memory is not shared".to_owned(),
            ));
        }
        Ok(Self::Sqlite(PathBuf::from(path)))
    }

    /// The file, if the database is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl PostgresUrl {
    fn parse(url: &str) -> Option<Self> {
        let options = PgConnectOptions::from_str(url).ok()?;
        let shown = format!(
            "postgres://{}@{}:{}/{}",
            options.get_username(),
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default(),
        );
        Some(Self {
            url: Secret::new(url),
            shown,
        })
    }

    /// How to connect.
    pub(crate) fn options(&self) -> PgConnectOptions {
        // It parsed when the URL was read.
        PgConnectOptions::from_str(self.url.expose()).unwrap_or_default()
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Secret {
    /// Wraps a secret that someone else chose.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// 256 random bits.
    pub fn random() -> Self {
        let mut bytes = [0_u8; 32];
        rand::rng().fill_bytes(&mut bytes);
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The secret itself: only to feed a key, never to show.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &'static [(&'static str, &'static str)]) -> Result<Config, ConfigError> {
        Config::from_lookup("flyers", |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_set_starts_on_loopback_with_a_file_and_a_random_secret() {
        let config = with(&[]).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.database.to_string(), "sqlite:data/flyers.db");
        assert!(config.jwt_secret_is_random);
        assert_ne!(config.jwt_secret, with(&[]).unwrap().jwt_secret);
    }

    #[test]
    fn debug_never_shows_the_secret() {
        let config = with(&[("JWT_SECRET", "0123456789abcdef0123456789abcdef")]).unwrap();
        assert!(!format!("{config:?}").contains("0123456789"));
    }

    #[test]
    fn the_password_of_a_server_is_not_shown() {
        let url = "postgres://flyers:hunter2@db.example:5433/flyers?sslmode=require";
        let url = DatabaseUrl::parse(url).unwrap();
        assert_eq!(url.to_string(), "postgres://flyers@db.example:5433/flyers");
        assert!(!format!("{url:?}").contains("hunter2"));
        let error = DatabaseUrl::parse("postgres://u:hunter2@h:port/d").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn errors_name_the_variable_and_what_to_do() {
        for (pairs, variable) in [
            (&[("LISTEN", "8080")][..], "LISTEN"),
            (
                &[("DATABASE_URL", "mysql://u:hunter2@h/d")][..],
                "DATABASE_URL",
            ),
            (&[("DATABASE_URL", "sqlite::memory:")][..], "DATABASE_URL"),
            (&[("JWT_SECRET", "short")][..], "JWT_SECRET"),
            (&[("LOG_FORMAT", "xml")][..], "LOG_FORMAT"),
            (&[("DATABASE_CONNECTIONS", "0")][..], "DATABASE_CONNECTIONS"),
            (&[("REDIS_URL", "hunter2@host")][..], "REDIS_URL"),
            (&[("TRACE_SAMPLE", "1.5")][..], "TRACE_SAMPLE"),
            (&[("TRUST_USER_HEADER", "maybe")][..], "TRUST_USER_HEADER"),
        ] {
            let pairs: &'static [_] = Box::leak(pairs.to_vec().into_boxed_slice());
            let error = with(pairs).unwrap_err();
            assert_eq!(error.variable, variable);
            let text = error.to_string();
            assert!(
                text.starts_with(variable) && !error.remedy.is_empty(),
                "{text}"
            );
            assert!(
                !text.contains("hunter2") && !text.contains("short"),
                "{text}"
            );
        }
    }
}
