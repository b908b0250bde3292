//! `speedwell advise`: indexes for a workload, proved on a scratch copy.

mod migrations;
mod otlp;
#[cfg(test)]
mod sample;
mod seen;
mod short;
mod show;
mod source;
mod statistics;
mod workload;

use std::{io::Write as _, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use speedwell_plan::{Advice, AdviceOptions, Goal, Verdict, advise as ask};

use self::{
    migrations::{Migrations, Tool},
    source::{Source, Workload},
};
use crate::{
    OVER, WITHIN,
    audit::ProcessError,
    cli::{Format, print, seconds},
    progress::Progress,
    signals::Signals,
};

/// Indexes for a workload, proved on a scratch copy.
#[derive(Debug, Args)]
pub(crate) struct AdviseArgs {
    /// Where the database is: sqlite:path/to/file.db or postgres://user@host/name; it is only
    /// read, and the password may stand in PGPASSWORD
    #[arg(long, value_name = "URL")]
    database: String,
    #[command(flatten)]
    source: Source,
    /// How long --otlp listens; an interrupt (Ctrl-C) ends it earlier
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "60",
        conflicts_with_all = ["workload", "pg_stat_statements"],
        value_parser = seconds
    )]
    seconds: Duration,
    /// Server for the scratch copy of a PostgreSQL database; by default the database's own
    #[arg(long, value_name = "URL")]
    on_scratch: Option<String>,
    /// Megabytes that all advised indexes together may take; by default as many as they are worth
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    most_size: Option<u32>,
    /// What the indexes are to do
    #[arg(long, value_name = "GOAL", value_enum, default_value_t)]
    goal: Aim,
    /// How long a statement may take in a trial before it is given up
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    most_time: Duration,
    /// Rows of one table that are copied for the trials (PostgreSQL); of a larger one a sample
    #[arg(long, value_name = "ROWS", default_value = "2000000", value_parser = clap::value_parser!(u64).range(1..))]
    most_rows: u64,
    /// How to print the advice
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// Folder for the migrations that build the indexes and take them back; files that are there
    /// are never overwritten
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Whose migrations --save writes
    #[arg(
        long,
        value_name = "TOOL",
        value_enum,
        default_value_t,
        requires = "save"
    )]
    migrations: Tool,
}

/// What the indexes are to do, as the command line has it.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Aim {
    /// Make each statement as many times cheaper as they can
    #[default]
    Each,
    /// Make all statements together as cheap as they can, by the planner's estimate
    Total,
}

impl From<Aim> for Goal {
    fn from(aim: Aim) -> Self {
        match aim {
            Aim::Each => Self::Each,
            Aim::Total => Self::Total,
        }
    }
}

/// Advises and prints; the code says whether there is something to do.
pub(crate) async fn advise(args: &AdviseArgs) -> anyhow::Result<u8> {
    let folder = args.save.as_deref();
    let migrations = folder.map(|folder| Migrations::open(folder, args.migrations));
    let migrations = migrations.transpose()?;
    let workload = args.source.workload(&args.database, args.seconds).await?;
    let advice = tried(args, &workload).await?;
    match args.format {
        Format::Text => print(&show::text(&advice, &workload))?,
        Format::Json => print(&format!("{:#}\n", show::json(&advice, &workload)))?,
    }
    if let Some(migrations) = migrations {
        save(&migrations, &advice)?;
    }
    Ok(code(&advice))
}

async fn tried(args: &AdviseArgs, workload: &Workload) -> anyhow::Result<Advice> {
    let mut signals = Signals::listen();
    let progress = Progress::new();
    let count = workload.asked.len();
    let _shown = progress.spinner(format!("trying indexes for {count} statements"));
    let options = AdviceOptions {
        scratch: args.on_scratch.as_deref(),
        goal: args.goal.into(),
        most_bytes: args
            .most_size
            .map(|megabytes| u64::from(megabytes) * 1024 * 1024),
        most_time: Some(args.most_time),
        most_rows: Some(args.most_rows),
        ..AdviceOptions::default()
    };
    tokio::select! {
        advice = ask(&args.database, &workload.asked, options) => Ok(advice?),
        // Leaving the future drops the scratch copy.
        () = signals.next() => Err(ProcessError::Interrupted.into()),
    }
}

/// A statement that got no trial must not be taken for one that is well.
fn code(advice: &Advice) -> u8 {
    let helpless = |verdict: &Verdict| matches!(verdict, Verdict::Cannot(_));
    let any = advice
        .statements
        .iter()
        .any(|judged| helpless(&judged.verdict));
    match advice.indexes.is_empty() && !any {
        true => WITHIN,
        false => OVER,
    }
}

/// Writes the migrations and says which; nothing if there is nothing to do.
fn save(migrations: &Migrations, advice: &Advice) -> anyhow::Result<()> {
    let written = migrations.write(advice)?;
    let mut lines = Vec::new();
    for (index, file) in &written.standing {
        lines.push(format!("{index} is in {file} already; migrate"));
    }
    for path in &written.files {
        lines.push(format!("wrote {}", path.display()));
    }
    for line in lines {
        // Nothing is left to do when standard error cannot be written to.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    Ok(())
}
