//! The schema of a PostgreSQL database.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, Executor as _, Row as _, postgres::PgRow};

use super::{LOOK_TIME, Postgres, refusal::refused};
use crate::{Column, ExplainError, ForeignKey, Index, IndexColumn, Schema, Table};

/// Tables that the server believes to be larger are not counted: it takes a core some 10 million
/// rows a second to count.
const COUNTED_ROWS: f64 = 20e6;

/// A table while it is read.
struct Found {
    table: Table,
    /// Its name as SQL needs it here.
    relation: String,
    /// Rows as the server estimates them; below 0 if it never did.
    estimate: f64,
}

impl Postgres {
    /// Tables, columns, indexes, foreign keys and row counts of all schemas that are not the
    /// server's own. Of two tables with one name, the one on the search path counts.
    pub(crate) async fn schema(&mut self) -> Result<Schema, ExplainError> {
        let mut found = BTreeMap::new();
        for row in self.ask(TABLES, None).await? {
            let (oid, table) = read_table(&row).map_err(refused)?;
            found.insert(oid, table);
        }
        self.read_columns(&mut found).await?;
        self.read_indexes(&mut found).await?;
        self.read_foreign_keys(&mut found).await?;
        let mut schema = Schema::default();
        for Found {
            mut table,
            relation,
            estimate,
        } in found.into_values()
        {
            if !table.virtual_table {
                table.rows = self.count(&relation, estimate).await?;
                // Nothing is to be known of an empty table.
                table.never_analyzed &= table.rows != Some(0);
            }
            schema.tables.insert(table.name.clone(), table);
        }
        Ok(schema)
    }

    async fn read_columns(&mut self, found: &mut BTreeMap<i64, Found>) -> Result<(), ExplainError> {
        for row in self.ask(COLUMNS, None).await? {
            let mut read = || -> Result<(), sqlx::Error> {
                let Some(of) = found.get_mut(&row.try_get("table")?) else {
                    return Ok(());
                };
                let column = Column {
                    name: row.try_get("name")?,
                    kind: row.try_get("type")?,
                    distinct: distinct(row.try_get("distinct")?, of.estimate),
                };
                of.table.never_analyzed &= row.try_get::<Option<f32>, _>("distinct")?.is_none();
                of.table.columns.push(column);
                Ok(())
            };
            read().map_err(refused)?;
        }
        Ok(())
    }

    async fn read_indexes(&mut self, found: &mut BTreeMap<i64, Found>) -> Result<(), ExplainError> {
        for row in self.ask(INDEXES, None).await? {
            let mut read = || -> Result<(), sqlx::Error> {
                let Some(of) = found.get_mut(&row.try_get("table")?) else {
                    return Ok(());
                };
                let index = read_index(&row)?;
                if row.try_get("primary")? {
                    let names = index.columns.iter().map(|column| column.name.clone());
                    of.table.primary_key = names.collect();
                }
                of.table.indexes.push(index);
                Ok(())
            };
            read().map_err(refused)?;
        }
        Ok(())
    }

    async fn read_foreign_keys(
        &mut self,
        found: &mut BTreeMap<i64, Found>,
    ) -> Result<(), ExplainError> {
        for row in self.ask(FOREIGN_KEYS, None).await? {
            let mut read = || -> Result<(), sqlx::Error> {
                if let Some(of) = found.get_mut(&row.try_get("table")?) {
                    of.table.foreign_keys.push(ForeignKey {
                        columns: row.try_get("columns")?,
                        table: row.try_get("refers")?,
                    });
                }
                Ok(())
            };
            read().map_err(refused)?;
        }
        Ok(())
    }

    /// Rows of a table; the estimate if counting takes too long or is not allowed.
    async fn count(&mut self, relation: &str, estimate: f64) -> Result<Option<u64>, ExplainError> {
        let estimated = (estimate >= 0.0).then_some(estimate as u64);
        if estimate > COUNTED_ROWS {
            return Ok(estimated);
        }
        let question = format!("SELECT COUNT(*) FROM {relation}");
        let mut transaction = self.begin(LOOK_TIME).await?;
        let counted = transaction
            .fetch_one(sqlx::query(AssertSqlSafe(question)).persistent(false))
            .await;
        match counted.map_err(refused) {
            Ok(row) => {
                let rows: i64 = row.try_get(0).map_err(refused)?;
                Ok(u64::try_from(rows).ok())
            }
            Err(ExplainError::Connection(error)) => Err(ExplainError::Connection(error)),
            Err(ExplainError::TableLocked) => Err(ExplainError::TableLocked),
            // Too slow, or not for this user.
            Err(_) => Ok(estimated),
        }
    }
}

fn read_table(row: &PgRow) -> Result<(i64, Found), sqlx::Error> {
    let kind: String = row.try_get("kind")?;
    let table = Table {
        name: row.try_get("name")?,
        virtual_table: kind == "f",
        // Until a column with statistics is seen.
        never_analyzed: kind != "f",
        ..Table::default()
    };
    let found = Found {
        table,
        relation: row.try_get("relation")?,
        estimate: f64::from(row.try_get::<f32, _>("estimate")?),
    };
    Ok((row.try_get("oid")?, found))
}

