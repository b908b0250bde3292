//! Values of a PostgreSQL database to plan statements with. They stay in this process's memory.

use std::collections::BTreeMap;

use speedwell_sql::{Comparison, Dialect, shape};
use sqlx::{AssertSqlSafe, Executor as _, Row as _, postgres::PgRow};

use super::{CUSTOM, LOOK_TIME, Postgres, Prepared, refusal::refused};
use crate::{
    ExplainError, Label, Sampled, SampledValues,
    sampled::{LABELS, Slot, slots},
    statement,
};

/// Rows of a table that are looked at when the server knows nothing of its values.
const LOOKED_AT: u32 = 10_000;
/// Values of a list.
const LIST: usize = 20;
/// Rows of a page.
const PAGE: &str = "20";
/// A text that nobody stores.
const NOWHERE: &str = "speedwell: no such value";

/// Values of one column, as texts.
#[derive(Debug, Clone, Default)]
struct Values {
    /// Most frequent first.
    hot: Vec<String>,
    /// Rarest first, or any if all are alike.
    cold: Vec<String>,
    /// In the column's order.
    ordered: Vec<String>,
}

impl Postgres {
    pub(crate) async fn explain_sampled(
        &mut self,
        sql: &str,
    ) -> Result<Vec<Sampled>, ExplainError> {
        let statement = statement::numbered(sql, Dialect::Postgres)?;
        let columns = self.columns_of(&statement).await?;
        let columns = |table: &str| columns.get(table).cloned().unwrap_or_default();
        let slots = slots(&statement, Dialect::Postgres, &columns);
        if slots.values().all(|slot| *slot == Slot::Other) {
            return Ok(Vec::new());
        }
        let prepared = self.prepare(&statement).await?;
        let sampled = self.sampled(&prepared, &slots).await;
        self.forget(&prepared).await;
        sampled
    }

    async fn sampled(
        &mut self,
        prepared: &Prepared,
        slots: &BTreeMap<usize, Slot>,
    ) -> Result<Vec<Sampled>, ExplainError> {
        let mut values: BTreeMap<(&str, &str), Values> = BTreeMap::new();
        for slot in slots.values() {
            if let Slot::Column { table, column, .. } = slot
                && !values.contains_key(&(table.as_str(), column.as_str()))
            {
                let found = self.values(table, column).await?;
                values.insert((table, column), found);
            }
        }
        let mut sampled: Vec<Sampled> = Vec::new();
        for label in LABELS {
            let arguments: Vec<String> = (1..)
                .zip(&prepared.types)
                .map(|(number, kind)| match slots.get(&number) {
                    Some(Slot::Limit) => cast(PAGE, kind),
                    Some(Slot::Offset) => cast("0", kind),
                    Some(Slot::Column {
                        table,
                        column,
                        comparison,
                        position,
                    }) => {
                        let values = values.get(&(table.as_str(), column.as_str()));
                        let values = values.cloned().unwrap_or_default();
                        argument(&values, label, *comparison, *position, kind)
                    }
                    Some(Slot::Other) | None => fallback(kind),
                })
                .collect();
            // Without a column to take them from, values of all labels are the same.
            if sampled.iter().any(|other| other.values.0 == arguments) {
                continue;
            }
            match self.plan(prepared, CUSTOM, &arguments).await {
                Ok(plan) => sampled.push(Sampled {
                    label,
                    plan,
                    values: SampledValues(arguments),
                }),
                Err(ExplainError::Connection(error)) => {
                    return Err(ExplainError::Connection(error));
                }
                // A value that the statement does not take; what the server says may hold it.
                Err(_) => {}
            }
        }
        Ok(sampled)
    }

    /// Columns of the tables that the statement names.
    async fn columns_of(
        &mut self,
        statement: &str,
    ) -> Result<BTreeMap<String, Vec<String>>, ExplainError> {
        let tables = shape(statement, Dialect::Postgres).tables;
        let names: Vec<String> = tables.into_iter().map(|table| table.name).collect();
        let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut transaction = self.begin(LOOK_TIME).await?;
        let query = sqlx::query(COLUMNS).persistent(false).bind(names);
        for row in transaction.fetch_all(query).await.map_err(refused)? {
            let table: String = row.try_get(0).map_err(refused)?;
            let column = row.try_get(1).map_err(refused)?;
            columns.entry(table).or_default().push(column);
        }
        Ok(columns)
    }

