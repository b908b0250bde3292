#![doc = include_str!("../README.md")]

mod clock;
mod postgres;
mod program;
mod redis;
mod shared;

pub use postgres::{Database, Postgres};
pub use redis::Redis;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ThrowawayError {
    /// The server is not installed.
    #[error("`{program}` is not installed; install it with `apt-get install {package}`")]
    Missing {
        /// The program that was looked for.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program of the server failed.
    #[error("`{program}` failed: {output}")]
    Failed {
        /// Which program.
        program: &'static str,
        /// What it wrote.
        output: String,
    },
    /// The server does not answer.
    #[error("the server did not answer within {seconds} seconds; its log:\n{log}")]
    Silent {
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        log: String,
    },
    /// A file or a process could not be made.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Turns what the system says into an error that names what was being done.
fn while_doing(doing: &'static str) -> impl Fn(std::io::Error) -> ThrowawayError {
    move |source| ThrowawayError::System { doing, source }
}
