//! Indexes and executions on a throwaway PostgreSQL.

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};

/// Drops every index but those of keys, builds these, and lets the planner know.
pub(crate) async fn rebuild(database: &mut PgConnection, indexes: &[String]) {
    let rows = database.fetch_all(SECONDARY).await.expect("indexes");
    for row in rows {
        let drop: String = row.get(0);
        run(database, drop).await;
    }
    run(
        database,
        "CREATE EXTENSION IF NOT EXISTS pg_trgm".to_owned(),
    )
    .await;
    for (number, index) in indexes.iter().enumerate() {
        run(database, format!("CREATE INDEX set_{number} ON {index}")).await;
    }
    run(database, "VACUUM ANALYZE".to_owned()).await;
}

/// Executes a statement that must not fail.
pub(crate) async fn run(database: &mut PgConnection, statement: String) {
    let done = database.execute(AssertSqlSafe(statement.clone())).await;
    if let Err(error) = done {
        panic!("{error}: {statement}");
    }
}

/// The top of the plan of an EXPLAIN with these options; what it writes is taken back.
pub(crate) async fn explained(database: &mut PgConnection, options: &str, text: &str) -> Value {
    let top = tried(database, options, text).await;
    top.unwrap_or_else(|| panic!("it took too long: {text}"))
}

/// The same, or nothing if the server gave it up because of its `statement_timeout`.
pub(crate) async fn tried(database: &mut PgConnection, options: &str, text: &str) -> Option<Value> {
    let question = format!("EXPLAIN ({options}, FORMAT JSON) {text}");
    let mut transaction = database.begin().await.expect("a transaction");
    let asked = sqlx::query(AssertSqlSafe(question)).persistent(false);
    let answered = transaction.fetch_one(asked).await;
    transaction.rollback().await.expect("rolled back");
    match answered {
        Ok(row) => Some(row.get::<Value, _>(0)[0].take()),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(CANCELED) => None,
        Err(error) => panic!("{error}: {text}"),
    }
}

/// `query_canceled`.
const CANCELED: &str = "57014";

/// What an EXPLAIN says of a figure of the plan's top.
pub(crate) fn figure(top: &Value, name: &str) -> f64 {
    top["Plan"][name].as_f64().unwrap_or(0.0)
}

/// Indexes that belong to no key.
const SECONDARY: &str = "
    SELECT format('DROP INDEX %I', c.relname)
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid
                                AND k.contype IN ('p', 'u', 'x')
    WHERE n.nspname = 'public'
      AND k.oid IS NULL";
