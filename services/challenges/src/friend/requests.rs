//! Who asks, and whom one asked.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{database::query, problem::Problem, uuid::Uuid};
use sqlx_macros::FromRow;

use crate::{app::State, caller::Caller};

#[derive(FromRow)]
struct RequestRow {
    received: bool,
    id: Uuid,
    requester_id: Uuid,
    addressee_id: Uuid,
    status: String,
    created_at: DateTime<Utc>,
    other_name: String,
    other_avatar: Option<String>,
    other_bio: Option<String>,
    total: i64,
}

/// A request that waits. Of those that one sent, `requester_` names whom one asked: clients show
/// the other one in either case.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Request {
    id: Uuid,
    requester_id: Uuid,
    addressee_id: Uuid,
    status: String,
    created_at: DateTime<Utc>,
    requester_display_name: String,
    requester_avatar_url: Option<String>,
    requester_bio: Option<String>,
}

/// Requests that wait.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Requests {
    /// The newest 100.
    received: Vec<Request>,
    /// The newest 100.
    sent: Vec<Request>,
    /// All of them.
    received_count: i64,
    /// All of them.
    sent_count: i64,
}

/// Both kinds, each from an index of its own, the newest 100 of each. `$1` caller.
pub(crate) const READ: &str = "
SELECT x.received, x.id, x.requester_id, x.addressee_id, x.status, x.created_at,
    p.display_name AS other_name, p.avatar_url AS other_avatar, p.bio AS other_bio, x.total
FROM (
    SELECT * FROM (
        SELECT TRUE AS received, f.id, f.requester_id, f.addressee_id, f.status, f.created_at,
            f.requester_id AS other, count(*) OVER () AS total
        FROM friendships AS f
        WHERE f.addressee_id = $1
          AND f.status = 'pending'
        ORDER BY f.updated_at DESC, f.id DESC
        LIMIT 100
    ) AS r
    UNION ALL
    SELECT * FROM (
        SELECT FALSE AS received, f.id, f.requester_id, f.addressee_id, f.status, f.created_at,
            f.addressee_id AS other, count(*) OVER () AS total
        FROM friendships AS f
        WHERE f.requester_id = $1
          AND f.status = 'pending'
        ORDER BY f.updated_at DESC, f.id DESC
        LIMIT 100
    ) AS s
) AS x
JOIN user_profiles AS p ON p.id = x.other
ORDER BY x.created_at DESC, x.id DESC";

/// Friend requests that wait
#[utoipa::path(get, path = "/api/v1/friends/requests/", tag = "friends", security(("bearer" = [])), responses(
    (status = 200, description = "The requests", body = Requests),
))]
#[tracing::instrument(name = "friends.requests", skip_all)]
pub(crate) async fn requests(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Requests>, Problem> {
    let rows = query(READ).bind(caller.id);
    let rows: Vec<RequestRow> = rows.fetch_all(state.database.read()).await?;
    let mut requests = Requests::default();
    for row in rows {
        let total = row.total;
        let (list, count) = match row.received {
            true => (&mut requests.received, &mut requests.received_count),
            false => (&mut requests.sent, &mut requests.sent_count),
        };
        list.push(row.shown());
        *count = total;
    }
    Ok(Json(requests))
}

impl RequestRow {
    fn shown(self) -> Request {
        Request {
            id: self.id,
            requester_id: self.requester_id,
            addressee_id: self.addressee_id,
            status: self.status,
            created_at: self.created_at,
            requester_display_name: self.other_name,
            requester_avatar_url: self.other_avatar,
            requester_bio: self.other_bio,
        }
    }
}
