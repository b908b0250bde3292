//! What comes of it: a verdict for every statement, and each index with its gain and its price.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use speedwell_sql::Dialect;

use super::{
    Asked,
    choice::is_cheap,
    facts::Facts,
    ground::{Effort, Run},
    hygiene::NeedlessIndex,
    prove::{Prices, Proved},
    rewrite::Rewrite,
    trial::{Cost, Trials},
};
use crate::Schema;

/// Share of the pages that must go for a statement to be called improved.
const IMPROVED: f64 = 0.9;

/// Share of the time that must go for a statement to be called improved by its time alone.
const QUICKER: f64 = 0.67;
/// Less than this is an accident.
const NOTICEABLE_MILLIS: f64 = 1.0;

/// Advice for a workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Which database it is for.
    #[serde(skip)]
    pub dialect: Dialect,
    /// Of each statement, in the order in which they were asked.
    pub statements: Vec<Judged>,
    /// The indexes to build, sorted by table and columns.
    pub indexes: Vec<AdvisedIndex>,
    /// Indexes of the database without which, all together, no statement is dearer.
    pub needless: Vec<NeedlessIndex>,
    /// Statements that were tried written otherwise.
    pub rewrites: Vec<Rewrite>,
    /// Indexes that were built and tried.
    pub tried: usize,
    /// Indexes that were refused because a statement got worse with them.
    pub refused: Vec<Refused>,
    /// What estimates said, for [`super::Goal::Total`].
    pub estimated: Option<Estimated>,
    /// Statements that were executed.
    pub executed: u64,
    /// How long it took.
    pub times: Times,
}

/// An index with which a statement got worse.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// `table (columns) ...`
    pub index: String,
    /// The name of the statement.
    pub statement: String,
    /// What it costs without advice.
    pub without: Option<Figures>,
    /// With the index, among others; none if it was given up.
    pub with: Option<Figures>,
}

/// What all statements cost together, by the planner's estimate (on SQLite by executing them), before
/// trials refused anything.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimated {
    /// How many estimates were asked for.
    pub requests: u64,
    /// Without the indexes.
    pub without: f64,
    /// With those that were chosen.
    pub with: f64,
}

/// How long each part took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Times {
    /// Reading the schema and copying the rows.
    pub copy: Duration,
    /// Building the candidates.
    pub build: Duration,
    /// Choosing by the planner's estimates, for [`super::Goal::Total`].
    pub draft: Duration,
    /// Choosing among them, executions included.
    pub choose: Duration,
    /// All of it.
    pub all: Duration,
}

/// What one execution costs on average over the values tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Pages looked at; on SQLite hundreds of machine instructions.
    pub pages: f64,
    /// Pages that triggers looked at, those of foreign keys among them.
    pub trigger_pages: f64,
    /// Milliseconds.
    pub millis: f64,
}

/// A verdict on one statement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What it is called.
    pub name: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Without the advice; none if it was not executed, or given up because it took too long.
    pub before: Option<Figures>,
    /// With it.
    pub after: Option<Figures>,
    /// How many choices of values it was tried with.
    pub values: usize,
}

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "reason")]
pub enum Verdict {
    /// The advice makes it cheaper.
    Improved,
    /// It needs no help.
    AlreadyGood,
    /// It cannot be helped, or not be tried, for this reason.
    Cannot(String),
}

/// An index to build.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdvisedIndex {
    /// Its name.
    pub name: String,
    /// The table.
    pub table: String,
    /// `table (columns) ...`
    pub definition: String,
    /// The statement that builds it.
    pub ddl: String,
    /// The migration: builds it while others write.
    pub up: String,
    /// The migration taken back.
    pub down: String,
    /// Its size, as that in the copy lets expect it.
    pub bytes: u64,
    /// The statements that are dearer without this index alone.
    pub buys: Vec<Bought>,
    /// What each new row of the table costs more.
    pub insert: Option<RowPrice>,
    /// What each row costs more whose indexed columns are set.
    pub update: Option<RowPrice>,
    /// What each row costs more that goes.
    pub delete: Option<RowPrice>,
}

/// What writing one row costs more with an index than without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RowPrice {
    /// Pages looked at; on SQLite hundreds of machine instructions.
    pub pages: f64,
    /// Microseconds, the quickest of several measurements.
    pub micros: f64,
}

/// A statement that an index serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bought {
    /// Which.
    pub statement: String,
    /// Without this index, all others being there.
    pub without: Figures,
    /// With it.
    pub with: Figures,
}

impl From<Run> for Figures {
    fn from(run: Run) -> Self {
        Self {
            pages: run.pages,
            trigger_pages: run.trigger_pages,
            millis: run.millis,
        }
    }
}

pub(crate) fn advice<G>(
    proved: &Proved,
    prices: &Prices,
    trials: &Trials<G>,
    dialect: Dialect,
    workload: &[Asked],
    read: &[Result<Facts, String>],
    schema: &Schema,
) -> Advice {
    // Names of those that were tried, in the order of the trials.
    let names: Vec<&str> = workload
        .iter()
        .zip(read)
        .filter(|(_, facts)| facts.is_ok())
        .map(|(asked, _)| asked.name.as_str())
        .collect();
    let mut place = 0;
    let mut statements = Vec::with_capacity(workload.len());
    for (asked, facts) in workload.iter().zip(read) {
        statements.push(match facts {
            Ok(_) => {
                place += 1;
                judged(asked, proved, trials, schema, dialect, place - 1)
            }
            Err(reason) => Judged {
                name: asked.name.clone(),
                verdict: Verdict::Cannot(reason.clone()),
                before: None,
                after: None,
                values: 0,
            },
        });
    }
    let indexes = proved.chosen.iter();
    Advice {
        dialect,
        statements,
        indexes: indexes
            .map(|index| advised(*index, proved, prices, trials, dialect, &names))
            .collect(),
        needless: Vec::new(),
        rewrites: Vec::new(),
        tried: trials.built.len(),
        refused: proved
            .refused
            .iter()
            .map(|(index, (statement, without, with))| Refused {
                index: trials.built[*index].candidate.body(dialect),
                statement: names
                    .get(*statement)
                    .copied()
                    .unwrap_or_default()
                    .to_owned(),
                without: without.run().map(Figures::from),
                with: with.run().map(Figures::from),
            })
            .collect(),
        estimated: None,
        executed: trials.executed,
        times: Times::default(),
    }
}

