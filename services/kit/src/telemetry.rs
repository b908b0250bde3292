//! Where log lines and traces go.

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use speedwell_trace::{LogSink, Options, Sink, otlp::OtlpSink};
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::{Config, ConfigError, LogFormat};

/// Telemetry that runs. Keep it until the end and [`finish`](Telemetry::finish) it.
pub struct Telemetry {
    otlp: Option<Arc<OtlpSink>>,
}

/// What is still to be sent to the collector at the end gets this long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Starts logging for the process: log lines to standard error; requests with their
/// statements to the log, when something is wrong with them, and to a collector, when
/// `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
///
/// # Errors
/// `RUST_LOG` cannot be read, or logging was started before.
pub fn start(config: &Config) -> Result<Telemetry, ConfigError> {
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
    let mut sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(LogSink::new().slow(config.slow_statement))];
    if let Some(otlp) = &otlp {
        sinks.push(Arc::clone(otlp) as Arc<dyn Sink>);
    }
    Registry::default()
        .with(lines)
        .with(speedwell_trace::layer(Options::new(), sinks))
        .try_init()
        .map_err(|error| ConfigError {
            variable: "RUST_LOG",
            problem: error.to_string(),
            remedy: "start logging once per process".to_owned(),
        })?;
    Ok(Telemetry { otlp })
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
