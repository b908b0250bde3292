//! Who follows whom.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{Database, query},
    id::Id,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

use crate::{
    app::State,
    favorites::{ATTEMPTS, changed_meanwhile, gone, is_foreign_key},
    feed::user_must_exist,
};

/// `$1` follower, `$2` followed, `$3` now. Writes nothing where one of them is gone or the
/// two are a pair already.
pub(crate) const INSERT: &str = "
INSERT INTO follows (follower_id, followed_id, created_at)
SELECT me.id, them.id, $3
FROM users AS me
CROSS JOIN users AS them
WHERE me.id = $1
  AND them.id = $2
ON CONFLICT (follower_id, followed_id) DO NOTHING
RETURNING id";

/// `$1` follower, `$2` followed: since when the one follows the other, and whether there is
/// the other.
pub(crate) const SINCE: &str = "
SELECT v.created_at,
       EXISTS (SELECT 1 FROM users AS them WHERE them.id = $2) AS is_there
FROM users AS me
LEFT JOIN follows AS v ON v.follower_id = me.id AND v.followed_id = $2
WHERE me.id = $1";

pub(crate) const DELETE: &str = "
DELETE FROM follows
WHERE follower_id = $1
  AND followed_id = $2";

/// `$1` follower or null, `$2` followed.
pub(crate) const STATUS: &str = "
SELECT u.id,
       EXISTS (SELECT 1 FROM follows AS v WHERE v.follower_id = $1 AND v.followed_id = u.id) AS is_following
FROM users AS u
WHERE u.id = $2";

/// Whom to follow.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewFollow {
    #[schema(required, nullable = false)]
    followed_id: Option<i64>,
}

/// A user who follows another.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Follow {
    follower_id: i64,
    followed_id: i64,
    created_at: DateTime<Utc>,
}

/// Whether the caller follows a user.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct FollowStatus {
    is_following: bool,
    followed_user_id: i64,
}

/// Follow a user
///
/// Following again changes nothing.
#[utoipa::path(post, path = "/api/v1/follows/", request_body = NewFollow, security(("bearer" = [])), responses(
    (status = 201, description = "The caller follows the user now", body = Follow),
    (status = 200, description = "The caller did so already", body = Follow),
    (status = 400, description = "followed_id is missing, no whole number, or the caller"),
    (status = 401, description = "Sign in first"),
    (status = 404, description = "There is no such user"),
))]
pub(crate) async fn add(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(new): Body<NewFollow>,
) -> Result<(StatusCode, Json<Follow>), Problem> {
    let Some(followed_id) = new.followed_id else {
        return Err(Problem::invalid("followed_id", "is required"));
    };
    if followed_id == caller.id {
        return Err(Problem::invalid("followed_id", "Cannot follow yourself"));
    }
    let now = now();
    for _ in 0..ATTEMPTS {
        let found = if insert(&state.database, caller.id, followed_id, now).await? {
            Some((StatusCode::CREATED, now))
        } else {
            let since = since(&state.database, caller.id, followed_id).await?;
            since.map(|since| (StatusCode::OK, since))
        };
        if let Some((status, created_at)) = found {
            let follow = Follow {
                follower_id: caller.id,
                followed_id,
                created_at,
            };
            return Ok((status, Json(follow)));
        }
    }
    Err(changed_meanwhile())
}

/// Follow a user no more
///
/// Nothing happens to one who was not followed.
#[utoipa::path(delete, path = "/api/v1/follows/{user_id}/", security(("bearer" = [])), params(
    ("user_id" = i64, Path, description = "The user"),
), responses(
    (status = 204, description = "The caller does not follow the user"),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    Id(followed): Id,
) -> Result<StatusCode, Problem> {
    let Some(followed) = followed else {
        return Ok(StatusCode::NO_CONTENT);
    };
    let removed = query(DELETE)
        .bind(caller.id)
        .bind(followed)
        .execute(state.database.write())
        .await?;
    if removed == 0 {
        user_must_exist(&state.database, caller.id).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Do I follow this user?
///
/// No, for anonymous callers.
#[utoipa::path(get, path = "/api/v1/follows/status/", security((), ("bearer" = [])), params(
    ("user_id" = i64, Query, description = "The user"),
), responses(
    (status = 200, description = "Yes or no", body = FollowStatus),
    (status = 400, description = "user_id is missing or no whole number"),
    (status = 404, description = "There is no such user"),
))]
pub(crate) async fn status(
    FromState(state): FromState<State>,
    caller: Option<Caller>,
    params: Params,
) -> Result<Json<FollowStatus>, Problem> {
    let mut fields = Fields::new();
    let user = params.integer("user_id", &mut fields);
    let Some(user) = user else {
        fields
            .entry("user_id".to_owned())
            .or_insert_with(|| "is required".to_owned());
        return Err(Problem::validation(fields));
    };
    let row: Option<(i64, bool)> = query(STATUS)
        .bind(caller.map(|caller| caller.id))
        .bind(user)
        .fetch_optional(state.database.read())
        .await?;
    let (followed_user_id, is_following) = row.ok_or_else(no_such_user)?;
    Ok(Json(FollowStatus {
        is_following,
        followed_user_id,
    }))
}

/// Whether the pair is new.
async fn insert(
    database: &Database,
    follower: i64,
    followed: i64,
    now: DateTime<Utc>,
) -> Result<bool, Problem> {
    let inserted: Result<Option<(i64,)>, sqlx::Error> = query(INSERT)
        .bind(follower)
        .bind(followed)
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
    follower: i64,
    followed: i64,
) -> Result<Option<DateTime<Utc>>, Problem> {
    let row: Option<(Option<DateTime<Utc>>, bool)> = query(SINCE)
        .bind(follower)
        .bind(followed)
        .fetch_optional(database.read())
        .await?;
    match row {
        None => Err(gone()),
        Some((None, false)) => Err(no_such_user()),
        Some((since, _)) => Ok(since),
    }
}

fn no_such_user() -> Problem {
    Problem::not_found("there is no such user")
}
