//! Rewrites of statements, tried like indexes: the rows compared, the pages counted.

mod batch;
mod columns;
mod full_text;
mod keyset;
mod no_count;
mod query;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use speedwell_sql::Dialect;

use self::query::Plain;
use super::{
    error::AdviceError,
    facts::Facts,
    ground::{Ground, Run, Stopped, WritePrice},
    outcome::{Figures, RowPrice, more},
    prove::Proved,
    sample::{Pick, Samples},
    trial::Trials,
};
use crate::Schema;

/// Share of the pages that a rewrite must leave, at most.
const CHEAPER: f64 = 0.9;
/// Pages that a statement less is worth: the way to the database and back takes as long as looking
/// at so many that are in memory, and longer over a network.
const WAY_AND_BACK: f64 = 10.0;

/// A statement written otherwise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rewrite {
    /// The statement's name.
    pub statement: String,
    /// How it is written otherwise.
    pub kind: RewriteKind,
    /// The new statement.
    pub sql: String,
    /// What must be executed once before it can be used, in this order.
    pub prepare: Vec<String>,
    /// What takes that back, in this order.
    pub undo: Vec<String>,
    /// What each new row costs more once it is prepared, where that is known.
    pub insert: Option<RowPrice>,
    /// What each row costs more whose columns are set that it searches.
    pub update: Option<RowPrice>,
    /// What each row costs more that goes.
    pub delete: Option<RowPrice>,
    /// What came of the trial.
    pub outcome: RewriteOutcome,
    /// What it was tried on, in words.
    pub tried_on: String,
    /// The old way, all of its statements together.
    pub before: Option<Figures>,
    /// The new one.
    pub after: Option<Figures>,
    /// Statements of the old way; the new one has one.
    pub statements: u64,
}

/// How a statement is written otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewriteKind {
    /// One statement for a list of values in place of one for each.
    Batch,
    /// A page that begins behind the last row of the page before, in place of an `OFFSET`.
    Keyset,
    /// The page with a limit one higher, in place of a count of all rows.
    NoCount,
    /// Named columns without those that hold most of the bytes, in place of `*`.
    Columns,
    /// A search in a full-text table, in place of a pattern that may begin anywhere (SQLite).
    FullText,
}

/// What came of the trial of a rewrite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "reason")]
pub enum RewriteOutcome {
    /// The same rows for less.
    Proved,
    /// The same rows, and not for less.
    NotCheaper,
    /// It cannot be used, for this reason.
    Cannot(String),
}

/// What a rewrite is made of.
pub(super) struct Draft {
    pub(super) statement: usize,
    pub(super) kind: RewriteKind,
    /// The new statement, with placeholders.
    pub(super) sql: String,
    /// What must be there for it.
    pub(super) prepare: Vec<String>,
    /// What takes that back.
    pub(super) undo: Vec<String>,
}

impl Draft {
    /// One that could not be written.
    fn none(statement: usize, kind: RewriteKind) -> Self {
        Self {
            statement,
            kind,
            sql: String::new(),
            prepare: Vec::new(),
            undo: Vec::new(),
        }
    }
}

/// A measured rewrite.
pub(super) struct Measured {
    pub(super) before: Run,
    pub(super) after: Run,
    pub(super) statements: u64,
    pub(super) tried_on: String,
    /// The price of writing to the table with what must be prepared, and without it.
    pub(super) price: Option<(WritePrice, WritePrice)>,
}

/// Where rewrites are tried.
pub(super) struct Field<'f> {
    pub(super) dialect: Dialect,
    pub(super) schema: &'f Schema,
    pub(super) samples: &'f Samples,
}

/// Why a rewrite is not tried, or came to nothing; an error of the scratch copy ends everything.
pub(super) enum Unfit {
    No(String),
    NotCheaper(Box<Measured>),
    Broken(AdviceError),
}

impl From<AdviceError> for Unfit {
    fn from(error: AdviceError) -> Self {
        Self::Broken(error)
    }
}

impl From<&str> for Unfit {
    fn from(reason: &str) -> Self {
        Self::No(reason.to_owned())
    }
}

/// Tries every rewrite that the workload's structure offers, with the chosen indexes in place.
/// `names` and `repeated` are those of the trials' statements.
pub(crate) async fn rewrites<G: Ground>(
    trials: &mut Trials<G>,
    proved: &Proved,
    field: &Field<'_>,
    names: &[&str],
    repeated: &[u64],
) -> Result<Vec<Rewrite>, AdviceError> {
    let plain: Vec<Option<Plain>> = trials
        .statements
        .iter()
        .map(|tried| Plain::read(&tried.facts.text, field.dialect, field.schema))
        .collect();
    let mut found = Vec::new();
    let everything: Vec<usize> = (0..trials.statements.len()).collect();
    let hidden = trials.hidden(&everything, &proved.chosen);
    trials.ground.enter(&hidden, false).await?;
    for place in everything {
        let times = repeated.get(place).copied().unwrap_or(1);
        for (draft, result) in tries(trials, place, times, &plain, field).await {
            found.push(rewrite(draft, result, names)?);
        }
    }
    trials.ground.leave().await?;
    found.extend(full_text(trials, &hidden, &plain, field, names).await?);
    Ok(found)
}

