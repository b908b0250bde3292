//! The command line: verbs, flags, and where their output goes.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::bail;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    NO_VERDICT, OVER, WITHIN,
    advise::AdviseArgs,
    audit::{self, AdviseWhen, Options},
    config::{self, Audited, Use},
    load::LoadArgs,
    progress::Progress,
    report::{self, Look, Report, Verdict},
    scenario::ScenarioVerb,
    signals::Signals,
};

/// Will your service hold its latency budget, and if not, which statement is to blame?
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Audit the services of speedwell.toml: probe, explain, load, judge
    Audit(AuditArgs),
    /// Put the scenario of speedwell.toml on a service and judge latency and errors
    Load(LoadArgs),
    /// The scenario of speedwell.toml as another load tester's script
    Scenario {
        #[command(subcommand)]
        verb: ScenarioVerb,
    },
    /// Print the plan of one statement and what is wrong with it
    Explain(ExplainArgs),
    /// Indexes for a workload, each proved on a scratch copy of the database
    Advise(AdviseArgs),
    /// Show a saved report again
    Report(ReportArgs),
}

/// How a report is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people, on a terminal
    #[default]
    Text,
    /// For programs: the schema is in docs/REPORT.md
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Configuration of a service, or of several
    #[arg(long, value_name = "FILE", default_value = "speedwell.toml")]
    config: PathBuf,
    /// Audit only this route (by its name in the configuration); may be given several times
    #[arg(long, value_name = "ROUTE")]
    only: Vec<String>,
    /// Sizes of the data instead of `[data] scales`: 1000,10000 or 1k,10k
    #[arg(long, value_name = "ROWS", value_delimiter = ',', value_parser = scale)]
    scales: Vec<u64>,
    /// Database instead of `[service] database`: `postgres://user@host/{scratch}` makes one for
    /// each scale and drops it; the password may stand in PGPASSWORD
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// Simulated users instead of `[load] users`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// Seconds of steady load instead of `[load] steady_s`
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Leave the load out: statements, rows, growth and plans only
    #[arg(long)]
    no_load: bool,
    /// Try indexes and rewrites even if everything is within its budget
    #[arg(long, conflicts_with = "no_advice")]
    advise: bool,
    /// Do not try what would help, nor audit again with it
    #[arg(long)]
    no_advice: bool,
    /// How to print the report
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// Show the result beside this saved report
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Save the report, for --baseline
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Folder for report.json and report.html
    #[arg(long, value_name = "DIR", default_value = "speedwell-report")]
    out: PathBuf,
    /// Print literals in statements; they may be personal data
    #[arg(long)]
    show_values: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Where the database is: sqlite:path/to/file.db or postgres://user@host/name; the password
    /// may stand in PGPASSWORD
    #[arg(long, value_name = "URL")]
    pub(crate) database: String,
    /// How to print the plan
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Print the values from the database that the statement was planned with
    #[arg(long)]
    pub(crate) show_values: bool,
    /// The statement; placeholders need no values
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// A report.json
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show it beside this saved report
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write it as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) fn scale(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_lowercase().replace('_', "");
    let (digits, unit) = match lower.strip_suffix('k') {
        Some(digits) => (digits, 1000),
        None => match lower.strip_suffix('m') {
            Some(digits) => (digits, 1_000_000),
            None => (lower.as_str(), 1),
        },
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|rows| rows.checked_mul(unit))
        .filter(|rows| *rows > 0)
        .ok_or_else(|| "a scale is a number of rows such as 1000, 10k or 1m".to_owned())
}

pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    seconds_or_none(text)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a duration is a number of seconds above 0".to_owned())
}

/// Seconds, of which there may be none.
pub(crate) fn seconds_or_none(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds, 0 or more".to_owned())
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "a rate is a number of tasks a second above 0".to_owned())
}

