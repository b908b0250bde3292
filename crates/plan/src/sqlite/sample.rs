//! Values of a SQLite database to plan statements with, where they can change a plan.

use std::collections::BTreeMap;

use speedwell_sql::{Comparison, Dialect};
use sqlx::{AssertSqlSafe, Row as _, TypeInfo as _, ValueRef as _, sqlite::SqliteRow};

use super::Sqlite;
use crate::{
    ExplainError, Label, Sampled, SampledValues,
    sampled::{LABELS, Slot, slots},
    statement,
};

/// Rows of a table that are looked at.
const LOOKED_AT: u32 = 10_000;
/// Rows of a page.
const PAGE: i64 = 20;
/// A text that nobody stores.
const NOWHERE: &str = "speedwell: no such value";

/// A value to bind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SqliteSample {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

impl Sqlite {
    /// SQLite's planner looks at values for `LIKE` and `GLOB`, and for everything if `ANALYZE`
    /// left samples in `sqlite_stat4`; of other statements there is one plan only.
    pub(crate) async fn explain_sampled(
        &mut self,
        sql: &str,
    ) -> Result<Vec<Sampled>, ExplainError> {
        let statement = statement::numbered(sql, Dialect::Sqlite)?;
        let slots = self.slots(&statement).await?;
        let pattern = |slot: &Slot| {
            matches!(
                slot,
                Slot::Column {
                    comparison: Comparison::Prefix,
                    ..
                }
            )
        };
        let column = |slot: &Slot| matches!(slot, Slot::Column { .. });
        let matters =
            slots.values().any(pattern) || slots.values().any(column) && self.has_samples().await?;
        if !matters {
            return Ok(Vec::new());
        }
        let mut sampled: Vec<Sampled> = Vec::new();
        for label in LABELS {
            let last = slots.keys().last().copied().unwrap_or(0);
            let mut values = Vec::with_capacity(last);
            for number in 1..=last {
                values.push(match slots.get(&number) {
                    Some(slot) => self.value(slot, label).await?,
                    None => SqliteSample::Null,
                });
            }
            let texts: Vec<String> = values.iter().map(SqliteSample::text).collect();
            if sampled.iter().any(|other| other.values.0 == texts) {
                continue;
            }
            sampled.push(Sampled {
                label,
                plan: self.plan(&statement, &values).await?,
                values: SampledValues(texts),
            });
        }
        Ok(sampled)
    }

    async fn slots(&mut self, statement: &str) -> Result<BTreeMap<usize, Slot>, ExplainError> {
        let mut columns = BTreeMap::new();
        for table in speedwell_sql::shape(statement, Dialect::Sqlite).tables {
            let rows = self.ask(super::COLUMNS, Some(&table.name)).await?;
            let names: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
            columns.insert(table.name, names);
        }
        let columns = |table: &str| columns.get(table).cloned().unwrap_or_default();
        Ok(slots(statement, Dialect::Sqlite, &columns))
    }

    async fn has_samples(&mut self) -> Result<bool, ExplainError> {
        let found = "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat4'";
        Ok(!self.ask(found, None).await?.is_empty())
    }

    async fn value(&mut self, slot: &Slot, label: Label) -> Result<SqliteSample, ExplainError> {
        let (table, column, comparison) = match slot {
            Slot::Limit => return Ok(SqliteSample::Integer(PAGE)),
            Slot::Offset => return Ok(SqliteSample::Integer(0)),
            Slot::Other => return Ok(SqliteSample::Null),
            Slot::Column {
                table,
                column,
                comparison,
                ..
            } => (table, column, *comparison),
        };
        let found = match label {
            Label::Absent => SqliteSample::Text(NOWHERE.to_owned()),
            Label::Hot => self.look(table, column, comparison, "DESC").await?,
            Label::Cold => self.look(table, column, comparison, "ASC").await?,
        };
        Ok(match (comparison, found) {
            (Comparison::Prefix, SqliteSample::Text(text)) => {
                let beginning: String = text.chars().take(3).filter(|c| *c != '%').collect();
                SqliteSample::Text(format!("{beginning}%"))
            }
            (_, found) => found,
        })
    }

    /// The most or the least frequent value of some rows; of a range the last or the first.
    async fn look(
        &mut self,
        table: &str,
        column: &str,
        comparison: Comparison,
        direction: &str,
    ) -> Result<SqliteSample, ExplainError> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let order = match comparison {
            Comparison::Range => format!("v {direction}"),
            _ => format!("COUNT(*) {direction}, v"),
        };
        let question = format!(
            "SELECT v
             FROM (SELECT {} AS v FROM {} LIMIT {LOOKED_AT})
             WHERE v IS NOT NULL
             GROUP BY v
             ORDER BY {order}
             LIMIT 1",
            quoted(column),
            quoted(table)
        );
        self.allow(super::COUNT_TIME);
        let row = sqlx::query(AssertSqlSafe(question))
            .persistent(false)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(|error| ExplainError::from_sqlx(error, &self.path));
        match row {
            Ok(row) => Ok(row.as_ref().map_or(SqliteSample::Null, SqliteSample::read)),
            Err(ExplainError::TimedOut | ExplainError::Refused(_)) => Ok(SqliteSample::Null),
            Err(error) => Err(error),
        }
    }
}

impl SqliteSample {
    fn read(row: &SqliteRow) -> Self {
        let kind = match row.try_get_raw(0) {
            Ok(value) if !value.is_null() => value.type_info().name().to_owned(),
            _ => return Self::Null,
        };
        match kind.as_str() {
            "INTEGER" => row.try_get_unchecked(0).map_or(Self::Null, Self::Integer),
            "REAL" => row.try_get_unchecked(0).map_or(Self::Null, Self::Real),
            _ => row.try_get_unchecked(0).map_or(Self::Null, Self::Text),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(value) => value.to_string(),
            Self::Real(value) => value.to_string(),
            Self::Text(value) => format!("'{}'", value.replace('\'', "''")),
        }
    }
}