/// Those that need a table of their own, which is made on the copy and is gone after the trial.
async fn full_text<G: Ground>(
    trials: &mut Trials<G>,
    hidden: &[String],
    plain: &[Option<Plain>],
    field: &Field<'_>,
    names: &[&str],
) -> Result<Vec<Rewrite>, AdviceError> {
    let mut found = Vec::new();
    for (place, query) in plain.iter().enumerate() {
        let facts = trials.statements[place].facts.clone();
        let Some(query) = query else { continue };
        let Some(draft) = full_text::draft(place, query, &facts, field) else {
            continue;
        };
        trials.ground.enter_for_writing(hidden).await?;
        let ground = &mut trials.ground;
        let result = full_text::measure(&draft, query, &facts, field, ground).await;
        trials.ground.leave().await?;
        found.push(rewrite(draft, result, names)?);
    }
    Ok(found)
}

/// Every rewrite of one statement, measured.
async fn tries<G: Ground>(
    trials: &mut Trials<G>,
    place: usize,
    times: u64,
    plain: &[Option<Plain>],
    field: &Field<'_>,
) -> Vec<(Draft, Result<Measured, Unfit>)> {
    let mut tried = Vec::new();
    let Some(query) = &plain[place] else {
        return tried;
    };
    let facts = trials.statements[place].facts.clone();
    if times > 1
        && let Some(draft) = batch::draft(place, query, &facts, field)
    {
        let ground = &mut trials.ground;
        let result = batch::measure(&draft, query, &facts, field, times, ground).await;
        tried.push((draft, result));
    }
    if query.has_offset() {
        tried.push(match keyset::draft(place, query, field) {
            Ok((draft, keys)) => {
                let ground = &mut trials.ground;
                let result = keyset::measure(query, &keys, &facts, field, ground).await;
                (draft, result)
            }
            Err(reason) => (
                Draft::none(place, RewriteKind::Keyset),
                Err(Unfit::No(reason)),
            ),
        });
    }
    if let Some((draft, outputs)) = columns::draft(place, query, field) {
        let ground = &mut trials.ground;
        let result = columns::measure(&draft, &outputs, query, &facts, field, ground).await;
        tried.push((draft, result));
    }
    if let Some((page, draft)) = no_count::draft(place, query, plain, field)
        && let Some(paged) = &plain[page]
    {
        let page_facts = trials.statements[page].facts.clone();
        let ground = &mut trials.ground;
        let result = no_count::measure((query, &facts), (paged, &page_facts), field, ground).await;
        tried.push((draft, result));
    }
    tried
}

fn rewrite(
    draft: Draft,
    result: Result<Measured, Unfit>,
    names: &[&str],
) -> Result<Rewrite, AdviceError> {
    let (outcome, measured) = match result {
        Ok(measured) => (RewriteOutcome::Proved, Some(measured)),
        Err(Unfit::NotCheaper(measured)) => (RewriteOutcome::NotCheaper, Some(*measured)),
        Err(Unfit::No(reason)) => (RewriteOutcome::Cannot(reason), None),
        Err(Unfit::Broken(error)) => return Err(error),
    };
    let figures = |run: Run| Figures::from(run);
    let price = measured.as_ref().and_then(|each| each.price);
    let price = price.filter(|(with, _)| with.rows > 0);
    Ok(Rewrite {
        statement: names
            .get(draft.statement)
            .copied()
            .unwrap_or_default()
            .to_owned(),
        kind: draft.kind,
        sql: draft.sql,
        prepare: draft.prepare,
        undo: draft.undo,
        insert: price.map(|(with, without)| more(with.rows, with.insert, without.insert)),
        update: price
            .and_then(|(with, without)| Some(more(with.rows, with.update?, without.update?))),
        delete: price.map(|(with, without)| more(with.rows, with.delete, without.delete)),
        outcome,
        before: measured.as_ref().map(|each| figures(each.before)),
        after: measured.as_ref().map(|each| figures(each.after)),
        statements: measured.as_ref().map_or(1, |each| each.statements),
        tried_on: measured.map(|each| each.tried_on).unwrap_or_default(),
    })
}

/// A rewrite that saves a share of the pages, or statements for hardly more.
fn judged(measured: Measured) -> Result<Measured, Unfit> {
    let (before, after) = (total(&measured.before), total(&measured.after));
    let ways = measured.statements.saturating_sub(1) as f64 * WAY_AND_BACK;
    match after <= before * CHEAPER || ways > 0.0 && after <= before + ways {
        true => Ok(measured),
        false => Err(Unfit::NotCheaper(Box::new(measured))),
    }
}

fn total(run: &Run) -> f64 {
    run.pages + run.trigger_pages
}

fn sum(runs: &[Run]) -> Run {
    runs.iter().fold(Run::default(), |all, run| Run {
        pages: all.pages + run.pages,
        trigger_pages: all.trigger_pages + run.trigger_pages,
        millis: all.millis + run.millis,
        rows: all.rows + run.rows,
        sorts: all.sorts + run.sorts,
        reads_all: all.reads_all || run.reads_all,
    })
}

/// Executes a statement; what the database does not take makes the rewrite unfit.
async fn run<G: Ground>(ground: &mut G, statement: &str) -> Result<Run, Unfit> {
    ground
        .run(statement)
        .await?
        .map_err(|stopped| match stopped {
            Stopped::Refused(reason) => Unfit::No(reason),
            Stopped::TookTooLong => "it takes too long".into(),
        })
}

async fn rows<G: Ground>(
    ground: &mut G,
    statement: &str,
) -> Result<Vec<Vec<Option<String>>>, Unfit> {
    ground.rows(statement).await?.map_err(Unfit::No)
}

/// The statement with values of one choice, some of them given.
fn with_values(
    field: &Field<'_>,
    text: &str,
    facts: &Facts,
    pick: Pick,
    given: &BTreeMap<usize, String>,
) -> String {
    field
        .samples
        .text(text, facts, pick, given, field.dialect, field.schema)
}
