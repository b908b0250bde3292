//! `speedwell advise`: indexes for a workload, proved on a scratch copy.

mod show;
mod workload;

use std::{fs, path::Path, path::PathBuf};

use anyhow::Context;
use clap::Args;
use speedwell_plan::{Advice, AdviceOptions, Verdict, advise as ask};

use crate::{
    OVER, WITHIN,
    audit::ProcessError,
    cli::{Format, print},
    signals::Signals,
};

/// Indexes for a workload, proved on a scratch copy.
#[derive(Debug, Args)]
pub(crate) struct AdviseArgs {
    /// Where the database is: sqlite:path/to/file.db or postgres://user@host/name; it is only
    /// read, and the password may stand in PGPASSWORD
    #[arg(long, value_name = "URL")]
    database: String,
    /// The statements: `name|statement` lines, or statements that end in semicolons
    #[arg(long, value_name = "FILE")]
    workload: PathBuf,
    /// Server for the scratch copy of a PostgreSQL database; by default the database's own
    #[arg(long, value_name = "URL")]
    on_scratch: Option<String>,
    /// Megabytes that all advised indexes together may take; by default as many as they are worth
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..))]
    most_size: Option<u32>,
    /// How to print the advice
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// Folder for the migrations: one file that builds the indexes and one that takes them back
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
}

/// Advises and prints; the code says whether there is something to do.
pub(crate) async fn advise(args: &AdviseArgs) -> anyhow::Result<u8> {
    let text = fs::read_to_string(&args.workload)
        .with_context(|| format!("cannot read workload `{}`", args.workload.display()))?;
    let asked = workload::read(&text);
    if asked.is_empty() {
        anyhow::bail!(
            "workload `{}` holds no statement; write `name|statement` lines, or statements that end in semicolons",
            args.workload.display()
        );
    }
    let options = AdviceOptions {
        scratch: args.on_scratch.as_deref(),
        most_bytes: args
            .most_size
            .map(|megabytes| u64::from(megabytes) * 1024 * 1024),
    };
    let mut signals = Signals::listen();
    let advice = tokio::select! {
        advice = ask(&args.database, &asked, options) => advice?,
        // Leaving the future drops the scratch copy.
        () = signals.next() => return Err(ProcessError::Interrupted.into()),
    };
    match args.format {
        Format::Text => print(&show::text(&advice))?,
        Format::Json => print(&format!("{:#}\n", show::json(&advice)))?,
    }
    if let Some(folder) = &args.save {
        save(folder, &advice)?;
    }
    Ok(code(&advice))
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

/// Writes `up.sql` and `down.sql`; nothing if there is nothing to do.
fn save(folder: &Path, advice: &Advice) -> anyhow::Result<()> {
    if advice.indexes.is_empty() {
        return Ok(());
    }
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))
    };
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make folder `{}`", folder.display()))?;
    write("up.sql", show::up(advice))?;
    write("down.sql", show::down(advice))
}
