//! Stand-in.
use service_kit::{database::Database, token::Tokens};
use std::path::PathBuf;
/// Plan.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// a
    pub scale: u32,
    /// a
    pub seed: u64,
    /// a
    pub replace: bool,
    /// a
    pub users_csv: Option<PathBuf>,
    /// a
    pub tokens: Option<Tokens>,
}
/// Done.
#[derive(Debug)]
pub struct Done;
/// Run.
pub async fn run(_: &Database, _: &Plan) -> Result<Done, sqlx::Error> {
    Ok(Done)
}
