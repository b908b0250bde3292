//! Where log lines and traces go.

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use speedwell_trace::{Dialect, LogSink, Options, Sink, otlp::OtlpSink};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Config, ConfigError, DatabaseUrl, LogFormat};

/// Telemetry that runs. Keep it until the end and [`finish`](Telemetry::finish) it.
pub struct Telemetry {
    otlp: Option<Arc<OtlpSink>>,
}

/// Five times what an answer may take, less than what anybody waits for gladly.
const SLOW_STATEMENT: Duration = Duration::from_millis(100);

/// What is still to be sent to the collector at the end gets this long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Starts logging for the process: log lines to standard error; requests with their
/// statements to the log, when something is wrong with them, and to a collector, when
/// `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
///
/// # Errors
/// `RUST_LOG` cannot be read, or logging was started before.
pub fn start(config: &Config) -> Result<Telemetry, ConfigError> {
    start_with(config, Vec::new())
}

/// Like [`start`], and tells these of each request as well.
///
/// # Errors
/// As [`start`].
pub fn start_with(config: &Config, sinks: Vec<Arc<dyn Sink>>) -> Result<Telemetry, ConfigError> {
    let filter = EnvFilter::try_new(&config.log_filter).map_err(|error| ConfigError {
        variable: "RUST_LOG",
        problem: error.to_string(),
        remedy: "write it like info or warn,flyers=debug".to_owned(),
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = match config.log_format {
        LogFormat::Pretty => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let otlp = OtlpSink::from_env().map(Arc::new);
    let mut sinks = sinks;
    let slow = config.slow_statement.unwrap_or(SLOW_STATEMENT);
    sinks.push(Arc::new(LogSink::new().slow(slow)));
    if let Some(otlp) = &otlp {
        sinks.push(Arc::clone(otlp) as Arc<dyn Sink>);
    }
    Registry::default()
        .with(lines)
        .with(speedwell_trace::layer(options(config), sinks))
        .try_init()
        .map_err(|error| ConfigError {
            variable: "RUST_LOG",
            problem: error.to_string(),
            remedy: "start logging once per process".to_owned(),
        })?;
    Ok(Telemetry { otlp })
}

fn options(config: &Config) -> Options {
    let dialect = match config.database {
        DatabaseUrl::Sqlite(_) => Dialect::Sqlite,
        DatabaseUrl::Postgres(_) => Dialect::Postgres,
    };
    Options::new().sample(config.trace_sample).dialect(dialect)
}

impl Telemetry {
    /// Sends what was not sent yet.
    pub fn finish(self) {
        if let Some(otlp) = self.otlp
            && !otlp.flush(LAST_WORDS)
        {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}
