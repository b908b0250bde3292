//! `speedwell load init`: a skeleton configuration from an OpenAPI document.

mod captures;
mod document;
mod fetch;
mod inline;
mod login;
mod sample;
mod skeleton;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use self::document::Document;
use crate::{
    WITHIN, audit, cli,
    config::{self, Use},
    report::Report,
};

/// Flags of `speedwell load init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The document, as JSON: a file, or http://host:port/openapi.json
    #[arg(long, value_name = "URL|FILE")]
    openapi: String,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "speedwell.toml")]
    output: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
}

/// `speedwell load init`: reads the document, writes the skeleton, and says what is to be done.
pub(crate) async fn init(args: &InitArgs) -> anyhow::Result<u8> {
    let exists = || args.output.symlink_metadata().is_ok();
    if exists() && !args.force {
        bail!(
            "`{}` is there already; write elsewhere with --output, or over it with --force",
            args.output.display()
        );
    }
    let text = fetch::fetch(&args.openapi).await?;
    let document = Document::read(&args.openapi, &text)?;
    let skeleton = skeleton::write(&document, &args.openapi);
    // What the command writes it must read: a skeleton that does not is a fault of its own.
    let audited = config::read_text(&args.output, &skeleton, Use::Scenario)
        .and_then(|audited| audit::check_steps(&audited).map(|()| audited))
        .with_context(|| format!("cannot make a configuration of `{}`", args.openapi))?;
    Report::write(&args.output, &skeleton)?;
    let unknown = skeleton
        .lines()
        .filter(|line| line.starts_with("# - "))
        .count();
    cli::print(&format!(
        "{}: {} routes; {unknown} things to fill in, listed at its top\n",
        args.output.display(),
        audited.routes.len() + audited.setup.len()
    ))?;
    Ok(WITHIN)
}

#[cfg(test)]
mod tests;
