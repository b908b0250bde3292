//! What is compared on both databases.

use speedwell_plan::Advice;
use speedwell_sql::Dialect;

use crate::bench::Bench;

/// A statement with its values as literals, once for each choice of values.
pub(crate) struct Statement {
    pub(crate) name: String,
    pub(crate) texts: Vec<String>,
}

/// What a statement costs under one set of indexes.
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Pages that the plan looked at, on average; on SQLite hundreds of machine instructions.
    pub(crate) cost: f64,
    /// The median of the times.
    pub(crate) millis: f64,
    /// What triggers took of it, those of foreign keys among them, on average.
    pub(crate) trigger_millis: f64,
}

/// A filled database, ours alone.
pub(crate) trait Store {
    const DIALECT: Dialect;
    /// What [`Measured::cost`] counts.
    const UNIT: &'static str;
    /// Whether the indexes on record are for this database.
    const IS_RIVALS_HOME: bool;

    fn url(&self) -> String;

    /// The rows of a query that chooses values, as literals.
    async fn literals(&mut self, question: &str) -> Vec<Vec<String>>;

    /// Drops every index but those of keys and builds these.
    async fn rebuild(&mut self, indexes: &[String]);

    /// Builds what was advised, as it was advised.
    async fn migrate(&mut self, advice: &Advice);

    async fn measure(&mut self, statements: &[Statement]) -> Vec<Measured>;

    /// Milliseconds of the workload's writes, the best of three, where they are measured.
    async fn write(&mut self, bench: &Bench) -> Option<f64>;
}
