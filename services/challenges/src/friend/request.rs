//! Asking somebody to be friends.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Transaction, query},
    problem::Problem,
    uuid::Uuid,
};

use super::pair::{Friendship, find_pair};
use crate::{
    app::State,
    cached,
    caller::{Caller, gone},
    notification::{Kind, Note, tell},
};

/// Whom to ask.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct FriendRequest {
    #[schema(required, nullable = false)]
    addressee_id: Option<Uuid>,
}

/// `$1` caller, `$2` addressee.
pub(crate) const PEOPLE: &str = "
SELECT (SELECT p.display_name FROM user_profiles AS p WHERE p.id = $1) AS caller,
       (SELECT p.display_name FROM user_profiles AS p WHERE p.id = $2) AS addressee";

pub(crate) const INSERT: &str = "
INSERT INTO friendships (id, requester_id, addressee_id, status, created_at, updated_at)
VALUES ($1, $2, $3, 'pending', $4, $4)
ON CONFLICT DO NOTHING";

/// One that was rejected is asked for again, by whom it may be.
pub(crate) const REOPEN: &str = "
UPDATE friendships
SET requester_id = $2, addressee_id = $3, status = 'pending', created_at = $4, updated_at = $4
WHERE id = $1";

/// Ask somebody to be friends
///
/// They are told.
#[utoipa::path(post, path = "/api/v1/friends/request/", tag = "friends", security(("bearer" = [])), request_body = FriendRequest, responses(
    (status = 201, description = "The request", body = Friendship),
    (status = 400, description = "It is oneself, or they are friends already, or one of them has asked already"),
    (status = 403, description = "They want no requests of the caller"),
    (status = 404, description = "There is no such user"),
))]
#[tracing::instrument(name = "friends.request", skip_all)]
pub(crate) async fn request(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(asked): Body<FriendRequest>,
) -> Result<(StatusCode, Json<Friendship>), Problem> {
    let addressee = asked
        .addressee_id
        .ok_or_else(|| Problem::invalid("addressee_id", "is required"))?;
    if addressee == caller.id {
        return Err(Problem::refused(
            "You cannot send a friend request to yourself",
        ));
    }
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        let friendship = ask(&mut tx, caller.id, addressee, now()).await?;
        tx.commit().await?;
        Ok(friendship)
    };
    let tags = [cached::user(caller.id), cached::user(addressee)];
    let friendship = cached::write(&state.cache, tags, write).await?;
    Ok((StatusCode::CREATED, Json(friendship)))
}

async fn ask(
    tx: &mut Transaction,
    caller: Uuid,
    addressee: Uuid,
    now: DateTime<Utc>,
) -> Result<Friendship, Problem> {
    let (own_name, other): (Option<String>, Option<String>) = query(PEOPLE)
        .bind(caller)
        .bind(addressee)
        .fetch_one(&mut *tx)
        .await?;
    let own_name = own_name.ok_or_else(gone)?;
    other.ok_or_else(|| Problem::not_found("User not found"))?;
    let id = match find_pair(tx, caller, addressee).await? {
        None => insert(tx, caller, addressee, now).await?,
        Some(found) => reopen(tx, &found, caller, addressee, now).await?,
    };
    let note = Note::new(addressee, Kind::FriendRequest)
        .says(
            "New Friend Request",
            format!("{own_name} sent you a friend request"),
        )
        .leads_to("/friends/requests".to_owned())
        .with("friendship_id", id)
        .with("requester_id", caller);
    tell(tx, vec![note], now).await?;
    Ok(Friendship {
        id,
        requester_id: caller,
        addressee_id: addressee,
        status: "pending".to_owned(),
        created_at: now,
        updated_at: now,
    })
}

async fn insert(
    tx: &mut Transaction,
    caller: Uuid,
    addressee: Uuid,
    now: DateTime<Utc>,
) -> Result<Uuid, Problem> {
    let id = Uuid::new();
    let insert = query(INSERT)
        .bind(id)
        .bind(caller)
        .bind(addressee)
        .bind(now);
    match insert.execute(tx).await? {
        // They asked each other at the same time.
        0 => Err(Problem::refused("A friend request is pending already")),
        _ => Ok(id),
    }
}

async fn reopen(
    tx: &mut Transaction,
    found: &Friendship,
    caller: Uuid,
    addressee: Uuid,
    now: DateTime<Utc>,
) -> Result<Uuid, Problem> {
    match found.status.as_str() {
        "accepted" => Err(Problem::refused("You are already friends")),
        "blocked" if found.addressee_id == caller => Err(Problem::refused(
            "You have blocked this user; end that first",
        )),
        "blocked" => Err(Problem::forbidden(
            "You cannot send a friend request to this user",
        )),
        "pending" if found.requester_id == caller => {
            Err(Problem::refused("Friend request already sent"))
        }
        "pending" => Err(Problem::refused(
            "This user has already sent you a friend request",
        )),
        _ => {
            let reopen = query(REOPEN).bind(found.id).bind(caller).bind(addressee);
            reopen.bind(now).execute(tx).await?;
            Ok(found.id)
        }
    }
}
