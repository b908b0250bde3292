//! The friendship of two people, found whoever asked.

use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{
    database::{Dialect, Text, Transaction, query},
    text,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

/// A friendship.
#[derive(Debug, Clone, FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct Friendship {
    pub(super) id: Uuid,
    /// Who asked.
    pub(super) requester_id: Uuid,
    pub(super) addressee_id: Uuid,
    /// pending, accepted, rejected or blocked.
    pub(super) status: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// `$1` and `$2` two people in their order. Locked; a transaction of SQLite that writes is alone
/// anyway.
pub(crate) const FIND_PAIR: Text = text!(
    "
SELECT f.id, f.requester_id, f.addressee_id, f.status, f.created_at, f.updated_at
FROM friendships AS f
WHERE "
    { "min(f.requester_id, f.addressee_id) = $1
  AND max(f.requester_id, f.addressee_id) = $2"
    | "least(f.requester_id, f.addressee_id) = $1
  AND greatest(f.requester_id, f.addressee_id) = $2
FOR UPDATE" });

/// Two people in the order in which the index has them.
pub(crate) fn in_order(one: Uuid, other: Uuid) -> (Uuid, Uuid) {
    match one < other {
        true => (one, other),
        false => (other, one),
    }
}

/// The condition that `friendships AS f` is that of two people in their order.
pub(crate) fn is_pair(dialect: Dialect, low: &str, high: &str) -> String {
    let (least, greatest) = match dialect {
        Dialect::Sqlite => ("min", "max"),
        Dialect::Postgres => ("least", "greatest"),
    };
    format!(
        "{least}(f.requester_id, f.addressee_id) = {low} AND {greatest}(f.requester_id, f.addressee_id) = {high}"
    )
}

/// The friendship of two people, locked.
pub(super) async fn find_pair(
    tx: &mut Transaction,
    one: Uuid,
    other: Uuid,
) -> Result<Option<Friendship>, sqlx::Error> {
    let (low, high) = in_order(one, other);
    let pair = query(FIND_PAIR).bind(low).bind(high);
    pair.fetch_optional(tx).await
}