/// `speedwell audit`: audits, prints, writes, and says with its code whether every budget holds.
pub(crate) async fn audit(args: &AuditArgs) -> anyhow::Result<u8> {
    let mut services = config::load(&args.config, Use::Start)?;
    if services.len() > 1 && (args.save.is_some() || args.baseline.is_some()) {
        bail!(
            "--save and --baseline are for one service and `{}` lists {}; name one service's file with --config",
            args.config.display(),
            services.len()
        );
    }
    if args.baseline.is_some() && args.format == Format::Json {
        bail!("--baseline is shown as text; leave out --format json, or compare the saved files");
    }
    let baseline = args.baseline.as_deref().map(Report::read).transpose()?;
    for audited in &mut services {
        override_with(audited, args);
    }
    let progress = Progress::new();
    let mut signals = Signals::listen();
    let mut reports = Vec::new();
    for audited in &services {
        let options = Options {
            only: args.only.clone(),
            show_values: args.show_values,
            no_load: args.no_load,
            advise: match (args.advise, args.no_advice) {
                (true, _) => AdviseWhen::Always,
                (_, true) => AdviseWhen::Never,
                _ => AdviseWhen::Needed,
            },
        };
        let report = tokio::select! {
            report = audit::audit(audited, &options, &progress) => report?,
            // Leaving the future drops the service's process group and the scratch folder.
            () = signals.next() => return Err(audit::ProcessError::Interrupted.into()),
        };
        write(&report, args, services.len() > 1)?;
        if args.format == Format::Text {
            print(&report::terminal(&report, look()))?;
            if let Some(before) = &baseline {
                print(&report::compare(before, &report))?;
            }
        }
        reports.push(report);
    }
    if args.format == Format::Json {
        match reports.as_slice() {
            [report] => print(&report.json())?,
            reports => print(&format!("{}\n", serde_json::to_string_pretty(reports)?))?,
        }
    }
    let worst = reports.iter().map(|report| report.verdict).max();
    Ok(worst.map_or(NO_VERDICT, code))
}

/// What a verdict is to those who look at the exit code alone.
pub(crate) fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Within => WITHIN,
        Verdict::Unsure | Verdict::Over => OVER,
    }
}

fn override_with(audited: &mut Audited, args: &AuditArgs) {
    if !args.scales.is_empty() {
        audited.data.scales = args.scales.clone();
        audited.data.scales.sort_unstable();
        audited.data.scales.dedup();
    }
    if let Some(database) = &args.database {
        audited.service.database = database.clone();
    }
    if let Some(users) = args.users {
        audited.load.users = users as usize;
    }
    if let Some(duration) = args.duration {
        audited.load.steady = duration;
    }
}

fn write(report: &Report, args: &AuditArgs, several: bool) -> anyhow::Result<()> {
    let folder = if several {
        args.out.join(&report.service)
    } else {
        args.out.clone()
    };
    let json = report.json();
    Report::write(&folder.join("report.json"), &json)?;
    Report::write(&folder.join("report.html"), &report::html(report))?;
    if let Some(save) = &args.save {
        Report::write(save, &json)?;
    }
    if args.format == Format::Text && std::io::stderr().is_terminal() {
        note(&format!(
            "report.json and report.html are in {}",
            folder.display()
        ));
    }
    Ok(())
}

/// `speedwell report`: a saved report, shown again.
pub(crate) fn report(args: &ReportArgs) -> anyhow::Result<u8> {
    let report = Report::read(&args.file)?;
    match &args.html {
        Some(path) => Report::write(path, &report::html(&report))?,
        None => print(&report::terminal(&report, look()))?,
    }
    if let Some(path) = &args.baseline {
        print(&report::compare(&Report::read(path)?, &report))?;
    }
    Ok(WITHIN)
}

/// What the terminal can show.
pub(crate) fn look() -> Look {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return Look::default();
    }
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let size = rustix::termios::tcgetwinsize(&out).ok();
    Look {
        colour: !plain,
        // A terminal that does not know its width says 0.
        width: size
            .map(|size| usize::from(size.ws_col))
            .filter(|width| *width >= 40),
    }
}

/// Prints to standard output. A reader that has gone away (`| head`) is not an error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

fn note(text: &str) {
    // Nothing is left to do when standard error cannot be written to.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says what went wrong, with its causes.
pub(crate) fn complain(error: &anyhow::Error) {
    note(&format!("speedwell: {}", told(error)));
}

/// An error with those of its causes of which it does not speak itself.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let io = std::io::Error::other("the disk is full");
        let error = anyhow::Error::new(io).context("cannot copy: the disk is full");
        assert_eq!(told(&error), "cannot copy: the disk is full");
        let error = error.context("no advice");
        assert_eq!(told(&error), "no advice: cannot copy: the disk is full");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn scales_may_be_written_with_units() {
        let all: Vec<_> = ["1000", "10k", "1_000", "2M", "0", "ten"].map(scale).into();
        assert_eq!(all[..4], [Ok(1000), Ok(10_000), Ok(1000), Ok(2_000_000)]);
        assert!(all[4].is_err() && all[5].is_err());
    }
}
