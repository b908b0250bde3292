//! `speedwell scenario export`: the scenario as a script for another load tester.

mod expression;
mod jsonpath;
mod k6;
mod locust;
mod script;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use self::script::Script;
use crate::{
    WITHIN, cli,
    config::Use,
    load::{ScenarioArgs, largest_scale},
    report::Report,
};

/// What is done with a scenario.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioVerb {
    /// Write the scenario as a script that Locust or k6 runs unchanged
    Export(ExportArgs),
}

/// Whose script it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tester {
    /// A locustfile.py (https://locust.io)
    Locust,
    /// A k6 script (https://k6.io)
    K6,
}

/// Flags of `speedwell scenario export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The load tester that will run it
    #[arg(long, value_name = "TESTER", value_enum)]
    to: Tester,
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Where the service runs, unless the script is told otherwise when it runs
    #[arg(long, value_name = "URL")]
    target: Option<crate::load::Target>,
    /// File to write; default: standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// `speedwell scenario`: what its verb says.
pub(crate) fn run(verb: &ScenarioVerb) -> anyhow::Result<u8> {
    match verb {
        ScenarioVerb::Export(args) => export(args),
    }
}

fn export(args: &ExportArgs) -> anyhow::Result<u8> {
    let audited = args.scenario.audited(Use::Scenario)?;
    let routes = args.scenario.routes(&audited)?;
    let workdir = args.scenario.workdir.as_deref();
    let mut script = Script::new(&audited, &routes, largest_scale(&audited), workdir)?;
    script.target = args.target.as_ref().map(ToString::to_string);
    let text = match args.to {
        Tester::Locust => locust::write(&script),
        Tester::K6 => k6::write(&script)?,
    };
    match &args.output {
        Some(path) => Report::write(path, &text)?,
        None => cli::print(&text)?,
    }
    Ok(WITHIN)
}