/// `n_distinct` is a number of values or, below 0, a share of the rows.
fn distinct(estimate: Option<f32>, rows: f64) -> Option<u64> {
    let estimate = f64::from(estimate?);
    let number = if estimate < 0.0 {
        -estimate * rows.max(0.0)
    } else {
        estimate
    };
    (number >= 1.0).then_some(number as u64)
}

fn read_index(row: &PgRow) -> Result<Index, sqlx::Error> {
    let terms: Vec<String> = row.try_get("terms")?;
    let expressions: Vec<bool> = row.try_get("expressions")?;
    let descending: Vec<bool> = row.try_get("descending")?;
    let keys: usize = usize::try_from(row.try_get::<i32, _>("keys")?).unwrap_or(0);
    let mut columns: Vec<IndexColumn> = terms
        .into_iter()
        .zip(expressions)
        .zip(descending)
        .map(|((name, expression), descending)| IndexColumn {
            name,
            expression,
            descending,
        })
        .collect();
    let included = columns.split_off(keys.min(columns.len()));
    Ok(Index {
        name: row.try_get("name")?,
        columns,
        unique: row.try_get("unique")?,
        partial: row.try_get("condition")?,
        declared: row.try_get("declared")?,
        included: included.into_iter().map(|column| column.name).collect(),
        method: row.try_get("method")?,
        valid: row.try_get("valid")?,
    })
}

/// Partitions are left out: their table stands for them. Tables on the search path come last, so
/// that they win over others of the same name.
const TABLES: &str = "
    SELECT c.oid::BIGINT AS oid, c.relname::TEXT AS name, c.oid::REGCLASS::TEXT AS relation,
           c.relkind::TEXT AS kind, c.reltuples AS estimate
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'f')
      AND NOT c.relispartition
      AND n.nspname <> 'information_schema'
      AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY pg_table_is_visible(c.oid), c.relname, c.oid";

/// A column of a partitioned table has two rows of statistics: its own rows, which are none, and
/// those of its partitions.
const COLUMNS: &str = "
    SELECT a.attrelid::BIGINT AS \"table\", a.attname::TEXT AS name,
           format_type(a.atttypid, a.atttypmod) AS type,
           (SELECT MAX(s.n_distinct)
            FROM pg_catalog.pg_stats AS s
            WHERE s.schemaname = n.nspname
              AND s.tablename = c.relname
              AND s.attname = a.attname) AS distinct
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'f')
      AND n.nspname <> 'information_schema'
      AND n.nspname NOT LIKE 'pg\\_%'
      AND a.attnum > 0
      AND NOT a.attisdropped
    ORDER BY a.attrelid, a.attnum";

/// Bit 0 of `indoption` says that a column is sorted downwards; columns that are only stored
/// beside have no options.
const INDEXES: &str = "
    SELECT i.indrelid::BIGINT AS \"table\", c.relname::TEXT AS name, m.amname::TEXT AS method,
           i.indisunique AS \"unique\", i.indisprimary AS \"primary\",
           i.indisvalid AND i.indisready AS valid, i.indnkeyatts::INTEGER AS keys,
           pg_get_expr(i.indpred, i.indrelid) AS condition,
           NOT EXISTS (SELECT 1
                       FROM pg_catalog.pg_constraint AS k
                       WHERE k.conindid = i.indexrelid
                         AND k.contype IN ('p', 'u', 'x')) AS declared,
           ARRAY(SELECT COALESCE(a.attname::TEXT, pg_get_indexdef(i.indexrelid, p, TRUE))
                 FROM generate_series(1, i.indnatts) AS p
                 LEFT JOIN pg_catalog.pg_attribute AS a
                   ON a.attrelid = i.indrelid AND a.attnum = i.indkey[p - 1] AND a.attnum <> 0
                 ORDER BY p) AS terms,
           ARRAY(SELECT i.indkey[p - 1] = 0
                 FROM generate_series(1, i.indnatts) AS p
                 ORDER BY p) AS expressions,
           ARRAY(SELECT COALESCE(i.indoption[p - 1] & 1, 0) = 1
                 FROM generate_series(1, i.indnatts) AS p
                 ORDER BY p) AS descending
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
    ORDER BY c.relname";

const FOREIGN_KEYS: &str = "
    SELECT k.conrelid::BIGINT AS \"table\", r.relname::TEXT AS refers,
           ARRAY(SELECT a.attname::TEXT
                 FROM unnest(k.conkey) WITH ORDINALITY AS key (number, place)
                 JOIN pg_catalog.pg_attribute AS a
                   ON a.attrelid = k.conrelid AND a.attnum = key.number
                 ORDER BY key.place) AS columns
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS r ON r.oid = k.confrelid
    WHERE k.contype = 'f'
    ORDER BY k.conrelid, k.conname";
