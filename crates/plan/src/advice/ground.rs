//! What a scratch copy must be able to do, whichever database it is of.

use std::{collections::BTreeSet, time::Duration};

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
    /// Sorts in its plan, which hold all rows before they give the first one.
    pub(crate) sorts: f64,
    /// Whether its plan reads a table or an index from end to end.
    pub(crate) reads_all: bool,
}

/// Why an execution came to no end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// For the database's reason.
    Refused(String),
    /// It was given up: see [`Ground::give_up_after`].
    TookTooLong,
}

/// A candidate that was really built.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) candidate: Candidate,
    /// Bytes that it would take in the audited database, of which the copy may hold a sample.
    pub(crate) bytes: u64,
    /// The same of its table, without indexes.
    pub(crate) table_bytes: u64,
}

/// A set of indexes, by their place among those built.
pub(crate) type Set = BTreeSet<usize>;

/// The price of writing rows of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct WritePrice {
    pub(crate) rows: u64,
    pub(crate) insert: Effort,
    pub(crate) delete: Effort,
    /// Of setting some columns; none if they were not set, or cannot be.
    pub(crate) update: Option<Effort>,
}

/// What writing all the rows took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Effort {
    pub(crate) pages: f64,
    pub(crate) millis: f64,
}

impl Effort {
    /// The same pages with the shorter time of the two.
    pub(crate) fn quicker(self, other: Self) -> Self {
        Self {
            pages: other.pages,
            millis: self.millis.min(other.millis),
        }
    }
}

/// Statements whose costs are asked for.
pub(crate) struct Inquiry<'a> {
    /// The indexes that are there beside the database's own.
    pub(crate) with: Vec<&'a Candidate>,
    /// Those that are not.
    pub(crate) without: Vec<&'a Candidate>,
    /// Whether all of them are built: else [`Ground::sizes`] knows those that are there.
    pub(crate) are_built: bool,
    pub(crate) statements: Vec<&'a str>,
}

/// The rows of a query, values as texts; or the database's reason why there are none.
pub(crate) type Rows = Result<Vec<Vec<Option<String>>>, String>;

/// A copy of a database in which indexes are built and statements executed. Nothing that is done
/// between `enter` and `leave` remains.
pub(crate) trait Ground {
    /// Those that the planner would use, where it can be asked without building them; all of them
    /// elsewhere. Each comes with the statements that may use it.
    async fn promising(
        &mut self,
        candidates: Vec<(Candidate, Vec<&str>)>,
    ) -> Result<Vec<Candidate>, AdviceError> {
        Ok(candidates.into_iter().map(|(index, _)| index).collect())
    }

    /// The bytes that each would take, guessed without building it, and none of those of which that
    /// cannot be guessed; none at all where nothing can.
    async fn sizes(
        &mut self,
        _candidates: &[Candidate],
    ) -> Result<Option<Vec<Option<u64>>>, AdviceError> {
        Ok(None)
    }

    /// What statements would cost, by the planner's estimate where it makes one and elsewhere by
    /// executing them; none of what the database does not take.
    async fn estimates(&mut self, asked: &Inquiry<'_>) -> Result<Vec<Option<f64>>, AdviceError>;

    /// Builds what can be built; what cannot is left out.
    async fn build(&mut self, candidates: Vec<Candidate>) -> Result<Vec<Built>, AdviceError>;

    /// Begins trials without these indexes. Where statements write, they are not kept up either.
    async fn enter(&mut self, hidden: &[String], writes: bool) -> Result<(), AdviceError>;

    /// Begins trials of what writing costs without these indexes.
    async fn enter_for_writing(&mut self, hidden: &[String]) -> Result<(), AdviceError>;

    /// What the database would do, without figures: two executions of one statement with the same
    /// plan cost the same. The error is the database's reason.
    async fn plan(&mut self, statement: &str) -> Result<Result<String, String>, AdviceError>;

    /// Executes the statement and takes back what it wrote.
    async fn run(&mut self, statement: &str) -> Result<Result<Run, Stopped>, AdviceError>;

    /// Executes statements whose effects stay until `leave`. The error is the database's reason.
    async fn prepare(&mut self, statements: &[String]) -> Result<Result<(), String>, AdviceError>;

    /// Executes a query for its rows.
    async fn rows(&mut self, query: &str) -> Result<Rows, AdviceError>;

    /// Takes some rows of the table out and writes them again. `None` if they cannot be taken out.
    async fn replace(&mut self, table: &str) -> Result<Option<WritePrice>, AdviceError>;

    /// Sets columns of some rows of the table to what they are. `None` if they cannot be set.
    async fn set_again(
        &mut self,
        table: &str,
        columns: &[String],
    ) -> Result<Option<Effort>, AdviceError>;

    /// Both.
    async fn write(
        &mut self,
        table: &str,
        columns: &[String],
    ) -> Result<Option<WritePrice>, AdviceError> {
        let update = self.set_again(table, columns).await?;
        let price = self.replace(table).await?;
        Ok(price.map(|price| WritePrice { update, ..price }))
    }

    /// Gives up statements that take longer from now on.
    async fn give_up_after(&mut self, limit: Duration) -> Result<(), AdviceError>;

    /// Work of a plan over these tables that `run` does not count, as pages.
    fn uncounted(&self, _plan: &str, _tables: &BTreeSet<String>) -> f64 {
        0.0
    }

    /// How many sorts a plan has, where their work is not counted by `run`.
    fn sorts(&self, _plan: &str) -> usize {
        0
    }

    /// Whether a plan uses the index of this name.
    fn uses(&self, plan: &str, index: &str) -> bool;

    /// Whether a plan reads a table or an index from end to end, and not a small one.
    fn reads_all(&self, plan: &str) -> bool;

    /// How often the audited database has searched an index of its own, if it counts that.
    fn scans(&self, _index: &str) -> Option<u64> {
        None
    }

    /// Ends the trials; all indexes are back.
    async fn leave(&mut self) -> Result<(), AdviceError>;
}
