//! `speedwell load init`: a skeleton configuration from an OpenAPI document.

use clap::Args;

/// Flags of `speedwell load init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {}

pub(crate) async fn init(_args: &InitArgs) -> anyhow::Result<u8> {
    Ok(0)
}
