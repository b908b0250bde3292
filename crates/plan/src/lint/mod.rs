//! What is wrong with a plan. Each rule is one type: how it finds the fault, and the sentence
//! that says what it found.

mod access;
mod automatic_index;
mod cast_on_column;
mod discarding_filter;
mod full_scan;
mod reach;
mod unbounded_sort;
mod unused_index;

use serde::Serialize;
use speedwell_sql::{Dialect, Operand, Shape, Structure};

use crate::{
    IndexSuggestion, Label, Plan, Sampled, Schema, Table,
    suggest::{is_served, suggest},
};

pub(crate) use full_scan::SMALL_ROWS;
pub use unused_index::unused_indexes;

/// What kind of fault a plan has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LintKind {
    /// A growing table is read from end to end to find some of its rows.
    FullScan,
    /// A set without bound is sorted.
    UnboundedSort,
    /// The database builds an index for one statement and throws it away.
    AutomaticIndex,
    /// A declared index that no plan uses.
    UnusedIndex,
    /// A column is cast before it is compared, so that no index on it helps.
    CastOnColumn,
    /// An index finds many rows of which a filter throws nearly all away.
    DiscardingFilter,
}

/// How sure a lint is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// The plan allows it; the data decide.
    Possible,
    /// The plan says so.
    Likely,
}

/// A fault of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// What kind of fault.
    pub kind: LintKind,
    /// The table concerned.
    pub table: String,
    /// The index concerned, if there is one.
    pub index: Option<String>,
    /// How sure.
    pub certainty: Certainty,
    /// One sentence: what is wrong.
    pub summary: String,
    /// What the plan and the schema say, a sentence each.
    pub evidence: Vec<String>,
    /// An index that should mend it.
    pub suggestion: Option<IndexSuggestion>,
}

/// What the rules look at.
pub struct LintContext<'a> {
    /// The plan of the statement, nothing bound.
    pub plan: &'a Plan,
    /// Its plans with values from the database, as far as there are any.
    pub sampled: &'a [Sampled],
    /// What the statement does.
    pub shape: &'a Shape,
    /// Its predicates and order, if it could be parsed.
    pub structure: Option<&'a Structure>,
    /// The database.
    pub schema: &'a Schema,
    /// Whether a table grows with the service. The size of any other table does not matter.
    pub growing: &'a dyn Fn(&str) -> bool,
}

/// What is wrong with one statement, in the order full scan, sort, automatic index, cast, filter;
/// within one kind in the order of the plan.
///
/// If there are plans with values, a fault of the plan without them is no more than possible if
/// none of them shows it, and a fault that only they show is added.
pub fn lint(context: &LintContext<'_>) -> Vec<Lint> {
    let mut lints = of_plan(context);
    if context.sampled.is_empty() {
        return lints;
    }
    let sampled: Vec<(Label, Vec<Lint>)> = context
        .sampled
        .iter()
        .map(|sampled| {
            let of_values = LintContext {
                plan: &sampled.plan,
                ..*context
            };
            (sampled.label, of_plan(&of_values))
        })
        .collect();
    for lint in &mut lints {
        weigh(lint, &sampled);
    }
    for (_, with_values) in &sampled {
        for lint in with_values {
            if lints.iter().all(|known| !is_same(known, lint)) {
                let mut lint = lint.clone();
                weigh(&mut lint, &sampled);
                lints.push(lint);
            }
        }
    }
    lints.sort_by_key(|lint| lint.kind);
    lints
}

/// Holds a fault against the plans with values.
fn weigh(lint: &mut Lint, sampled: &[(Label, Vec<Lint>)]) {
    let shows = |lints: &Vec<Lint>| lints.iter().any(|other| is_same(other, lint));
    let (with, without): (Vec<_>, Vec<_>) = sampled.iter().partition(|(_, lints)| shows(lints));
    let names = |labels: &[&(Label, Vec<Lint>)]| {
        let names: Vec<String> = labels.iter().map(|(label, _)| label.to_string()).collect();
        names.join(", ")
    };
    match (with.as_slice(), without.as_slice()) {
        ([], _) => {
            lint.certainty = Certainty::Possible;
            lint.evidence.push(
                "Generic plan only: with values from the database the planner does otherwise."
                    .to_owned(),
            );
        }
        (_, []) => {}
        (with, without) => {
            let is_likely =
                |other: &Lint| is_same(other, lint) && other.certainty == Certainty::Likely;
            let likely = with
                .iter()
                .filter(|(_, lints)| lints.iter().any(is_likely))
                .count();
            // Where the planner does otherwise for as many values, it may well be right for these.
            lint.certainty = match 2 * likely > sampled.len() {
                true => Certainty::Likely,
                false => Certainty::Possible,
            };
            lint.evidence.push(format!(
                "With values from the database the planner does so for some ({}) and not for others ({}).",
                names(with),
                names(without)
            ));
        }
    }
}

fn is_same(a: &Lint, b: &Lint) -> bool {
    (a.kind, &a.table) == (b.kind, &b.table)
}

fn of_plan(context: &LintContext<'_>) -> Vec<Lint> {
    let mut lints = Vec::new();
    lints.extend(run::<full_scan::FullScan>(context));
    lints.extend(run::<unbounded_sort::UnboundedSort>(context));
    lints.extend(run::<automatic_index::AutomaticIndex>(context));
    lints.extend(run::<cast_on_column::CastOnColumn>(context));
    lints.extend(run::<discarding_filter::DiscardingFilter>(context));
    lints
}