    /// Values of a column: those that the server noted when it analyzed the table, else those of
    /// some rows. None if they cannot be had in time.
    async fn values(&mut self, table: &str, column: &str) -> Result<Values, ExplainError> {
        let mut transaction = self.begin(LOOK_TIME).await?;
        let query = sqlx::query(STATISTICS).persistent(false);
        let row = transaction
            .fetch_optional(query.bind(table.to_owned()).bind(column.to_owned()))
            .await
            .map_err(refused)?;
        drop(transaction);
        let Some(row) = row else {
            return Ok(Values::default());
        };
        let relation: String = row.try_get("relation").map_err(refused)?;
        let values = noted(&row).map_err(refused)?;
        match values.hot.is_empty() {
            true => self.look(&relation, column).await,
            false => Ok(values),
        }
    }

    async fn look(&mut self, relation: &str, column: &str) -> Result<Values, ExplainError> {
        let column = format!("\"{}\"", column.replace('"', "\"\""));
        let question = format!(
            "WITH look AS MATERIALIZED (
                 SELECT {column} AS v
                 FROM {relation}
                 LIMIT {LOOKED_AT}
             ), counted AS (
                 SELECT v, COUNT(*) AS n
                 FROM look
                 WHERE v IS NOT NULL
                 GROUP BY v
             )
             SELECT ARRAY(SELECT v::TEXT FROM counted ORDER BY n DESC, v LIMIT {LIST}) AS hot,
                    ARRAY(SELECT v::TEXT FROM counted ORDER BY n, v LIMIT {LIST}) AS cold,
                    (SELECT percentile_disc('{{0.1, 0.5, 0.9}}'::FLOAT8[])
                            WITHIN GROUP (ORDER BY v)
                     FROM counted)::TEXT[] AS ordered"
        );
        let mut transaction = self.begin(LOOK_TIME).await?;
        let found = transaction
            .fetch_one(sqlx::query(AssertSqlSafe(question)).persistent(false))
            .await
            .map_err(refused);
        match found {
            Ok(row) => Ok(Values {
                hot: row.try_get("hot").map_err(refused)?,
                cold: row.try_get("cold").map_err(refused)?,
                ordered: row
                    .try_get::<Option<Vec<String>>, _>("ordered")
                    .map_err(refused)?
                    .unwrap_or_default(),
            }),
            Err(ExplainError::Connection(error)) => Err(ExplainError::Connection(error)),
            // Too slow, not for this user, or a type without an order.
            Err(_) => Ok(Values::default()),
        }
    }
}

/// What the server noted of a column: frequent values, and bounds between which as many rows lie.
fn noted(row: &PgRow) -> Result<Values, sqlx::Error> {
    let list = |name: &str| -> Result<Vec<String>, sqlx::Error> {
        Ok(row
            .try_get::<Option<Vec<String>>, _>(name)?
            .unwrap_or_default())
    };
    let (common, bounds) = (list("common")?, list("bounds")?);
    let at = |share: usize| bounds.get(bounds.len() * share / 100).cloned();
    Ok(Values {
        // Where no value is more frequent than others, one is as good as another.
        hot: match common.is_empty() {
            false => common.clone(),
            true => bounds.iter().rev().skip(1).take(LIST).cloned().collect(),
        },
        cold: match bounds.is_empty() {
            false => bounds
                .iter()
                .skip(bounds.len() / 2)
                .take(LIST)
                .cloned()
                .collect(),
            true => common.into_iter().rev().collect(),
        },
        ordered: [10, 50, 90].into_iter().filter_map(at).collect(),
    })
}

/// A value of each type that rows hardly have; `None` for a type whose values are few.
fn absent(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "smallint" => "32761",
        "integer" => "2147483629",
        "bigint" => "9223372036854775783",
        "numeric" | "real" | "double precision" => "-987654321",
        "text" | "character varying" | "character" | "citext" | "name" => NOWHERE,
        "uuid" => "ffffffff-ffff-4fff-bfff-fffffffffff1",
        "date" => "1900-01-02",
        "timestamp without time zone" | "timestamp with time zone" => "1900-01-02 03:04:05+00",
        _ => return None,
    })
}

