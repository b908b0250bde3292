//! `speedwell scenario export`: the scenario as a script for another load tester.

use clap::Subcommand;

/// What is done with a scenario.
#[derive(Debug, Subcommand)]
pub(crate) enum ScenarioVerb {
    /// Write it as a script for another load tester
    Export,
}

pub(crate) fn run(_verb: &ScenarioVerb) -> anyhow::Result<u8> {
    Ok(0)
}
