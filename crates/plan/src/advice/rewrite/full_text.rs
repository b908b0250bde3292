//! A full-text table (FTS5, trigrams) in place of a pattern that may begin anywhere: SQLite has no
//! index for those.

use std::collections::{BTreeMap, BTreeSet};

use speedwell_sql::Dialect;
use sqlparser::ast::{BinaryOperator as Op, Expr};

use super::{
    Draft, Field, Measured, RewriteKind, Unfit, judged,
    query::{Plain, expr},
    rows, run, sum, with_values,
};
use crate::{
    Table,
    advice::{candidate::quoted, facts::Facts, ground::Ground, sample::PICKS},
};

/// The query with its patterns looked up in full-text tables, and what makes these and keeps them
/// up to date.
pub(super) fn draft(
    statement: usize,
    query: &Plain,
    facts: &Facts,
    field: &Field<'_>,
) -> Option<Draft> {
    if field.dialect == Dialect::Postgres {
        return None;
    }
    let mut search = Looking {
        query,
        facts,
        tables: BTreeMap::new(),
    };
    let mut selection = query.select()?.selection.clone()?;
    search.columns(&selection);
    if search.tables.is_empty() {
        return None;
    }
    search.replace(&mut selection);
    let mut rewritten = query.clone();
    rewritten.select_mut()?.selection = Some(selection);
    let (mut prepare, mut undo) = (Vec::new(), Vec::new());
    for (table, columns) in &search.tables {
        let is_there = field.schema.table(&name(table, columns)).is_some();
        if let Some(table) = field.schema.table(table).filter(|_| !is_there) {
            prepare.extend(made(table, columns));
            undo.extend(unmade(table, columns));
        }
    }
    Some(Draft {
        statement,
        kind: RewriteKind::FullText,
        sql: rewritten.query.to_string(),
        prepare,
        undo,
    })
}

/// The patterns of a condition that full-text tables can answer.
struct Looking<'l> {
    query: &'l Plain,
    facts: &'l Facts,
    /// Columns by their tables.
    tables: BTreeMap<String, BTreeSet<String>>,
}

impl Looking<'_> {
    /// Collects the columns. Only what is AND-ed and OR-ed is looked through: a row for which the
    /// comparison is unknown and one for which it is false are the same there.
    fn columns(&mut self, condition: &Expr) {
        match condition {
            Expr::Nested(inner) => self.columns(inner),
            Expr::BinaryOp {
                left,
                op: Op::And | Op::Or,
                right,
            } => {
                self.columns(left);
                self.columns(right);
            }
            other => {
                if let Some((_, table, column)) = self.pattern(other) {
                    self.tables.entry(table).or_default().insert(column);
                }
            }
        }
    }

    fn replace(&self, condition: &mut Expr) {
        match condition {
            Expr::Nested(inner) => self.replace(inner),
            Expr::BinaryOp {
                left,
                op: Op::And | Op::Or,
                right,
            } => {
                self.replace(left);
                self.replace(right);
            }
            other => {
                if let Some(by) = self.looked_up(other) {
                    *other = by;
                }
            }
        }
    }

    /// `id IN (SELECT rowid FROM … WHERE column LIKE …)`.
    fn looked_up(&self, like: &Expr) -> Option<Expr> {
        let (binding, table, column) = self.pattern(like)?;
        let Expr::Like { pattern, .. } = like else {
            return None;
        };
        let key = self.query.table(binding)?.primary_key.first()?;
        let name = name(&table, self.tables.get(&table)?);
        let text = format!(
            "{} IN (SELECT rowid FROM {} WHERE {} LIKE {pattern})",
            self.query.written(binding, key),
            quoted(&name),
            quoted(&column)
        );
        expr(&text, Dialect::Sqlite)
    }

    /// The table and column of `column LIKE '%…'`, if the rows of the table keep their numbers.
    fn pattern(&self, condition: &Expr) -> Option<(usize, String, String)> {
        let Expr::Like {
            negated: false,
            any: false,
            expr,
            escape_char: None,
            ..
        } = condition
        else {
            return None;
        };
        let found = self.query.column(expr)?;
        let table = self.query.table(found.binding)?;
        let mut searches = self.facts.searches.iter();
        let inside = searches
            .any(|search| search.table == table.name && search.contains.contains(&found.name));
        (inside && is_numbered(table)).then(|| (found.binding, table.name.clone(), found.name))
    }
}

/// Whether the primary key is the row's number, which nothing changes.
fn is_numbered(table: &Table) -> bool {
    let [key] = table.primary_key.as_slice() else {
        return false;
    };
    let mut columns = table.columns.iter();
    let is_integer =
        columns.any(|column| column.name == *key && column.kind.eq_ignore_ascii_case("INTEGER"));
    is_integer && !table.without_rowid && !table.virtual_table
}

