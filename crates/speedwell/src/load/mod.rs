//! `speedwell load`: a scenario by itself, judged by the budgets of latency and errors.

mod place;
mod target;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use speedwell_load::{CancelHandle, Think};

use self::place::Place;
pub(crate) use self::target::{Target, TargetError};
use crate::{
    audit::{self, Loaded, ProcessError},
    cli::{self, Format},
    config::{self, Audited, RouteSpec, Use},
    openapi::InitArgs,
    progress::Progress,
    report::{self, Report},
    signals::Signals,
};

/// Flags of `speedwell load`. What is left out is taken from the configuration.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct LoadArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<LoadVerb>,
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// A service that runs already; without it the service is built, prepared and started
    #[arg(long, value_name = "URL")]
    target: Option<Target>,
    /// Database instead of `[service] database`, for the service that is started
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    database: Option<String>,
    /// How to print the report
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// Show the result beside this saved report
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Save the report as JSON, for --baseline and `speedwell report`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Write the report as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the beginning of a failed answer's body; it may hold personal data
    #[arg(long)]
    show_values: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LoadVerb {
    /// Write a skeleton configuration from an OpenAPI document
    Init(InitArgs),
}

/// What scenario, and how much of it: flags that `load` and `scenario export` share.
#[derive(Debug, Args)]
pub(crate) struct ScenarioArgs {
    /// Configuration of the service
    #[arg(long, value_name = "FILE", default_value = "speedwell.toml")]
    config: PathBuf,
    /// Only this route (by its name in the configuration); may be given several times
    #[arg(long, value_name = "ROUTE")]
    only: Vec<String>,
    /// Simulated users instead of `[load] users`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    users: Option<u32>,
    /// Tasks begun in a second, whatever the answers take, instead of `[load] rate`
    #[arg(long, value_name = "PER_SECOND", value_parser = cli::rate, conflicts_with = "think")]
    rate: Option<f64>,
    /// Pause between tasks instead of `[load] think`: 1s..3s, 500ms, 0s or "exp 2s"; without a rate
    #[arg(long, value_name = "PAUSE")]
    think: Option<Think>,
    /// Seconds in which users join instead of `[load] ramp_s`
    #[arg(long, value_name = "SECONDS", value_parser = cli::seconds_or_none)]
    ramp: Option<Duration>,
    /// Seconds of steady load instead of `[load] steady_s`
    #[arg(long, value_name = "SECONDS", value_parser = cli::seconds)]
    duration: Option<Duration>,
    /// Seed of all draws instead of `[load] seed`
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Rows of the main table: 1000 or 1k; default: the largest of `[data] scales`
    #[arg(long, value_name = "ROWS", value_parser = cli::scale)]
    scale: Option<u64>,
    /// File of the simulated users instead of `[data] users`
    #[arg(long, value_name = "FILE")]
    users_csv: Option<PathBuf>,
    /// Folder that `{workdir}` stands for when nothing is prepared
    #[arg(long, value_name = "DIR")]
    pub(crate) workdir: Option<PathBuf>,
}

impl ScenarioArgs {
    /// The configuration of one service, with what the flags replace.
    ///
    /// # Errors
    /// When the file cannot be used, or describes several services.
    pub(crate) fn audited(&self, wanted: Use) -> anyhow::Result<Audited> {
        let mut services = config::load(&self.config, wanted)?;
        if services.len() > 1 {
            let files: Vec<&str> = services.iter().map(|each| each.file.as_str()).collect();
            bail!(
                "`{}` lists {} services; name the file of one with --config: {}",
                self.config.display(),
                files.len(),
                files.join(", ")
            );
        }
        let mut audited = services.remove(0);
        self.replace(&mut audited)?;
        audit::check_steps(&audited)?;
        Ok(audited)
    }