/// One rule.
trait Fault: Sized {
    const KIND: LintKind;
    /// All places of the plan where the fault is.
    fn check(context: &LintContext<'_>) -> Vec<Self>;
    fn table(&self) -> &str;
    fn index(&self) -> Option<&str> {
        None
    }
    fn certainty(&self) -> Certainty;
    /// One sentence.
    fn sentence(&self) -> String;
    /// The database's words for the step concerned.
    fn detail(&self) -> &str;
}

fn run<F: Fault>(context: &LintContext<'_>) -> Vec<Lint> {
    let mut lints: Vec<Lint> = Vec::new();
    for fault in F::check(context) {
        let lint = context.lint(&fault);
        let same = |other: &Lint| other.table == lint.table && other.index == lint.index;
        match lints.iter_mut().find(|other| same(other)) {
            // The same fault of the same table twice in one statement is one fault.
            Some(other) if other.certainty < lint.certainty => *other = lint,
            Some(_) => {}
            None => lints.push(lint),
        }
    }
    lints
}

impl LintContext<'_> {
    fn grows(&self, table: &str) -> bool {
        (self.growing)(table)
    }

    /// Whether a `LIMIT` may stop a walk early. `outermost`: a walk of the outermost query, which
    /// the limit of a subquery in its select list does not stop.
    fn has_limit(&self, outermost: bool) -> bool {
        let inner = if outermost {
            self.shape.source_limit
        } else {
            self.shape.nested_limit
        };
        self.shape.limit.is_some() || inner
    }

    fn lint<F: Fault>(&self, fault: &F) -> Lint {
        let mut evidence = vec![format!("The plan says: {}.", fault.detail())];
        if let Some(table) = self.schema.table(fault.table()) {
            evidence.extend(
                table
                    .rows
                    .map(|rows| format!("Table {} holds {}.", table.name, rows_in_words(rows))),
            );
            evidence.extend(self.unmatched_partial_indexes(table));
        }
        Lint {
            kind: F::KIND,
            table: fault.table().to_owned(),
            index: fault.index().map(str::to_owned),
            certainty: fault.certainty(),
            summary: fault.sentence(),
            evidence,
            suggestion: self.suggestion(F::KIND, fault.table()),
        }
    }

    fn suggestion(&self, kind: LintKind, table: &str) -> Option<IndexSuggestion> {
        let structure = self.structure?;
        let suggestion = suggest(structure, table, self.schema)?;
        if self.plan.system != Dialect::Postgres {
            return Some(suggestion);
        }
        if is_served(structure, table, self.schema) {
            return None;
        }
        // An index that does not help with the order is no answer to a sort.
        let first = structure.order.first().filter(|first| {
            kind == LintKind::UnboundedSort && first.table.eq_ignore_ascii_case(table)
        });
        let orders = first.is_none_or(|first| {
            let mut columns = suggestion.columns.iter();
            columns.any(|(name, _)| name.eq_ignore_ascii_case(&first.column))
        });
        orders.then_some(suggestion)
    }

    /// Partial indexes that were meant for such a statement and do not match its text.
    fn unmatched_partial_indexes(&self, table: &Table) -> Vec<String> {
        let Some(structure) = self.structure else {
            return Vec::new();
        };
        let postgres = self.plan.system == Dialect::Postgres;
        let mentions = |condition: &str| {
            crate::statement::tokens(condition)
                .iter()
                .filter_map(|token| token.name())
                .any(|name| {
                    structure.predicates.iter().any(|predicate| {
                        predicate.table.eq_ignore_ascii_case(&table.name)
                            && predicate.column.eq_ignore_ascii_case(&name)
                            && (!postgres || predicate.operand == Operand::Placeholder)
                    })
                })
        };
        let used = |index: &str| {
            self.plan
                .walk()
                .any(|node| node.index.as_deref() == Some(index))
        };
        table
            .indexes
            .iter()
            .filter(|index| !used(&index.name))
            .filter_map(|index| Some((index, index.partial.as_ref()?)))
            .filter(|(_, condition)| mentions(condition))
            .map(|(index, condition)| match postgres {
                true => format!(
                    "Index {} holds only rows WHERE {condition}: a plan for any values cannot use \
                     it, because a parameter may have another one.",
                    index.name
                ),
                false => format!(
                    "Index {} holds only rows WHERE {condition}, and is used only by statements \
                     that say exactly that: a parameter or another way to write it does not match.",
                    index.name
                ),
            })
            .collect()
    }
}

/// `1 row`, `12,345 rows`.
fn rows_in_words(rows: u64) -> String {
    let digits = rows.to_string();
    let mut number = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            number.push(',');
        }
        number.push(digit);
    }
    format!("{number} {}", if rows == 1 { "row" } else { "rows" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_rows_are_easy_to_read() {
        for (rows, words) in [
            (0, "0 rows"),
            (1, "1 row"),
            (999, "999 rows"),
            (1_000, "1,000 rows"),
            (1_234_567, "1,234,567 rows"),
        ] {
            assert_eq!(rows_in_words(rows), words);
        }
    }
}