fn name(table: &str, columns: &BTreeSet<String>) -> String {
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    format!("{table}_{}_fts", columns.join("_"))
}

/// The statements that make the full-text table of these columns, fill it, and keep it up to date.
fn made(table: &Table, columns: &BTreeSet<String>) -> Vec<String> {
    let name = name(&table.name, columns);
    let (own, fts) = (quoted(&table.name), quoted(&name));
    let key = table.primary_key.first().cloned().unwrap_or_default();
    let list = |before: &str| {
        let columns = columns.iter();
        let columns = columns.map(|column| format!("{before}{}", quoted(column)));
        columns.collect::<Vec<_>>().join(", ")
    };
    let text = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let (names, new, old) = (list(""), list("new."), list("old."));
    let key_name = quoted(&key);
    let put = format!("INSERT INTO {fts} (rowid, {names}) VALUES (new.{key_name}, {new})");
    let take = format!(
        "INSERT INTO {fts} ({fts}, rowid, {names}) VALUES ('delete', old.{key_name}, {old})"
    );
    let trigger = |what: &str, does: &str| {
        let event = what.split(' ').next().unwrap_or_default();
        let trigger = quoted(&trigger(&name, event));
        format!("CREATE TRIGGER {trigger} AFTER {what} ON {own} BEGIN {does}; END")
    };
    vec![
        format!(
            "CREATE VIRTUAL TABLE {fts} USING fts5({names}, content={}, content_rowid={}, tokenize='trigram')",
            text(&table.name),
            text(&key)
        ),
        format!("INSERT INTO {fts} ({fts}) VALUES ('rebuild')"),
        trigger("INSERT", &put),
        trigger("DELETE", &take),
        trigger(
            &format!("UPDATE OF {key_name}, {names}"),
            &format!("{take}; {put}"),
        ),
    ]
}

/// The statements that take it back.
fn unmade(table: &Table, columns: &BTreeSet<String>) -> Vec<String> {
    let name = name(&table.name, columns);
    let triggers = ["INSERT", "DELETE", "UPDATE"].map(|event| trigger(&name, event));
    let triggers = triggers.iter().map(|name| quoted(name));
    let mut statements: Vec<String> = triggers
        .map(|trigger| format!("DROP TRIGGER IF EXISTS {trigger}"))
        .collect();
    statements.push(format!("DROP TABLE IF EXISTS {}", quoted(&name)));
    statements
}

/// The first table whose texts are searched, and these columns: what writing to it costs is asked.
fn written(facts: &Facts) -> Option<(String, Vec<String>)> {
    let mut searches = facts.searches.iter();
    let search = searches.find(|search| !search.contains.is_empty())?;
    let columns = search.contains.iter().cloned().collect();
    Some((search.table.clone(), columns))
}

/// The trigger that follows an event of the table.
fn trigger(name: &str, event: &str) -> String {
    format!("{name}_{}", event.to_lowercase())
}

/// Makes the tables and executes both ways for every choice of values. Rows are compared without
/// the limit: which ones of those that are equal in the order come first is nobody's promise.
pub(super) async fn measure<G: Ground>(
    draft: &Draft,
    query: &Plain,
    facts: &Facts,
    field: &Field<'_>,
    ground: &mut G,
) -> Result<Measured, Unfit> {
    let written = written(facts);
    let mut price = None;
    if !draft.prepare.is_empty()
        && let Some((table, columns)) = &written
    {
        price = ground.write(table, columns).await?;
    }
    ground.prepare(&draft.prepare).await?.map_err(Unfit::No)?;
    let price = match (price, &written) {
        (Some(without), Some((table, columns))) => {
            let with = ground.write(table, columns).await?;
            with.map(|with| (with, without))
        }
        _ => None,
    };
    let rewritten =
        Plain::read(&draft.sql, field.dialect, field.schema).ok_or("it cannot be read again")?;
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for pick in PICKS {
        let fill = |text: &str| with_values(field, text, facts, pick, &BTreeMap::new());
        let whole = |query: &Plain| fill(&query.with_page(None, None).to_string());
        let mut old = rows(ground, &whole(query)).await?;
        let mut new = rows(ground, &whole(&rewritten)).await?;
        old.sort_unstable();
        new.sort_unstable();
        if old != new {
            return Err("its rows are others".into());
        }
        before.push(run(ground, &fill(&query.query.to_string())).await?);
        after.push(run(ground, &fill(&draft.sql)).await?);
    }
    let (before, after) = (sum(&before), sum(&after));
    let slower = after.millis > before.millis;
    let measured = Measured {
        price,
        before,
        after,
        statements: 1,
        tried_on: format!("{} choices of values", PICKS.len()),
    };
    match slower {
        // What the full-text table does inside is not all counted.
        true => Err(Unfit::NotCheaper(Box::new(measured))),
        false => judged(measured),
    }
}
