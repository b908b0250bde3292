//! Leaving a challenge: what was done stays, the place becomes free.

use axum::{Json, extract::State as FromState};
use service_kit::{
    clock::now,
    database::{Dialect, Transaction, query},
    problem::Problem,
    uuid::Uuid,
};
use speedwell_cache::Write;

use super::record::unknown;
use crate::{
    app::State,
    cached,
    caller::Caller,
    done::Done,
    notification::{Kind, Note, tell},
    path::PathId,
};

/// Locks a challenge before its memberships, as joining does: of two requests one leaves. A
/// transaction of SQLite that writes is alone anyway.
pub(crate) const LOCK: &str = "
SELECT c.id
FROM challenges AS c
WHERE c.id = $1
FOR NO KEY UPDATE";

/// `$1` challenge, `$2` caller.
pub(crate) const FIND: &str = "
SELECT c.name, c.created_by, p.display_name, m.role, m.status
FROM challenge_members AS m
JOIN challenges AS c ON c.id = m.challenge_id
JOIN user_profiles AS p ON p.id = m.user_id
WHERE m.challenge_id = $1
  AND m.user_id = $2";

pub(crate) const LEAVE: &str = "
UPDATE challenge_members
SET status = 'left', left_at = $3
WHERE challenge_id = $1
  AND user_id = $2";

pub(crate) const FREE_PLACE: &str = "
UPDATE challenges
SET member_count = member_count - 1, updated_at = $2
WHERE id = $1";

/// Leave a challenge
///
/// Its creator is told, and cannot leave.
#[utoipa::path(post, path = "/api/v1/challenges/{id}/leave/", tag = "challenges", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
), responses(
    (status = 200, description = "Done", body = Done),
    (status = 400, description = "The caller is its creator, or has left already"),
    (status = 404, description = "The caller is no member of such a challenge"),
))]
#[tracing::instrument(name = "challenges.leave", skip_all)]
pub(crate) async fn leave(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
) -> Result<Json<Done>, Problem> {
    let database = state.database.clone();
    let write = move |write: Write| async move {
        let mut tx = database.begin().await?;
        go(&mut tx, id, caller).await?;
        tx.commit().await?;
        cached::also_members_of(&write, &database, id, false).await;
        Ok(())
    };
    let tags = [cached::user(caller.id), cached::lists(caller.id)];
    cached::write(&state.cache, tags, write).await?;
    Ok(Json(Done::new("Successfully left the challenge")))
}

async fn go(tx: &mut Transaction, id: Uuid, caller: Caller) -> Result<(), Problem> {
    let now = now();
    if tx.dialect() == Dialect::Postgres {
        query(LOCK).bind(id).execute(&mut *tx).await?;
    }
    let found: Option<(String, Uuid, String, String, String)> = query(FIND)
        .bind(id)
        .bind(caller.id)
        .fetch_optional(&mut *tx)
        .await?;
    let (name, creator, own_name, role, status) = found.ok_or_else(unknown)?;
    if role == "creator" {
        return Err(Problem::refused("The creator cannot leave the challenge"));
    }
    if status != "active" {
        return Err(Problem::refused("You have already left this challenge"));
    }
    let leave = query(LEAVE).bind(id).bind(caller.id).bind(now);
    leave.execute(&mut *tx).await?;
    query(FREE_PLACE)
        .bind(id)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    let note = Note::new(creator, Kind::MemberLeft)
        .says(
            "Member Left",
            format!("{own_name} left your challenge '{name}'"),
        )
        .leads_to(format!("/challenges/{id}"))
        .with("challenge_id", id)
        .with("user_id", caller.id);
    tell(tx, vec![note], now).await?;
    Ok(())
}
