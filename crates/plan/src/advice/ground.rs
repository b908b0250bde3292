//! What a scratch copy must be able to do, whichever database it is of.

use super::{candidate::Candidate, error::AdviceError};

/// What one execution cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Run {
    /// Pages that the statement itself looked at; on SQLite hundreds of machine instructions.
    pub(crate) pages: f64,
    /// Pages that triggers looked at on its behalf, those of foreign keys among them.
    pub(crate) trigger_pages: f64,
    /// Milliseconds.
    pub(crate) millis: f64,
    /// Rows returned or written.
    pub(crate) rows: f64,
}

/// A candidate that was really built.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) candidate: Candidate,
    pub(crate) bytes: u64,
    /// Bytes of its table, without indexes.
    pub(crate) table_bytes: u64,
}

/// The price of writing rows of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct WritePrice {
    pub(crate) rows: u64,
    pub(crate) pages: f64,
    pub(crate) millis: f64,
}

/// A copy of a database in which indexes are built and statements executed. Nothing that is done
/// between `enter` and `leave` remains.
pub(crate) trait Ground {
    /// Builds what can be built; what cannot is left out.
    async fn build(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Built>, AdviceError>;

    /// Begins trials without these indexes. Where statements write, they are not kept up either.
    async fn enter(&mut self, hidden: &[String], writes: bool) -> Result<(), AdviceError>;

    /// Begins trials of [`Ground::write`] without these indexes.
    async fn enter_for_writing(&mut self, hidden: &[String]) -> Result<(), AdviceError>;

    /// What the database would do, without figures: two executions of one statement with the same
    /// plan cost the same. The error is the database's reason.
    async fn plan(&mut self, statement: &str) -> Result<Result<String, String>, AdviceError>;

    /// Executes the statement and takes back what it wrote.
    async fn run(&mut self, statement: &str) -> Result<Result<Run, String>, AdviceError>;

    /// Takes some rows of the table out and writes them again.
    async fn write(&mut self, table: &str) -> Result<Option<WritePrice>, AdviceError>;

    /// Ends the trials; all indexes are back.
    async fn leave(&mut self) -> Result<(), AdviceError>;
}
