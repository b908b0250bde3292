//! `speedwell`: will your service hold its latency budget, and if not, which statement is to blame?

mod advise;
mod audit;
mod cli;
mod config;
mod explain;
mod growth;
mod load;
mod openapi;
mod progress;
mod report;
mod scenario;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Verb},
    load::LoadVerb,
};

/// Within budget.
const WITHIN: u8 = 0;
/// Over budget, or unsure: nobody may take it for a pass.
const OVER: u8 = 1;
/// Wrong usage or surroundings: there is no verdict.
const NO_VERDICT: u8 = 2;

fn main() -> ExitCode {
    // Parsing errors leave with 2 by themselves, as everything without a verdict does.
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli));
            // A blocked read of a service that hangs must not keep the command from ending.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(anyhow::Error::new(error).context("cannot start the async runtime")),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cli::complain(&error);
            ExitCode::from(NO_VERDICT)
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.verb {
        Verb::Audit(args) => cli::audit(&args).await,
        Verb::Load(args) => match &args.verb {
            Some(LoadVerb::Init(args)) => openapi::init(args).await,
            None => load::load(&args).await,
        },
        Verb::Scenario { verb } => scenario::run(&verb),
        Verb::Explain(args) => explain::explain(&args).await,
        Verb::Advise(args) => advise::advise(&args).await,
        Verb::Report(args) => cli::report(&args),
    }
}
