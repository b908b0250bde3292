//! What is seen of a user: account, profile, flyers.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    clock::now,
    cursor,
    database::{Text, query},
    id::Id,
    page::{COUNT_CAP, Link, Page, PageRequest, Start},
    problem::{Fields, Problem},
    query::Params,
    text,
    token::Caller,
};

use crate::{
    app::State,
    expiry::{Status, Validity},
    feed::{self, Card, Extras},
    pictures,
};

/// `$1` user.
pub(crate) const USER: &str = "
SELECT u.id, u.username, p.profile_picture, p.bio, u.created_at
FROM users AS u
JOIN profiles AS p ON p.user_id = u.id
WHERE u.id = $1";

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

/// `$1` user, `$2`, `$3` publication and id of the row before, `$4` limit, `$5` offset.
pub(crate) const OWN: Text = text!(
    "
SELECT f.id, f.title, f.location_address, f.publication_date, f.expiration_date, f.is_active,
       (SELECT i.path FROM flyer_images AS i WHERE i.flyer_id = f.id ORDER BY i.position LIMIT 1) AS cover
FROM flyers AS f"
    { " INDEXED BY flyers_creator_published" | "" }
    "
WHERE f.creator_id = $1
  AND (f.publication_date, f.id) < ($2, $3)
ORDER BY f.publication_date DESC, f.id DESC
LIMIT $4 OFFSET $5");

/// `$1` user, `$2` where counting stops.
pub(crate) const COUNT_OWN: &str = "
SELECT count(*)
FROM (
    SELECT 1
    FROM flyers AS f
    WHERE f.creator_id = $1
    LIMIT $2
) AS own";

/// Rows on a page of one's own flyers at most.
const LARGEST_OWN_PAGE: i64 = 100;
/// Flyers in a profile: as many as a feed page holds. The list of all has pages.
const PUBLISHED_SHOWN: i64 = 50;

/// A user as others see them.
#[derive(Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub(crate) struct User {
    id: i64,
    username: String,
    /// Null if there is none.
    profile_picture: Option<String>,
    bio: Option<String>,
    created_at: DateTime<Utc>,
}

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

/// One of the caller's flyers.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Own {
    id: i64,
    title: String,
    /// Of the first picture.
    thumbnail: Option<String>,
    status: Status,
    publication_date: DateTime<Utc>,
    expiration_date: DateTime<Utc>,
    location_address: String,
    category_tags: Vec<String>,
}

#[derive(sqlx::FromRow)]
struct ProfileRow {
    id: i64,
    username: String,
    name: Option<String>,
    bio: Option<String>,
    profile_picture: Option<String>,
    flyer_count: i64,
}

#[derive(sqlx::FromRow)]
struct PublishedRow {
    id: i64,
    title: String,
    created_at: DateTime<Utc>,
    cover: Option<String>,
}

#[derive(sqlx::FromRow)]
struct OwnRow {
    id: i64,
    title: String,
    location_address: String,
    publication_date: DateTime<Utc>,
    expiration_date: DateTime<Utc>,
    is_active: bool,
    cover: Option<String>,
}

/// Publication in microseconds, id.
#[derive(Serialize, Deserialize)]
struct OwnKey(i64, i64);

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

/// A profile
#[utoipa::path(get, path = "/api/v1/users/{id}/profile/", params(("id" = i64, Path, description = "The user")), responses(
    (status = 200, description = "The profile with the newest live flyers", body = Profile),
    (status = 404, description = "There is no such user"),
))]
pub(crate) async fn profile(
    FromState(state): FromState<State>,
    id: Id,
    caller: Option<Caller>,
    link: Link,
) -> Result<Json<Profile>, Problem> {
    let (id, now) = (id.or(no_such_user)?, now());
    let own = caller.is_some_and(|caller| caller.id == id);
    let row: Option<ProfileRow> = query(PROFILE)
        .bind(id)
        .bind(now)
        .bind(own)
        .fetch_optional(state.database.read())
        .await?;
    let row = row.ok_or_else(no_such_user)?;
    let published: Vec<PublishedRow> = query(PUBLISHED)
        .bind(id)
        .bind(now)
        .bind(PUBLISHED_SHOWN)
        .fetch_all(state.database.read())
        .await?;
    Ok(Json(Profile {
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
                thumbnail: thumbnail(&link, flyer.cover.as_deref()),
                created_at: flyer.created_at,
            })
            .collect(),
    }))
}