    fn replace(&self, audited: &mut Audited) -> anyhow::Result<()> {
        let load = &mut audited.load;
        load.users = self.users.map_or(load.users, |users| users as usize);
        load.ramp = self.ramp.unwrap_or(load.ramp);
        load.steady = self.duration.unwrap_or(load.steady);
        load.seed = self.seed.unwrap_or(load.seed);
        load.rate = self.rate.or(load.rate);
        if let Some(think) = self.think {
            load.think = think;
            load.rate = None;
        }
        if let Some(scale) = self.scale {
            audited.data.scales = vec![scale];
        }
        if let Some(path) = &self.users_csv {
            // Paths of flags count from here, those of the file from the service's folder.
            let path = std::path::absolute(path)
                .with_context(|| format!("--users-csv {}", path.display()))?;
            audited.data.users = Some(path.display().to_string());
        }
        Ok(())
    }

    /// The routes that are asked for, with those that feed them.
    pub(crate) fn routes<'a>(&self, audited: &'a Audited) -> anyhow::Result<Vec<&'a RouteSpec>> {
        Ok(audit::selected(audited, &self.only)?)
    }
}

/// The one scale of a load.
pub(crate) fn largest_scale(audited: &Audited) -> u64 {
    audited.data.scales.last().copied().unwrap_or(1)
}

/// `speedwell load`: loads, prints, and says with its code whether the budgets hold.
pub(crate) async fn load(args: &LoadArgs) -> anyhow::Result<u8> {
    let wanted = match args.target {
        Some(_) => Use::Scenario,
        None => Use::Start,
    };
    let mut audited = args.scenario.audited(wanted)?;
    if let Some(database) = &args.database {
        audited.service.database = database.clone();
    }
    if args.scenario.workdir.is_some() && args.target.is_none() {
        bail!("--workdir is for --target; a service that is started gets a folder of its own");
    }
    if args.baseline.is_some() && args.format == Format::Json {
        bail!("--baseline is shown as text; leave out --format json, or compare the saved files");
    }
    let baseline = args.baseline.as_deref().map(Report::read).transpose()?;
    let routes = args.scenario.routes(&audited)?;
    let report = run(args, &audited, &routes).await?;
    show(args, &report, baseline.as_ref())?;
    Ok(cli::code(report.verdict))
}

async fn run(args: &LoadArgs, audited: &Audited, routes: &[&RouteSpec]) -> anyhow::Result<Report> {
    let progress = Progress::new();
    let mut signals = Signals::listen();
    let place = tokio::select! {
        place = find(args, audited, routes, &progress) => place?,
        // Leaving the future drops what was started and the scratch folder.
        () = signals.next() => return Err(ProcessError::Interrupted.into()),
    };
    let cancel = CancelHandle::new();
    let load = place.load(audited, routes, &progress, cancel.clone());
    tokio::pin!(load);
    let measured = tokio::select! {
        measured = &mut load => measured?,
        () = signals.next() => {
            cancel.cancel();
            tokio::select! {
                measured = &mut load => measured?,
                // Asked a second time: at once.
                () = signals.next() => return Err(ProcessError::Interrupted.into()),
            }
        }
    };
    Ok(audit::load_report(Loaded {
        audited,
        routes,
        scale: match measured.target {
            Some(_) => args.scenario.scale,
            None => Some(largest_scale(audited)),
        },
        target: measured.target,
        outcome: &measured.outcome,
        show_values: args.show_values,
        warnings: measured.shared.into_iter().collect(),
    }))
}

async fn find<'a>(
    args: &LoadArgs,
    audited: &'a Audited,
    routes: &'a [&'a RouteSpec],
    progress: &Progress,
) -> anyhow::Result<Place<'a>> {
    let scale = largest_scale(audited);
    let workdir = args.scenario.workdir.as_deref();
    Ok(match &args.target {
        Some(target) => Place::running(audited, target, scale, workdir).await?,
        None => Place::own(audited, routes, scale, progress).await?,
    })
}

fn show(args: &LoadArgs, report: &Report, baseline: Option<&Report>) -> anyhow::Result<()> {
    if let Some(path) = &args.save {
        Report::write(path, &report.json())?;
    }
    if let Some(path) = &args.html {
        Report::write(path, &report::html(report))?;
    }
    match args.format {
        Format::Json => cli::print(&report.json())?,
        Format::Text => cli::print(&report::terminal(report, cli::look()))?,
    }
    if let Some(before) = baseline {
        cli::print(&report::compare(before, report))?;
    }
    Ok(())
}
