//! Where the statements come from: a file, the server's own record, or a service at work.

use std::{
    fs,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use speedwell_plan::Asked;

use super::{
    otlp,
    seen::{Ranking, SeenStatement},
    statistics, workload,
};

/// The one source of statements.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Source {
    /// The statements: `name|statement` lines, or statements that end in semicolons
    #[arg(long, value_name = "FILE")]
    workload: Option<PathBuf>,
    /// The statements that the PostgreSQL server has recorded of this database (its extension
    /// pg_stat_statements): the 200 that took the most time
    #[arg(long)]
    pg_stat_statements: bool,
    /// The statements that a service sends as OpenTelemetry spans (OTLP over HTTP, protobuf) while
    /// it is used; listens on 127.0.0.1:4318 if no address is given
    #[arg(
        long,
        value_name = "ADDRESS",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:4318",
        value_parser = address
    )]
    otlp: Option<SocketAddr>,
}

/// The statements that advice is asked for.
#[derive(Debug, Default)]
pub(super) struct Workload {
    pub(super) asked: Vec<Asked>,
    /// The same, as they were seen at work; empty if somebody wrote them down.
    pub(super) seen: Vec<SeenStatement>,
    /// What the reader must know of it.
    pub(super) notes: Vec<String>,
}

impl Source {
    /// Gets the statements.
    ///
    /// # Errors
    /// When there are none.
    pub(super) async fn workload(
        &self,
        database: &str,
        listening: Duration,
    ) -> anyhow::Result<Workload> {
        match (&self.workload, self.otlp) {
            (Some(file), _) => written(file),
            (None, Some(address)) => otlp::listen(address, listening).await,
            (None, None) => statistics::read(database).await,
        }
    }
}

impl Workload {
    pub(super) fn ranked(ranking: Ranking, note: Option<String>) -> Self {
        Self {
            asked: ranking.asked,
            seen: ranking.seen,
            notes: ranking.left_out.into_iter().chain(note).collect(),
        }
    }
}

fn written(file: &Path) -> anyhow::Result<Workload> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("cannot read workload `{}`", file.display()))?;
    let asked = workload::read(&text);
    if asked.is_empty() {
        bail!(
            "workload `{}` holds no statement; write `name|statement` lines, or statements that end in semicolons",
            file.display()
        );
    }
    Ok(Workload {
        asked,
        ..Workload::default()
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.ok_or_else(|| "an address is a host and a port, such as 127.0.0.1:4318".to_owned())
}
