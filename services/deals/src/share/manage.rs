//! Making links to listings, ending them, and seeing who looked.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    fields::{check, within},
    id::{Id, Segments},
    page::{DEEPEST, Link as Url},
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};
use sqlx_macros::FromRow;

use crate::{
    app::State,
    cached,
    token::{self, DEFAULT_DAYS, MOST_DAYS},
    views::Link,
};

/// How long a link lasts.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct NewShare {
    /// 180 unless it says so; 0 is for ever.
    #[schema(minimum = 0, maximum = 3650)]
    expires_in_days: Option<i64>,
}

/// A new link.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ShareMade {
    share_token: String,
    share_url: String,
    expires_at: Option<DateTime<Utc>>,
}

/// A link of one's own.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OwnShare {
    listing_id: i64,
    share_token: String,
    share_url: String,
    view_count: i64,
    /// Views by programs that look for pages, among them.
    crawler_views: i64,
    is_expired: bool,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct ShareRow {
    id: i64,
    listing_id: i64,
    share_token: String,
    view_count: i64,
    crawler_views: i64,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

fn url_of(url: &Url, listing: i64, token: &str) -> String {
    format!("{}/api/v1/deals/{listing}/{token}", url.origin())
}

/// `$1` listing, `$2` user, `$3` token, `$4` end, `$5` now. Nothing if either is not there.
pub(crate) const INSERT: &str = "
INSERT INTO listing_share (listing_id, created_by, share_token, expires_at, created_at)
SELECT l.id, u.id, $3, $4, $5
FROM listing AS l
CROSS JOIN \"user\" AS u
WHERE l.id = $1
  AND u.id = $2
RETURNING id";

/// A new link to a listing
#[utoipa::path(post, path = "/api/v1/listings/{id}/share/", tag = "shares", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
), request_body = NewShare, responses(
    (status = 201, description = "The link", body = ShareMade),
    (status = 404, description = "There is no such listing"),
))]
#[tracing::instrument(name = "shares.create", skip_all)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    url: Url,
    Body(new): Body<NewShare>,
) -> Result<(StatusCode, Json<ShareMade>), Problem> {
    let mut fields = Fields::new();
    let days = within(
        "expires_in_days",
        new.expires_in_days,
        DEFAULT_DAYS,
        0..=MOST_DAYS,
        &mut fields,
    );
    check(fields)?;
    let id = id.or(unknown)?;
    let (now, token) = (now(), token::new());
    let expires_at = token::end(now, days);
    let insert = query(INSERT)
        .bind(id)
        .bind(caller.id)
        .bind(token.as_str())
        .bind(expires_at)
        .bind(now);
    let database = state.database.clone();
    // Nobody can have asked for the token; what is cached by it is nothing at the most.
    let tags = [cached::share(&token)];
    cached::write(&state.cache, tags, move |_| async move {
        let made: Option<(i64,)> = insert.fetch_optional(database.write()).await?;
        made.ok_or_else(unknown)
    })
    .await?;
    let made = ShareMade {
        share_url: url_of(&url, id, &token),
        share_token: token,
        expires_at,
    };
    Ok((StatusCode::CREATED, Json(made)))
}

fn unknown() -> Problem {
    Problem::not_found("there is no such listing")
}

/// `$1` token, `$2` listing, `$3` who made it.
pub(crate) const DELETE: &str = "
DELETE FROM listing_share
WHERE share_token = $1
  AND listing_id = $2
  AND created_by = $3";

/// End a link to a listing
///
/// One's own. It shows nothing from now on, to anybody.
#[utoipa::path(delete, path = "/api/v1/listings/{id}/share/{token}/", tag = "shares", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
    ("token" = String, Path, description = "The token of the link"),
), responses(
    (status = 204, description = "It is gone"),
    (status = 404, description = "There is no such link of one's own"),
))]
#[tracing::instrument(name = "shares.revoke", skip_all)]
pub(crate) async fn revoke(
    FromState(state): FromState<State>,
    caller: Caller,
    path: Segments<2>,
) -> Result<StatusCode, Problem> {
    let listing = path.number(0).ok_or_else(no_link)?;
    let Segments([_, token]) = path;
    if !token::is_possible(&token) {
        return Err(no_link());
    }
    let database = state.database.clone();
    let tags = [cached::share(&token)];
    let delete = query(DELETE).bind(token).bind(listing).bind(caller.id);
    let deleted = cached::write(&state.cache, tags, move |_| async move {
        Ok(delete.execute(database.write()).await?)
    })
    .await?;
    match deleted {
        0 => Err(no_link()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

fn no_link() -> Problem {
    Problem::not_found("there is no such link of yours")
}

const COLUMNS: &str =
    "h.id, h.listing_id, h.share_token, h.view_count, h.crawler_views, h.expires_at, h.created_at";

/// Own links to a listing, newest first
#[utoipa::path(get, path = "/api/v1/listings/{id}/share/", tag = "shares", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Links to show; 20"),
    ("offset" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Links to pass over"),
), responses(
    (status = 200, description = "The links", body = Vec<OwnShare>),
    (status = 404, description = "The path names no listing"),
))]
#[tracing::instrument(name = "shares.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    url: Url,
    params: Params,
) -> Result<Json<Vec<OwnShare>>, Problem> {
    let mut fields = Fields::new();
    let limit = params.integer("limit", &mut fields);
    let limit = within("limit", limit, 20, 1..=100, &mut fields);
    let offset = params.integer("offset", &mut fields);
    let offset = within("offset", offset, 0, 0..=DEEPEST, &mut fields);
    check(fields)?;
    let id = id.or(unknown)?;
    let rows: Vec<ShareRow> = query(format!(
        "SELECT {COLUMNS}
FROM listing_share AS h
WHERE h.listing_id = $1
  AND h.created_by = $2
ORDER BY h.id DESC
LIMIT $3 OFFSET $4"
    ))
    .bind(id)
    .bind(caller.id)
    .bind(limit)
    .bind(offset)
    .fetch_all(state.database.read())
    .await?;
    Ok(Json(
        rows.into_iter().map(|row| row.read(&state, &url)).collect(),
    ))
}

impl ShareRow {
    fn read(self, state: &State, url: &Url) -> OwnShare {
        let (views, by_crawlers) = state.views.waiting(Link::Listing(self.id));
        OwnShare {
            listing_id: self.listing_id,
            share_url: url_of(url, self.listing_id, &self.share_token),
            share_token: self.share_token,
            view_count: self.view_count + views,
            crawler_views: self.crawler_views + by_crawlers,
            is_expired: self.expires_at.is_some_and(|end| end <= now()),
            expires_at: self.expires_at,
            created_at: self.created_at,
        }
    }
}