fn judged<G>(
    asked: &Asked,
    proved: &Proved,
    trials: &Trials<G>,
    schema: &Schema,
    dialect: Dialect,
    place: usize,
) -> Judged {
    let (before, after) = (&proved.before[place], &proved.after[place]);
    let tables = trials.statements[place].facts.tables();
    let has_rows = |name: &&str| {
        schema
            .table(name)
            .is_some_and(|table| table.rows != Some(0))
    };
    let writes = trials.statements[place].facts.write.is_some();
    let verdict = match (before, after) {
        (Cost::Failed(reason), _) | (_, Cost::Failed(reason)) => Verdict::Cannot(reason.clone()),
        (Cost::TookTooLong, Cost::TookTooLong) => Verdict::Cannot(format!(
            "it takes too long, and with each of the {} indexes tried as well",
            trials.built.len()
        )),
        _ if !tables.is_empty() && !tables.iter().any(has_rows) => {
            Verdict::Cannot("its tables hold no rows to try it on".to_owned())
        }
        _ if dialect == Dialect::Postgres && finds_nothing(before, &trials.statements[place].facts) => Verdict::Cannot(
            "no values could be chosen with which it reads anything".to_owned(),
        ),
        _ if is_improved(before, after, &trials.statements[place].facts) => Verdict::Improved,
        _ if is_cheap(after) => Verdict::AlreadyGood,
        _ if dialect != Dialect::Postgres && looks_inside(&trials.statements[place].facts) => {
            Verdict::Cannot(
                "a pattern that may begin anywhere needs a full-text table: see its rewrite, if it has one"
                    .to_owned(),
            )
        }
        _ if writes && after.pages() > before.pages() => Verdict::Cannot(
            "it keeps up the indexes that serve the other statements, and costs more for that"
                .to_owned(),
        ),
        _ => Verdict::Cannot(format!(
            "none of the {} indexes tried makes it cheaper",
            trials.built.len()
        )),
    };
    Judged {
        name: asked.name.clone(),
        verdict,
        before: before.run().map(Figures::from),
        after: after.run().map(Figures::from),
        values: trials.values(place),
    }
}

/// Whether a statement that reads tables looked at not one page: then its values make its condition
/// false before anything is read, and its cost says nothing. SQLite counts too coarsely to tell.
fn finds_nothing(before: &Cost, facts: &Facts) -> bool {
    let searches = facts.write.is_none() && !facts.searches.is_empty();
    searches && before.pages() == 0.0
}

/// Whether it searches for a text in the middle of a column.
fn looks_inside(facts: &Facts) -> bool {
    facts
        .searches
        .iter()
        .any(|search| !search.contains.is_empty())
}

/// Fewer pages, or the pages it looks at are quicker to look at. A write has other pages with every
/// set of indexes, so that its time is measured anew each time and says little.
fn is_improved(before: &Cost, after: &Cost, facts: &Facts) -> bool {
    let millis = |cost: &Cost| cost.run().map_or(0.0, |run| run.millis);
    let quicker = facts.write.is_none()
        && millis(before) - millis(after) > NOTICEABLE_MILLIS
        && millis(after) < millis(before) * QUICKER;
    after.pages() < before.pages() * IMPROVED || quicker
}

fn advised<G>(
    index: usize,
    proved: &Proved,
    prices: &Prices,
    trials: &Trials<G>,
    dialect: Dialect,
    names: &[&str],
) -> AdvisedIndex {
    let built = &trials.built[index];
    let candidate = &built.candidate;
    let bought = proved.without.get(&index).into_iter().flatten();
    let buys = bought.filter_map(|(statement, cost)| {
        Some(Bought {
            statement: (*names.get(*statement)?).to_owned(),
            without: cost.run()?.into(),
            with: proved.after[*statement].run()?.into(),
        })
    });
    let price = prices.get(&index).filter(|(all, _)| all.rows > 0);
    AdvisedIndex {
        name: candidate.name(),
        table: candidate.table.clone(),
        definition: candidate.body(dialect),
        ddl: candidate.ddl(dialect),
        up: candidate.migration(dialect),
        down: candidate.undo(dialect),
        bytes: built.bytes,
        buys: buys.collect(),
        insert: price.map(|(all, less)| more(all.rows, all.insert, less.insert)),
        update: price.and_then(|(all, less)| Some(more(all.rows, all.update?, less.update?))),
        delete: price.map(|(all, less)| more(all.rows, all.delete, less.delete)),
    }
}

/// What each of the rows costs more with something than without.
pub(crate) fn more(rows: u64, with: Effort, without: Effort) -> RowPrice {
    let rows = rows as f64;
    RowPrice {
        pages: (with.pages - without.pages).max(0.0) / rows,
        micros: (with.millis - without.millis).max(0.0) * 1000.0 / rows,
    }
}
