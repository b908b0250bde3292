//! The profile page of a user.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{
    clock::now,
    database::{Text, query},
    id::Id,
    page::Link,
    problem::Problem,
    text,
    token::Caller,
};

use super::{gone, no_such_user, thumbnail};
use crate::{app::State, pictures};

/// `$1` user, `$2` now, `$3` whether the caller is that user.
pub(crate) const PROFILE: Text = text!(
    "
SELECT u.id, u.username, p.name, p.bio, p.profile_picture,
       CASE WHEN $3 THEN (
           SELECT count(*)
           FROM flyers AS a
           WHERE a.creator_id = u.id
       ) ELSE (
           SELECT count(*)
           FROM flyers AS f"
    { " INDEXED BY flyers_live_creator" | "" }
    "
           WHERE f.creator_id = u.id
             AND f.is_active
             AND f.publication_date <= $2
             AND f.expiration_date > $2
       ) END AS flyer_count
FROM users AS u
JOIN profiles AS p ON p.user_id = u.id
WHERE u.id = $1");

/// `$1` user, `$2` now, `$3` limit.
pub(crate) const PUBLISHED: Text = text!(
    "
SELECT f.id, f.title, f.created_at,
       (SELECT i.path FROM flyer_images AS i WHERE i.flyer_id = f.id ORDER BY i.position LIMIT 1) AS cover
FROM flyers AS f"
    { " INDEXED BY flyers_live_creator" | "" }
    "
WHERE f.creator_id = $1
  AND f.is_active
  AND f.publication_date <= $2
  AND f.expiration_date > $2
ORDER BY f.created_at DESC, f.id DESC
LIMIT $3");

/// Flyers in a profile: as many as a feed page holds. The list of all has pages.
const PUBLISHED_SHOWN: i64 = 50;

/// A profile page.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Profile {
    user_id: i64,
    name: String,
    bio: Option<String>,
    /// Never null: those without a picture get the default one.
    profile_picture_url: String,
    /// Live flyers; all of them for the user.
    flyer_count: i64,
    /// The newest live flyers, 50 at most.
    published_flyers: Vec<Published>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Published {
    id: i64,
    title: String,
    thumbnail: Option<String>,
    created_at: DateTime<Utc>,
}

#[derive(sqlx_macros::FromRow)]
struct ProfileRow {
    id: i64,
    username: String,
    name: Option<String>,
    bio: Option<String>,
    profile_picture: Option<String>,
    flyer_count: i64,
}

#[derive(sqlx_macros::FromRow)]
struct PublishedRow {
    id: i64,
    title: String,
    created_at: DateTime<Utc>,
    cover: Option<String>,
}

/// A profile
#[utoipa::path(get, path = "/api/v1/users/{id}/profile/", params(("id" = i64, Path, description = "The user")),
    security((), ("bearer" = [])), responses(
    (status = 200, description = "The profile with the newest live flyers", body = Profile),
    (status = 404, description = "There is no such user"),
))]
pub(crate) async fn profile(
    FromState(state): FromState<State>,
    id: Id,
    caller: Option<Caller>,
    link: Link,
) -> Result<Json<Profile>, Problem> {
    let id = id.or(no_such_user)?;
    let own = caller.is_some_and(|caller| caller.id == id);
    let profile = load(&state, id, own, &link).await?;
    profile.map(Json).ok_or_else(no_such_user)
}

/// Your own profile
///
/// As others see it, but every flyer counts.
#[utoipa::path(get, path = "/api/v1/users/me/profile/", security(("bearer" = [])), responses(
    (status = 200, description = "The profile", body = Profile),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn own_profile(
    FromState(state): FromState<State>,
    caller: Caller,
    link: Link,
) -> Result<Json<Profile>, Problem> {
    of_caller(&state, caller, &link).await
}

/// The profile of the caller as the database knows it now.
pub(super) async fn of_caller(
    state: &State,
    caller: Caller,
    link: &Link,
) -> Result<Json<Profile>, Problem> {
    let profile = load(state, caller.id, true, link).await?;
    profile.map(Json).ok_or_else(gone)
}

async fn load(state: &State, id: i64, own: bool, link: &Link) -> Result<Option<Profile>, Problem> {
    let now = now();
    let row: Option<ProfileRow> = query(PROFILE)
        .bind(id)
        .bind(now)
        .bind(own)
        .fetch_optional(state.database.read())
        .await?;
    let Some(row) = row else { return Ok(None) };
    let published: Vec<PublishedRow> = query(PUBLISHED)
        .bind(id)
        .bind(now)
        .bind(PUBLISHED_SHOWN)
        .fetch_all(state.database.read())
        .await?;
    Ok(Some(Profile {
        user_id: row.id,
        name: row.name.unwrap_or(row.username),
        bio: row.bio,
        profile_picture_url: pictures::avatar_url(link.origin(), row.profile_picture.as_deref()),
        flyer_count: row.flyer_count,
        published_flyers: published
            .into_iter()
            .map(|flyer| Published {
                id: flyer.id,
                title: flyer.title,
                thumbnail: thumbnail(link, flyer.cover.as_deref()),
                created_at: flyer.created_at,
            })
            .collect(),
    }))
}
