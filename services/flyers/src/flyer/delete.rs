//! Deleting a flyer, for good.

use axum::{extract::State as FromState, http::StatusCode};
use service_kit::{
    change::{Change, to_the_end},
    database::{Text, query},
    id::Id,
    problem::Problem,
    text,
    token::Caller,
};

use super::no_such_flyer;
use crate::{
    app::State,
    pictures::{OF_FLYER, own_files},
};

/// Whose it is, with the row locked: whoever comes second finds it gone. `$1` flyer.
const LOCK: Text = text!(
    "
SELECT f.creator_id
FROM flyers AS f
WHERE f.id = $1"
    { "" | "
FOR UPDATE" });

const PATHS: &str = "
SELECT i.path
FROM flyer_images AS i
WHERE i.flyer_id = $1";

/// Pictures, links and everybody's favorites go with it: their foreign keys cascade, each over
/// an index that begins with the flyer.
const DELETE: &str = "
DELETE FROM flyers
WHERE id = $1";

/// Delete a flyer
///
/// With its pictures and everybody's favorites, at once and for good.
#[utoipa::path(delete, path = "/api/v1/flyers/{id}/", params(("id" = i64, Path, description = "The flyer")),
    security(("bearer" = [])), responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "Sign in first"),
    (status = 403, description = "It is somebody else's"),
    (status = 404, description = "There is none, or none any more"),
))]
pub(crate) async fn delete(
    FromState(state): FromState<State>,
    id: Id,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let id = id.or(no_such_flyer)?;
    to_the_end(async move { remove(&state, id, caller).await }).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(state: &State, id: i64, caller: Caller) -> Result<(), Problem> {
    let mut change = Change::begin(&state.database, &state.storage, Vec::new()).await?;
    match remove_rows(state, &mut change, id, caller).await {
        Ok(()) => change.commit().await,
        Err(problem) => {
            change.undo().await;
            Err(problem)
        }
    }
}

async fn remove_rows(
    state: &State,
    change: &mut Change,
    id: i64,
    caller: Caller,
) -> Result<(), Problem> {
    let owner: Option<(i64,)> = query(LOCK).bind(id).fetch_optional(change.rows()).await?;
    let (owner,) = owner.ok_or_else(no_such_flyer)?;
    if owner != caller.id {
        return Err(Problem::forbidden("only its creator can delete a flyer"));
    }
    let paths: Vec<(String,)> = query(PATHS).bind(id).fetch_all(change.rows()).await?;
    let files = paths.iter().flat_map(|(path,)| own_files(path, OF_FLYER));
    change.discard(&state.storage, files.collect()).await?;
    query(DELETE).bind(id).execute(change.rows()).await?;
    Ok(())
}
