//! Answering who asked.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Text, Transaction, query},
    problem::Problem,
    text,
    uuid::Uuid,
};
use speedwell_cache::Write;
use sqlx_macros::FromRow;

use super::pair::Friendship;
use crate::{
    app::State,
    cached,
    caller::Caller,
    notification::{Kind, Note, tell},
    path::PathId,
};

/// What to answer.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Response {
    /// accept, reject or block.
    #[schema(required, nullable = false, pattern = "^(accept|reject|block)$")]
    action: Option<String>,
}

/// `$1` friendship.
pub(crate) const FIND: Text = text!(
    "
SELECT f.id, f.requester_id, f.addressee_id, f.status, f.created_at, f.updated_at, p.display_name
FROM friendships AS f
JOIN user_profiles AS p ON p.id = f.addressee_id
WHERE f.id = $1"
    { "" | "
FOR UPDATE OF f" });

pub(crate) const ANSWER: &str = "
UPDATE friendships
SET status = $2, updated_at = $3
WHERE id = $1";

#[derive(FromRow)]
struct FoundRow {
    #[sqlx(flatten)]
    friendship: Friendship,
    display_name: String,
}

/// Answer a friend request
///
/// Who asked is told if it is accepted.
#[utoipa::path(post, path = "/api/v1/friends/requests/{id}/respond/", tag = "friends", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The friendship"),
), request_body = Response, responses(
    (status = 200, description = "The friendship as it is now", body = Friendship),
    (status = 400, description = "It was answered already"),
    (status = 403, description = "Another user was asked"),
    (status = 404, description = "There is no such request"),
))]
#[tracing::instrument(name = "friends.respond", skip_all)]
pub(crate) async fn respond(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    Body(asked): Body<Response>,
) -> Result<Json<Friendship>, Problem> {
    let status = match asked.action.as_deref() {
        Some("accept") => "accepted",
        Some("reject") => "rejected",
        Some("block") => "blocked",
        _ => {
            return Err(Problem::invalid(
                "action",
                "must be one of accept, reject, block",
            ));
        }
    };
    let database = state.database.clone();
    let write = move |write: Write| async move {
        let mut tx = database.begin().await?;
        let friendship = answer(&mut tx, id, caller.id, status, now()).await?;
        // Only a strict cache refuses, and before the commit.
        let _told = write.also([cached::user(friendship.requester_id)]).await;
        tx.commit().await?;
        Ok(friendship)
    };
    let friendship = cached::write(&state.cache, [cached::user(caller.id)], write).await?;
    Ok(Json(friendship))
}

async fn answer(
    tx: &mut Transaction,
    id: Uuid,
    caller: Uuid,
    status: &'static str,
    now: DateTime<Utc>,
) -> Result<Friendship, Problem> {
    let found: Option<FoundRow> = query(FIND).bind(id).fetch_optional(&mut *tx).await?;
    let found = found.ok_or_else(|| Problem::not_found("Friend request not found"))?;
    let friendship = found.friendship;
    if friendship.addressee_id != caller {
        return Err(Problem::forbidden(
            "Only the addressee can answer a friend request",
        ));
    }
    if friendship.status != "pending" {
        return Err(Problem::refused("This friend request is not pending"));
    }
    let answer = query(ANSWER).bind(id).bind(status).bind(now);
    answer.execute(&mut *tx).await?;
    if status == "accepted" {
        let body = format!("{} accepted your friend request", found.display_name);
        let note = Note::new(friendship.requester_id, Kind::FriendAccepted)
            .says("Friend Request Accepted", body)
            .leads_to("/friends".to_owned())
            .with("friendship_id", id)
            .with("user_id", caller);
        tell(tx, vec![note], now).await?;
    }
    Ok(Friendship {
        status: status.to_owned(),
        updated_at: now,
        ..friendship
    })
}
