//! Which flyers a user likes.

use std::time::Duration;

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{Database, query},
    id::Id,
    problem::Problem,
    token::Caller,
};

use crate::{app::State, feed::user_must_exist};

/// `$1` user, `$2` flyer, `$3` now. Writes nothing where the user is gone, the flyer is
/// none that the user may see, or the two are a pair already.
pub(crate) const INSERT: &str = "
INSERT INTO favorites (user_id, flyer_id, created_at)
SELECT u.id, f.id, $3
FROM users AS u
CROSS JOIN flyers AS f
WHERE u.id = $1
  AND f.id = $2
  AND (f.creator_id = u.id OR (f.is_active AND f.publication_date <= $3 AND f.expiration_date > $3))
ON CONFLICT (user_id, flyer_id) DO NOTHING
RETURNING id";

/// `$1` user, `$2` flyer, `$3` now: since when the user likes it, and whether they may see
/// it. A flyer that has expired since then is not seen and stays a favorite.
pub(crate) const SINCE: &str = "
SELECT v.created_at,
       EXISTS (
           SELECT 1
           FROM flyers AS f
           WHERE f.id = $2
             AND (f.creator_id = u.id OR (f.is_active AND f.publication_date <= $3 AND f.expiration_date > $3))
       ) AS is_seen
FROM users AS u
LEFT JOIN favorites AS v ON v.user_id = u.id AND v.flyer_id = $2
WHERE u.id = $1";

pub(crate) const DELETE: &str = "
DELETE FROM favorites
WHERE user_id = $1
  AND flyer_id = $2";

/// Another request may take the pair away between two statements of this one.
pub(crate) const ATTEMPTS: u32 = 3;

/// Which flyer to like.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewFavorite {
    #[schema(required, nullable = false)]
    flyer_id: Option<i64>,
}

/// A flyer that a user likes.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Favorite {
    user_id: i64,
    flyer_id: i64,
    created_at: DateTime<Utc>,
}

/// Like a flyer
///
/// Any flyer that the caller may see. Liking it again changes nothing.
#[utoipa::path(post, path = "/api/v1/favorites/", request_body = NewFavorite, security(("bearer" = [])), responses(
    (status = 201, description = "The flyer is a favorite now", body = Favorite),
    (status = 200, description = "It was one already", body = Favorite),
    (status = 400, description = "flyer_id is missing or no whole number"),
    (status = 401, description = "Sign in first"),
    (status = 404, description = "There is no such flyer that the caller may see"),
))]
pub(crate) async fn add(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(new): Body<NewFavorite>,
) -> Result<(StatusCode, Json<Favorite>), Problem> {
    let Some(flyer_id) = new.flyer_id else {
        return Err(Problem::invalid("flyer_id", "is required"));
    };
    let now = now();
    for _ in 0..ATTEMPTS {
        let found = if insert(&state.database, caller.id, flyer_id, now).await? {
            Some((StatusCode::CREATED, now))
        } else {
            let since = since(&state.database, caller.id, flyer_id, now).await?;
            since.map(|since| (StatusCode::OK, since))
        };
        if let Some((status, created_at)) = found {
            let favorite = Favorite {
                user_id: caller.id,
                flyer_id,
                created_at,
            };
            return Ok((status, Json(favorite)));
        }
    }
    Err(changed_meanwhile())
}

/// Like a flyer no more
///
/// Nothing happens to one that was not liked.
#[utoipa::path(delete, path = "/api/v1/favorites/{flyer_id}/", security(("bearer" = [])), params(
    ("flyer_id" = i64, Path, description = "The flyer"),
), responses(
    (status = 204, description = "The flyer is no favorite"),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    Id(flyer): Id,
) -> Result<StatusCode, Problem> {
    let Some(flyer) = flyer else {
        return Ok(StatusCode::NO_CONTENT);
    };
    let removed = query(DELETE)
        .bind(caller.id)
        .bind(flyer)
        .execute(state.database.write())
        .await?;
    if removed == 0 {
        user_must_exist(&state.database, caller.id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the pair is new.
async fn insert(
    database: &Database,
    user: i64,
    flyer: i64,
    now: DateTime<Utc>,
) -> Result<bool, Problem> {
    let inserted: Result<Option<(i64,)>, sqlx::Error> = query(INSERT)
        .bind(user)
        .bind(flyer)
        .bind(now)
        .fetch_optional(database.write())
        .await;
    match inserted {
        Ok(row) => Ok(row.is_some()),
        Err(error) if is_foreign_key(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Nothing if another request took the pair away just now.
async fn since(
    database: &Database,
    user: i64,
    flyer: i64,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, Problem> {
    let row: Option<(Option<DateTime<Utc>>, bool)> = query(SINCE)
        .bind(user)
        .bind(flyer)
        .bind(now)
        .fetch_optional(database.read())
        .await?;
    match row {
        None => Err(gone()),
        Some((None, false)) => Err(Problem::not_found(
            "there is no such flyer, or it has expired",
        )),
        Some((since, _)) => Ok(since),
    }
}

/// Whether a row that is pointed at went away while the statement ran.
pub(crate) fn is_foreign_key(error: &sqlx::Error) -> bool {
    let error = error.as_database_error();
    error.is_some_and(|error| error.is_foreign_key_violation())
}

/// Other requests put the pair in and take it away again and again.
pub(crate) fn changed_meanwhile() -> Problem {
    Problem::unavailable(
        "other requests change the same thing",
        Duration::from_secs(1),
    )
}

/// The token is good but its user is gone.
pub(crate) fn gone() -> Problem {
    Problem::unauthorized("this account no longer exists")
}
