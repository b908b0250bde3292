//! One's friends.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{
    clock::now,
    database::query,
    problem::{Fields, Problem},
    query::Params,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use crate::{
    app::State,
    caller::{Caller, gone},
    challenge::word,
    checkin::lasting,
    day::AskedZone,
    page::Part,
    profile,
    wording::check_query,
};

#[derive(FromRow)]
struct FriendRow {
    id: Uuid,
    display_name: String,
    avatar_url: Option<String>,
    bio: Option<String>,
    current_streak: i64,
    streak_ends_at: Option<DateTime<Utc>>,
    points: i64,
    active_challenges: i64,
    friendship_id: Uuid,
    friendship_status: String,
    updated_at: DateTime<Utc>,
    total: i64,
}

/// Somebody with whom one is friends, or may become.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Friend {
    id: Uuid,
    display_name: String,
    avatar_url: Option<String>,
    bio: Option<String>,
    current_streak: i64,
    points: i64,
    /// Challenges that are active today, in which they take part.
    active_challenges: i64,
    friendship_id: Uuid,
    /// pending, accepted, rejected or blocked.
    friendship_status: String,
    became_friends_at: Option<DateTime<Utc>>,
}

/// One's friends.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Friends {
    friends: Vec<Friend>,
    /// All of them, not only those shown.
    total: i64,
}

/// Friends that are shown unless a request says so: nearly everybody has fewer.
const USUAL: i64 = 500;

/// Two halves, each from an index of its own. `$1` caller, `$2` today, `$3` how many, `$4` after how
/// many; the status stands where the index wants it.
fn read_text(status: &str) -> String {
    format!(
        "SELECT p.id, p.display_name, p.avatar_url, p.bio, p.current_streak, p.streak_ends_at, p.points,
    (
        SELECT count(*)
        FROM challenge_members AS m
        JOIN challenges AS c ON c.id = m.challenge_id
        WHERE m.user_id = p.id
          AND m.status = 'active'
          AND (c.status = 'active' OR (c.status = 'pending' AND c.start_date <= $2))
    ) AS active_challenges,
    x.id AS friendship_id, x.status AS friendship_status, x.updated_at, x.total
FROM (
    SELECT y.*, count(*) OVER () AS total
    FROM (
        SELECT f.id, f.addressee_id AS other, f.status, f.updated_at
        FROM friendships AS f
        WHERE f.requester_id = $1{status}
        UNION ALL
        SELECT f.id, f.requester_id AS other, f.status, f.updated_at
        FROM friendships AS f
        WHERE f.addressee_id = $1{status}
    ) AS y
    ORDER BY y.updated_at DESC, y.id DESC
    LIMIT $3 OFFSET $4
) AS x
JOIN user_profiles AS p ON p.id = x.other
ORDER BY x.updated_at DESC, x.id DESC"
    )
}

/// One's friends
///
/// The newest first. `pending` are those whom one asked and those who ask.
#[utoipa::path(get, path = "/api/v1/friends/", tag = "friends", security(("bearer" = [])), params(
    ("status_filter" = Option<String>, Query, pattern = "^(accepted|pending|all)?$", description = "accepted (the default), pending or all"),
    ("page" = Option<i64>, Query, minimum = 1, description = "The page, from 1"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 500, description = "Friends on a page; 500"),
), responses((status = 200, description = "The friends", body = Friends)))]
#[tracing::instrument(name = "friends.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    zone: AskedZone,
    params: Params,
) -> Result<Json<Friends>, Problem> {
    let mut fields = Fields::new();
    let part = Part::<()>::read_up_to(&params, USUAL, USUAL, &mut fields);
    let words = ["accepted", "pending", "all"];
    let status = word("status_filter", &params, &words, &mut fields);
    check_query(fields)?;
    let status = match status {
        None | Some("accepted") => " AND f.status = 'accepted'",
        Some("pending") => " AND f.status = 'pending'",
        Some(_) => "",
    };
    let profile = profile::of(&state, caller.id).await?.ok_or_else(gone)?;
    let now = now();
    let today = zone.or(profile.timezone.as_deref()).day(now);
    let rows: Vec<FriendRow> = query(read_text(status))
        .bind(caller.id)
        .bind(today)
        .bind(part.limit)
        .bind(part.offset())
        .fetch_all(state.database.read())
        .await?;
    let total = match rows.first() {
        Some(row) => row.total,
        None => count(&state, caller, status).await?,
    };
    let friends = rows.into_iter().map(|row| row.shown(now));
    Ok(Json(Friends {
        friends: friends.collect(),
        total,
    }))
}

/// How many there are, for who asks for a page past the end.
async fn count(state: &State, caller: Caller, status: &str) -> Result<i64, sqlx::Error> {
    let half = |side| format!("SELECT count(*) FROM friendships AS f WHERE f.{side} = $1{status}");
    let (asked, was_asked) = (half("requester_id"), half("addressee_id"));
    let count = query(format!("SELECT ({asked}) + ({was_asked})")).bind(caller.id);
    count.fetch_scalar(state.database.read()).await
}

impl FriendRow {
    fn shown(self, now: DateTime<Utc>) -> Friend {
        let is_friend = self.friendship_status == "accepted";
        Friend {
            id: self.id,
            display_name: self.display_name,
            avatar_url: self.avatar_url,
            bio: self.bio,
            current_streak: lasting(self.current_streak, self.streak_ends_at, now),
            points: self.points,
            active_challenges: self.active_challenges,
            friendship_id: self.friendship_id,
            friendship_status: self.friendship_status,
            became_friends_at: is_friend.then_some(self.updated_at),
        }
    }
}
