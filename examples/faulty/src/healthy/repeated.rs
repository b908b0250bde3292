//! The same statement twice in one request, with a good reason.

use axum::{
    Json, Router,
    extract::{Query, State},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{SqliteConnection, SqlitePool};

use crate::{Database, answer::Failure, items::Item};

pub(super) fn routes() -> Router<Database> {
    Router::new()
        .route("/healthy/repeated/visit", post(visit))
        .route("/healthy/repeated/compare", get(compare))
}

/// Counts a visit; answers the number before and after.
///
/// Looks repeated: the same text with the same values twice. Between the two, its table is written,
/// so the second reads something new.
async fn visit(State(database): State<Database>) -> Result<Json<Value>, Failure> {
    let mut transaction = database.writes.begin().await?;
    let before = visits(&mut transaction).await?;
    add_visit(&mut transaction).await?;
    let after = visits(&mut transaction).await?;
    transaction.commit().await?;
    Ok(Json(json!({ "before": before, "after": after })))
}

const VISITS: &str = "
    SELECT CAST(value AS INTEGER)
    FROM settings
    WHERE name = 'visits'";

#[tracing::instrument(skip_all)]
async fn visits(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar(VISITS).fetch_one(connection).await
}

const ADD_VISIT: &str = "
    UPDATE settings
    SET value = value + 1
    WHERE name = 'visits'";

#[tracing::instrument(skip_all)]
async fn add_visit(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(ADD_VISIT).execute(connection).await?;
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Pair {
    left: i64,
    right: i64,
}

#[derive(Debug, Serialize)]
struct Comparison {
    items: [Item; 2],
}

/// Two items side by side.
///
/// Looks repeated, or like the beginning of an N+1: the same text twice. The values differ and
/// there are two of them, whatever the data.
async fn compare(
    State(database): State<Database>,
    Query(pair): Query<Pair>,
) -> Result<Json<Comparison>, Failure> {
    let left = item(&database.reads, pair.left)
        .await?
        .ok_or(Failure::NotFound)?;
    let right = item(&database.reads, pair.right)
        .await?
        .ok_or(Failure::NotFound)?;
    Ok(Json(Comparison {
        items: [left, right],
    }))
}

const ITEM: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    WHERE id = $1";

#[tracing::instrument(skip_all)]
async fn item(reads: &SqlitePool, id: i64) -> sqlx::Result<Option<Item>> {
    sqlx::query_as(ITEM).bind(id).fetch_optional(reads).await
}
