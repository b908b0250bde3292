//! Many rows written at once.

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::{
    Database,
    answer::{Failure, Rows},
};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/healthy/write-loop/multi-row", post(multi_row))
        .route("/healthy/write-loop/json-each", post(json_each))
}

/// Notes that items were looked at.
///
/// Looks like a loop of writes, as the number of rows is up to the caller. It is one statement with
/// several rows of values.
async fn multi_row(
    State(database): State<Database>,
    Json(Rows { count }): Json<Rows>,
) -> Result<Json<Value>, Failure> {
    note_views(&database.writes, count.rows()).await?;
    Ok(Json(json!({ "written": count.rows() })))
}

#[tracing::instrument(skip_all)]
async fn note_views(writes: &SqlitePool, count: i64) -> sqlx::Result<()> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "
    INSERT INTO audit_log (event, subject)
    ",
    );
    query.push_values(1..=count, |mut row, item| {
        row.push("'view'").push_bind(item);
    });
    query.build().execute(writes).await?;
    Ok(())
}

/// Notes that items were looked at, and that somebody counted them.
///
/// Looks like a loop of writes: several inserts into one table. There are two, whatever the number
/// of rows, and they are committed together.
async fn json_each(
    State(database): State<Database>,
    Json(Rows { count }): Json<Rows>,
) -> Result<Json<Value>, Failure> {
    let mut transaction = database.writes.begin().await?;
    note_all_views(&mut transaction, count.rows()).await?;
    note_count(&mut transaction, count.rows()).await?;
    transaction.commit().await?;
    Ok(Json(json!({ "written": count.rows() + 1 })))
}

const NOTE_ALL_VIEWS: &str = "
    INSERT INTO audit_log (event, subject)
    SELECT 'view', value
    FROM json_each($1)";

#[tracing::instrument(skip_all)]
async fn note_all_views(connection: &mut SqliteConnection, count: i64) -> sqlx::Result<()> {
    let items: Vec<i64> = (1..=count).collect();
    sqlx::query(NOTE_ALL_VIEWS)
        .bind(json!(items).to_string())
        .execute(connection)
        .await?;
    Ok(())
}

const NOTE_COUNT: &str = "
    INSERT INTO audit_log (event, subject)
    VALUES ('count', $1)";

#[tracing::instrument(skip_all)]
async fn note_count(connection: &mut SqliteConnection, count: i64) -> sqlx::Result<()> {
    sqlx::query(NOTE_COUNT)
        .bind(count)
        .execute(connection)
        .await?;
    Ok(())
}
