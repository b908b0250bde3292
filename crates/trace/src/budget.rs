//! The limits of one request.

use std::time::Duration;

use crate::{Request, detect::counts_as_work, detect::wording::millis};

/// What a request may cost at most. `None` means "not limited".
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Budget {
    /// Statements, transaction control and utility statements not counted.
    pub statements: Option<u64>,
    /// Rows fetched per row answered.
    pub rows_per_row: Option<f64>,
    /// Rows fetched.
    pub rows: Option<u64>,
    /// Time in the database, all statements together.
    pub database_time: Option<Duration>,
    /// Time of any single statement.
    pub statement_time: Option<Duration>,
}

/// One limit of a [`Budget`] that a request went over, or that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Name of the limit, as the field of [`Budget`] is called.
    pub limit: &'static str,
    /// One sentence with both numbers.
    pub sentence: String,
}

impl Budget {
    /// A budget that limits nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most `count` statements; transaction control and utility statements are not counted.
    pub fn statements(mut self, count: u64) -> Self {
        self.statements = Some(count);
        self
    }

    /// At most `count` rows fetched.
    pub fn rows(mut self, count: u64) -> Self {
        self.rows = Some(count);
        self
    }

    /// At most `ratio` rows fetched per row answered.
    pub fn rows_per_row(mut self, ratio: f64) -> Self {
        self.rows_per_row = Some(ratio);
        self
    }

    /// At most `time` in the database, all statements together.
    pub fn database_time(mut self, time: Duration) -> Self {
        self.database_time = Some(time);
        self
    }

    /// At most `time` in any single statement.
    pub fn statement_time(mut self, time: Duration) -> Self {
        self.statement_time = Some(time);
        self
    }

    /// The limits that `request` broke. A limit that cannot be judged is a breach too: a budget
    /// that nothing checked must not pass.
    pub fn breaches(&self, request: &Request) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let mut over = |limit, sentence: Option<String>| {
            breaches.extend(sentence.map(|sentence| Breach { limit, sentence }));
        };
        over("statements", self.statements_over(request));
        over("rows", self.rows_over(request));
        over("rows_per_row", self.rows_per_row_over(request));
        over("database_time", self.database_time_over(request));
        over("statement_time", self.statement_time_over(request));
        breaches
    }

    fn statements_over(&self, request: &Request) -> Option<String> {
        let limit = self.statements?;
        let kept = request
            .statements
            .iter()
            .filter(|statement| counts_as_work(statement))
            .count();
        let count = kept as u64 + request.statements_dropped;
        (count > limit).then(|| format!("{count} statements ran, the budget is {limit}"))
    }

    fn rows_over(&self, request: &Request) -> Option<String> {
        let limit = self.rows?;
        match request.rows_fetched() {
            None if request.statements.is_empty() => None,
            None => Some(format!(
                "rows cannot be seen by this source, the budget is {limit}"
            )),
            Some(rows) if rows > limit => {
                Some(format!("{rows} rows were fetched, the budget is {limit}"))
            }
            Some(_) => None,
        }
    }

    fn rows_per_row_over(&self, request: &Request) -> Option<String> {
        let limit = self.rows_per_row?;
        let Some(fetched) = request.rows_fetched() else {
            return (!request.statements.is_empty()).then(|| {
                format!("rows cannot be seen by this source, the budget is {limit} per row")
            });
        };
        let Some(answered) = request.rows_answered else {
            return Some(format!(
                "the rows of the answer are not known, the budget is {limit} rows per row; \
                 record `speedwell.rows_answered` on the request span"
            ));
        };
        let ratio = fetched as f64 / answered.max(1) as f64;
        (ratio > limit).then(|| {
            format!(
                "{fetched} rows were fetched for {answered} rows answered ({ratio:.1} per row), \
                 the budget is {limit} per row"
            )
        })
    }

    fn database_time_over(&self, request: &Request) -> Option<String> {
        let limit = self.database_time?;
        let time = request.database_time();
        (time > limit).then(|| {
            format!(
                "{} were spent in the database, the budget is {}",
                millis(time),
                millis(limit)
            )
        })
    }

    fn statement_time_over(&self, request: &Request) -> Option<String> {
        let limit = self.statement_time?;
        let time = request
            .statements
            .iter()
            .map(|statement| statement.duration)
            .max()?;
        (time > limit).then(|| {
            format!(
                "one statement took {}, the budget is {}",
                millis(time),
                millis(limit)
            )
        })
    }
}
