//! Items as lists show them, and the one healthy page of them that most routes begin with.

use serde::{Deserialize, Serialize};
use sqlx::SqlitePool;
use sqlx_macros::FromRow;

#[derive(Debug, Clone, Serialize, Deserialize, FromRow)]
pub(crate) struct Item {
    pub(crate) id: i64,
    pub(crate) shop_id: i64,
    pub(crate) title: String,
    pub(crate) price_cents: i64,
    pub(crate) created_at: i64,
}

impl Item {
    /// Ids as a JSON array, to be bound once where an `IN` list would bind each.
    pub(crate) fn ids(items: &[Self]) -> String {
        let ids: Vec<i64> = items.iter().map(|item| item.id).collect();
        serde_json::json!(ids).to_string()
    }
}

const NEWEST: &str = "
    SELECT id, shop_id, title, price_cents, created_at
    FROM items
    ORDER BY created_at DESC, id DESC
    LIMIT $1";

/// The newest items: an ordered walk of `items_by_age` that stops after `limit` rows.
#[tracing::instrument(skip_all)]
pub(crate) async fn newest(reads: &SqlitePool, limit: i64) -> sqlx::Result<Vec<Item>> {
    sqlx::query_as(NEWEST).bind(limit).fetch_all(reads).await
}
