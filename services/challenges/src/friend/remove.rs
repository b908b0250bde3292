//! Ending a friendship, or a request.

use axum::{Json, extract::State as FromState};
use service_kit::{
    database::{Transaction, query},
    problem::Problem,
    uuid::Uuid,
};

use super::pair::find_pair;
use crate::{app::State, cached, caller::Caller, done::Done, path::PathId};

pub(crate) const DELETE_FRIENDSHIP: &str = "
DELETE FROM friendships
WHERE id = $1";

/// End a friendship or a request
///
/// Who is blocked cannot end that.
#[utoipa::path(delete, path = "/api/v1/friends/{user_id}/", tag = "friends", security(("bearer" = [])), params(
    ("user_id" = Uuid, Path, description = "The other user"),
), responses(
    (status = 200, description = "Done", body = Done),
    (status = 400, description = "It is oneself"),
    (status = 403, description = "The other one blocked the caller"),
    (status = 404, description = "There is nothing between them"),
))]
#[tracing::instrument(name = "friends.remove", skip_all)]
pub(crate) async fn end(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(other): PathId,
) -> Result<Json<Done>, Problem> {
    if other == caller.id {
        return Err(Problem::refused("You cannot remove yourself"));
    }
    let database = state.database.clone();
    let write = move |_| async move {
        let mut tx = database.begin().await?;
        part(&mut tx, caller.id, other).await?;
        tx.commit().await?;
        Ok(())
    };
    let tags = [cached::user(caller.id), cached::user(other)];
    cached::write(&state.cache, tags, write).await?;
    Ok(Json(Done::new("Friend removed")))
}

async fn part(tx: &mut Transaction, caller: Uuid, other: Uuid) -> Result<(), Problem> {
    let found = find_pair(tx, caller, other).await?;
    let found = found.ok_or_else(|| Problem::not_found("Friendship not found"))?;
    if found.status == "blocked" && found.addressee_id != caller {
        return Err(Problem::forbidden("Only who blocked somebody can end it"));
    }
    query(DELETE_FRIENDSHIP).bind(found.id).execute(tx).await?;
    Ok(())
}
