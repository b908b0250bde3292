//! Links to a collection: who has one sees it, as long as the link lasts and the collection is not
//! private.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    fields::{check, within},
    id::{Id, Segments},
    page::Link as Url,
    problem::{Fields, Problem},
    token::Caller,
};
use sqlx_macros::FromRow;

use super::{
    edit::{not_own, own_row},
    record::unknown,
};
use crate::{
    app::State,
    cached,
    token::{self, DEFAULT_DAYS, MOST_DAYS},
    views::Link,
};

/// How long a link lasts.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct NewLink {
    /// 180 unless it says so; 0 is for ever.
    #[schema(minimum = 0, maximum = 3650)]
    expires_in_days: Option<i64>,
}

/// A link to a collection.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LinkRead {
    token: String,
    share_url: String,
    view_count: i64,
    /// Views by programs that look for pages, among them.
    crawler_views: i64,
    is_expired: bool,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

#[derive(FromRow)]
struct LinkRow {
    id: i64,
    token: String,
    view_count: i64,
    crawler_views: i64,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

impl LinkRow {
    fn read(self, state: &State, url: &Url) -> LinkRead {
        let (views, by_crawlers) = state.views.waiting(Link::Collection(self.id));
        LinkRead {
            share_url: format!("{}/api/v1/collections/shared/{}", url.origin(), self.token),
            token: self.token,
            view_count: self.view_count + views,
            crawler_views: self.crawler_views + by_crawlers,
            is_expired: self.expires_at.is_some_and(|end| end <= now()),
            expires_at: self.expires_at,
            created_at: self.created_at,
        }
    }
}

pub(crate) const INSERT: &str = "
INSERT INTO collection_share_token (collection_id, token, expires_at, created_at, updated_at)
VALUES ($1, $2, $3, $4, $4)
RETURNING id, token, view_count, crawler_views, expires_at, created_at";

/// A new link to a collection
#[utoipa::path(post, path = "/api/v1/collections/{id}/share-tokens/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
), request_body = NewLink, responses(
    (status = 201, description = "The link", body = LinkRead),
    (status = 403, description = "The collection is another user's"),
    (status = 404, description = "There is no such collection"),
    (status = 409, description = "The collection is private"),
))]
#[tracing::instrument(name = "collections.share", skip_all)]
pub(crate) async fn new_link(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    url: Url,
    Body(new): Body<NewLink>,
) -> Result<(StatusCode, Json<LinkRead>), Problem> {
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
    let (shared, token) = (state.clone(), token::new());
    let tags = [cached::share(&token)];
    let row = cached::write(&state.cache, tags, move |_| async move {
        insert(&shared, caller, id, &token, days).await
    })
    .await?;
    Ok((StatusCode::CREATED, Json(row.read(&state, &url))))
}

async fn insert(
    state: &State,
    caller: Caller,
    id: i64,
    token: &str,
    days: i64,
) -> Result<LinkRow, Problem> {
    let mut tx = state.database.begin().await?;
    let collection = own_row(state, &mut tx, caller, id).await?;
    if collection.visibility == "private" {
        return Err(Problem::conflict(
            "visibility",
            "a private collection has no links; show it to others first",
        ));
    }
    let now = now();
    let row: LinkRow = query(INSERT)
        .bind(id)
        .bind(token)
        .bind(token::end(now, days))
        .bind(now)
        .fetch_one(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}

/// A collection has few links; more than these are not listed.
const MOST_LINKS: i64 = 200;

pub(crate) const LIST: &str = "
SELECT t.id, t.token, t.view_count, t.crawler_views, t.expires_at, t.created_at
FROM collection_share_token AS t
JOIN collection AS c ON c.id = t.collection_id
WHERE t.collection_id = $1
  AND c.user_id = $2
ORDER BY t.id DESC
LIMIT $3";

/// Links to a collection, newest first
#[utoipa::path(get, path = "/api/v1/collections/{id}/share-tokens/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
), responses(
    (status = 200, description = "The links, 200 at most", body = Vec<LinkRead>),
    (status = 403, description = "The collection is another user's"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.list_shares", skip_all)]
pub(crate) async fn links(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    url: Url,
) -> Result<Json<Vec<LinkRead>>, Problem> {
    let id = id.or(unknown)?;
    let rows: Vec<LinkRow> = query(LIST)
        .bind(id)
        .bind(caller.id)
        .bind(MOST_LINKS)
        .fetch_all(state.database.read())
        .await?;
    if rows.is_empty() {
        let owner: Option<(i64,)> = query(super::edit::OWNER)
            .bind(id)
            .fetch_optional(state.database.read())
            .await?;
        if owner != Some((caller.id,)) {
            return Err(not_own(&state, caller, id).await?);
        }
    }
    Ok(Json(
        rows.into_iter().map(|row| row.read(&state, &url)).collect(),
    ))
}

/// `$1` token, `$2` collection, `$3` its owner, `$4` now. What has ended stays ended.
pub(crate) const END: &str = "
UPDATE collection_share_token
SET expires_at = $4, updated_at = $4
WHERE token = $1
  AND collection_id = $2
  AND (expires_at IS NULL OR expires_at > $4)
  AND EXISTS (SELECT 1 FROM collection AS c WHERE c.id = $2 AND c.user_id = $3)";

/// End a link
///
/// It shows nothing from now on, to anybody. Its views stay counted.
#[utoipa::path(delete, path = "/api/v1/collections/{id}/share-tokens/{token}/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
    ("token" = String, Path, description = "The token of the link"),
), responses(
    (status = 204, description = "It has ended"),
    (status = 403, description = "The collection is another user's"),
    (status = 404, description = "There is no such link, or it has ended before"),
))]
#[tracing::instrument(name = "collections.unshare", skip_all)]
pub(crate) async fn end_link(
    FromState(state): FromState<State>,
    caller: Caller,
    path: Segments<2>,
) -> Result<StatusCode, Problem> {
    let id = path.number(0).ok_or_else(unknown)?;
    let Segments([_, token]) = path;
    if !token::is_possible(&token) {
        return Err(no_link());
    }
    let database = state.database.clone();
    let tags = [cached::share(&token)];
    let end = query(END).bind(token).bind(id).bind(caller.id).bind(now());
    let ended = cached::write(&state.cache, tags, move |_| async move {
        Ok(end.execute(database.write()).await?)
    })
    .await?;
    if ended > 0 {
        return Ok(StatusCode::NO_CONTENT);
    }
    let why = not_own(&state, caller, id).await?;
    Err(match why.status() {
        StatusCode::FORBIDDEN => why,
        _ => no_link(),
    })
}

fn no_link() -> Problem {
    Problem::not_found("there is no such link to this collection, or it has ended")
}