/// A user's flyers
///
/// Live ones, newest first; the user sees expired and scheduled ones too. Takes the
/// parameters of the feed.
#[utoipa::path(get, path = "/api/v1/users/{id}/flyers/", params(("id" = i64, Path, description = "The user")), responses(
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

/// Your own flyers
///
/// All of them with their status, latest publication first.
#[utoipa::path(get, path = "/api/v1/users/me/flyers/", security(("bearer" = [])), params(
    ("page" = Option<i64>, Query, description = "Number of the page, from 1"),
    ("page_size" = Option<i64>, Query, description = "Flyers on a page, 20 by default, 100 at most"),
    ("cursor" = Option<String>, Query, description = "next_cursor of the page before, or empty"),
), responses(
    (status = 200, description = "A page of flyers", body = Page<Own>),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn own_flyers(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
    link: Link,
) -> Result<Json<Page<Own>>, Problem> {
    let now = now();
    let mut fields = Fields::new();
    let page = PageRequest::read(&params, LARGEST_OWN_PAGE, &mut fields);
    if !fields.is_empty() {
        return Err(Problem::validation(fields));
    }
    let mut rows = own_rows(&state, caller, &page).await?;
    let shown = usize::try_from(page.size).unwrap_or(usize::MAX);
    let more = rows.len() > shown;
    rows.truncate(shown);
    let next_cursor = rows
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(&OwnKey(last.publication_date.timestamp_micros(), last.id)));
    let count = match page.start {
        Start::Number(_) => Some(count_own(&state, caller).await?),
        Start::Cursor(_) => None,
    };
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut extras = Extras::load_categories(&state, &ids).await?;
    let results = rows
        .into_iter()
        .map(|row| own(row, &mut extras, now, &link))
        .collect();
    Page::new(&page, &link, results, next_cursor, count).map(Json)
}

async fn own_rows(
    state: &State,
    caller: Caller,
    page: &PageRequest,
) -> Result<Vec<OwnRow>, Problem> {
    let damaged = || Problem::invalid("cursor", "not a cursor of this list");
    let (before, id) = match &page.start {
        Start::Cursor(Some(text)) => {
            let OwnKey(micros, id) = cursor::decode("cursor", text)?;
            (
                DateTime::from_timestamp_micros(micros).ok_or_else(damaged)?,
                id,
            )
        }
        _ => (feed::statement::END_OF_TIME, i64::MAX),
    };
    Ok(query(OWN)
        .bind(caller.id)
        .bind(before)
        .bind(id)
        .bind(page.limit())
        .bind(page.offset())
        .fetch_all(state.database.read())
        .await?)
}

async fn count_own(state: &State, caller: Caller) -> Result<i64, Problem> {
    Ok(query(COUNT_OWN)
        .bind(caller.id)
        .bind(COUNT_CAP + 1)
        .fetch_scalar(state.database.read())
        .await?)
}

fn own(row: OwnRow, extras: &mut Extras, now: DateTime<Utc>, link: &Link) -> Own {
    let validity = Validity {
        is_active: row.is_active,
        publication: row.publication_date,
        expiration: row.expiration_date,
    };
    Own {
        id: row.id,
        title: row.title,
        thumbnail: thumbnail(link, row.cover.as_deref()),
        status: validity.status(now),
        publication_date: row.publication_date,
        expiration_date: row.expiration_date,
        location_address: row.location_address,
        category_tags: extras.take_categories(row.id),
    }
}

fn thumbnail(link: &Link, cover: Option<&str>) -> Option<String> {
    cover.map(|path| pictures::sized_url(link.origin(), path, 300))
}

fn no_such_user() -> Problem {
    Problem::not_found("there is no such user")
}
