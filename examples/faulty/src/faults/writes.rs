//! Writes one by one.

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};
use sqlx::SqlitePool;

use crate::{
    Database,
    answer::{Failure, Rows},
};

pub(super) fn routes() -> Router<Database> {
    Router::new().route("/faults/write-loop", post(write_loop))
}

/// Notes that items were looked at.
///
/// Wrong: a statement for each row, and each is committed on its own: as many waits for the disk
/// (or the log) as rows, and half of them stay when one fails. Right: one `INSERT` of several rows,
/// which is one statement and one commit.
async fn write_loop(
    State(database): State<Database>,
    Json(Rows { count }): Json<Rows>,
) -> Result<Json<Value>, Failure> {
    for item in 1..=count.rows() {
        note_view(&database.writes, item).await?;
    }
    Ok(Json(json!({ "written": count.rows() })))
}

const NOTE_VIEW: &str = "
    INSERT INTO audit_log (event, subject)
    VALUES ('view', $1)";

#[tracing::instrument(skip_all)]
async fn note_view(writes: &SqlitePool, item: i64) -> sqlx::Result<()> {
    sqlx::query(NOTE_VIEW).bind(item).execute(writes).await?;
    Ok(())
}
