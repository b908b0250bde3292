//! Users: what is seen of them, what they change about themselves.

mod edit;
mod own;
mod picture;
mod privacy;
mod profile;

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{
    database::query,
    id::Id,
    page::{Link, Page},
    problem::Problem,
    query::Params,
    token::Caller,
};

pub(crate) use self::{
    edit::{__path_change_profile, UPDATE, change_profile},
    own::{__path_own_flyers, COUNT_OWN, OWN, own_flyers},
    picture::{__path_put_picture, __path_remove_picture, OF_PROFILE, put_picture, remove_picture},
    privacy::{
        __path_change_privacy, __path_privacy, CHANGE_PRIVACY, PRIVACY, change_privacy, privacy,
    },
    profile::{__path_own_profile, __path_profile, PROFILE, PUBLISHED, own_profile, profile},
};
use crate::{
    app::State,
    describe::FeedParams,
    feed::{self, Card},
    pictures,
};

/// `$1` user.
pub(crate) const USER: &str = "
SELECT u.id, u.username, p.profile_picture, p.bio, u.created_at
FROM users AS u
JOIN profiles AS p ON p.user_id = u.id
WHERE u.id = $1";

/// A user as others see them.
#[derive(Serialize, sqlx_macros::FromRow, utoipa::ToSchema)]
pub(crate) struct User {
    id: i64,
    username: String,
    /// Null if there is none.
    profile_picture: Option<String>,
    bio: Option<String>,
    created_at: DateTime<Utc>,
}

/// A user
#[utoipa::path(get, path = "/api/v1/users/{id}/", params(("id" = i64, Path, description = "The user")), responses(
    (status = 200, description = "The user", body = User),
    (status = 404, description = "There is none"),
))]
pub(crate) async fn user(
    FromState(state): FromState<State>,
    id: Id,
    link: Link,
) -> Result<Json<User>, Problem> {
    let user: Option<User> = query(USER)
        .bind(id.or(no_such_user)?)
        .fetch_optional(state.database.read())
        .await?;
    let mut user = user.ok_or_else(no_such_user)?;
    user.profile_picture = user
        .profile_picture
        .map(|path| pictures::url(link.origin(), &path));
    Ok(Json(user))
}

/// A user's flyers
///
/// Live ones, newest first; the user sees expired and scheduled ones too. Takes the
/// parameters of the feed.
#[utoipa::path(get, path = "/api/v1/users/{id}/flyers/", params(
    ("id" = i64, Path, description = "The user"), FeedParams,
), security((), ("bearer" = [])), responses(
    (status = 200, description = "A page of flyers", body = Page<Card>),
    (status = 404, description = "There is no such user, or the page is past the end"),
))]
pub(crate) async fn flyers_of_user(
    FromState(state): FromState<State>,
    id: Id,
    caller: Option<Caller>,
    params: Params,
    link: Link,
) -> Result<Json<Page<Card>>, Problem> {
    feed::of_creator(&state, caller, id.or(no_such_user)?, &params, &link).await
}

fn thumbnail(link: &Link, cover: Option<&str>) -> Option<String> {
    cover.map(|path| pictures::sized_url(link.origin(), path, 300))
}

/// The token is good but its user is gone.
fn gone() -> Problem {
    Problem::unauthorized("this account no longer exists")
}

fn no_such_user() -> Problem {
    Problem::not_found("there is no such user")
}