/// The argument for a placeholder of type `kind` that a column is compared with.
fn argument(
    values: &Values,
    label: Label,
    comparison: Comparison,
    position: usize,
    kind: &str,
) -> String {
    let lists = kind.ends_with("[]");
    if comparison == Comparison::Range && !lists {
        let bound = bound(values, label, position, kind);
        return bound.map_or_else(|| fallback(kind), |value| cast(value, kind));
    }
    let chosen: Vec<&str> = match (label, absent(kind.trim_end_matches("[]"))) {
        (Label::Hot, _) => values.hot.iter().map(String::as_str).collect(),
        (Label::Absent, Some(absent)) => vec![absent],
        (Label::Cold | Label::Absent, _) => values.cold.iter().map(String::as_str).collect(),
    };
    if chosen.is_empty() {
        return fallback(kind);
    }
    if lists {
        let items: Vec<String> = chosen.iter().take(LIST).map(|value| quote(value)).collect();
        return format!("ARRAY[{}]::{kind}", items.join(", "));
    }
    let value = chosen[position % chosen.len()];
    match comparison {
        Comparison::Prefix => cast(&prefix(value), kind),
        _ => cast(value, kind),
    }
}

/// The bound of a range: the recent end where many rows are, the early end, or beyond. Of a pair
/// of bounds the first is the lower one.
fn bound<'v>(values: &'v Values, label: Label, position: usize, kind: &str) -> Option<&'v str> {
    let at = match (label, position) {
        (Label::Hot, _) => 2,
        (Label::Cold, 0) => 0,
        (Label::Cold, _) => 1,
        (Label::Absent, _) => {
            return absent(kind).or(values.ordered.first().map(String::as_str));
        }
    };
    let ordered = values.ordered.get(at).or(values.ordered.last());
    let any = || match label {
        Label::Hot => values.hot.first(),
        _ => values.cold.first(),
    };
    ordered.or_else(any).map(String::as_str)
}

/// A pattern that begins as the value does.
fn prefix(value: &str) -> String {
    let beginning: String = value.chars().take(3).collect();
    let plain = beginning.replace('\\', "\\\\");
    format!("{}%", plain.replace('%', "\\%").replace('_', "\\_"))
}

/// A value for a placeholder that nothing is known of.
fn fallback(kind: &str) -> String {
    let value = match kind {
        _ if kind.ends_with("[]") => "{}",
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "oid" => "1",
        "boolean" => "true",
        "uuid" => "00000000-0000-4000-8000-000000000001",
        "json" | "jsonb" => "{}",
        "date" | "timestamp without time zone" | "timestamp with time zone" => "now",
        "time without time zone" | "time with time zone" => "12:00:00",
        "interval" => "1 day",
        "inet" | "cidr" => "127.0.0.1",
        "text" | "character varying" | "character" => "a",
        // The empty string is a value of many types, bytea among them; others have no plan then.
        _ => "",
    };
    cast(value, kind)
}

fn cast(value: &str, kind: &str) -> String {
    format!("{}::{kind}", quote(value))
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

const COLUMNS: &str = "
    SELECT c.relname::TEXT, a.attname::TEXT
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    WHERE c.relname = ANY($1)
      AND pg_table_is_visible(c.oid)
      AND a.attnum > 0
      AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum";

/// Of a partitioned table the statistics of all its partitions.
const STATISTICS: &str = "
    SELECT c.oid::REGCLASS::TEXT AS relation,
           s.most_common_vals::TEXT::TEXT[] AS common,
           s.histogram_bounds::TEXT::TEXT[] AS bounds
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_stats AS s
      ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
    WHERE c.relname = $1
      AND a.attname = $2
      AND c.relkind IN ('r', 'p', 'm', 'f')
      AND pg_table_is_visible(c.oid)
    ORDER BY s.inherited DESC NULLS LAST
    LIMIT 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_so_that_they_stay_values() {
        assert_eq!(cast("o'x'; DROP", "text"), "'o''x''; DROP'::text");
        assert_eq!(prefix("50%_x"), "50\\%%");
        let values = Values {
            hot: vec!["a'b".to_owned(), "c".to_owned()],
            ..Values::default()
        };
        let argument =
            |position, kind| argument(&values, Label::Hot, Comparison::In, position, kind);
        assert_eq!(argument(0, "text[]"), "ARRAY['a''b', 'c']::text[]");
        assert_eq!(argument(1, "text"), "'c'::text");
        assert_eq!(argument(2, "text"), "'a''b'::text");
    }
}
