//! A collection with its items and their listings: two statements, however many items, and none
//! when it is cached.

use std::sync::Arc;

use axum::{
    extract::State as FromState,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    clock::now,
    cursor,
    database::{Database, Value, query},
    fields::{check, choice, within},
    id::{Id, Segments},
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};
use sqlx_macros::FromRow;

use super::record::{
    COLUMNS, CollectionRead, CollectionRow, ITEM, ItemPage, ItemRead, ItemRow,
    PublicCollectionRead, STATUSES, foreign, unknown,
};
use crate::{
    app::State,
    cached,
    listing::{JOINS, ListingSummary, SUMMARY, SummaryRow},
    share::is_crawler,
    token,
    views::Link,
};

/// Items on a page at most, and unless the request says otherwise.
const MOST: i64 = 200;

/// Which items are shown, and how.
#[derive(Debug, Clone)]
pub(super) struct Window {
    limit: i64,
    status: Option<&'static str>,
    by_time: bool,
    with_listings: bool,
    after: Option<Place>,
}

impl Default for Window {
    /// The first 200 items by position, with their listings.
    fn default() -> Self {
        Self {
            limit: MOST,
            status: None,
            by_time: false,
            with_listings: true,
            after: None,
        }
    }
}

/// Where a page ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
enum Place {
    Position(Option<i64>, i64),
    Time(DateTime<Utc>, i64),
}

/// A view that is ready to be sent.
#[derive(Serialize, Deserialize)]
struct View {
    user_id: i64,
    visibility: String,
    body: speedwell_cache::Response,
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Owner,
    Everybody,
}

#[derive(FromRow)]
pub(super) struct HeadRow {
    #[sqlx(flatten)]
    collection: CollectionRow,
    username: String,
}

#[derive(FromRow)]
struct FullRow {
    #[sqlx(flatten)]
    item: ItemRow,
    #[sqlx(flatten)]
    listing: SummaryRow,
}

/// A collection with its items
///
/// More than 200 items come in pages: `has_next` and `next_cursor` say so.
#[utoipa::path(get, path = "/api/v1/collections/{id}/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "Items on a page; 200"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("status" = Option<String>, Query, pattern = "^(undecided|shortlisted|rejected|bought)?$", description = "Only items of this status"),
    ("sort" = Option<String>, Query, pattern = "^(position|added_at)?$", description = "position (the default) or added_at, newest first"),
    ("expand" = Option<String>, Query, pattern = "^(listing|none)?$", description = "listing (the default) or none: items without their listings"),
), responses(
    (status = 200, description = "The collection", body = CollectionRead),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.get", skip_all, fields(cache_hit))]
pub(crate) async fn view(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    params: Params,
) -> Result<Response, Problem> {
    let window = Window::read(&params)?;
    let id = id.or(unknown)?;
    let view = find(&state, id, Audience::Owner, window)
        .await?
        .ok_or_else(unknown)?;
    if view.user_id != caller.id {
        return Err(foreign(&state));
    }
    Ok(answer(&view, "private, no-cache"))
}

/// A public collection
#[utoipa::path(get, path = "/api/v1/collections/public/{id}/", tag = "collections", params(
    ("id" = i64, Path, description = "The collection"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "Items on a page; 200"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("status" = Option<String>, Query, pattern = "^(undecided|shortlisted|rejected|bought)?$", description = "Only items of this status"),
    ("sort" = Option<String>, Query, pattern = "^(position|added_at)?$", description = "position (the default) or added_at, newest first"),
    ("expand" = Option<String>, Query, pattern = "^(listing|none)?$", description = "listing (the default) or none: items without their listings"),
), responses(
    (status = 200, description = "The collection", body = PublicCollectionRead),
    (status = 404, description = "There is no such collection, or it is not public"),
))]
#[tracing::instrument(name = "collections.get_public", skip_all, fields(cache_hit))]
pub(crate) async fn public(
    FromState(state): FromState<State>,
    id: Id,
    params: Params,
) -> Result<Response, Problem> {
    let window = Window::read(&params)?;
    let id = id.or(unknown)?;
    let view = find(&state, id, Audience::Everybody, window).await?;
    let view = view
        .filter(|view| view.visibility == "public")
        .ok_or_else(unknown)?;
    Ok(answer(&view, "no-cache"))
}

/// A collection by link
///
/// Counts a view. The link shows nothing once it has ended or the collection is private again.
#[utoipa::path(get, path = "/api/v1/collections/shared/{token}/", tag = "collections", params(
    ("token" = String, Path, description = "The token of the link"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 200, description = "Items on a page; 200"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
), responses(
    (status = 200, description = "The collection", body = PublicCollectionRead),
    (status = 404, description = "There is no such link, or it has ended"),
))]
#[tracing::instrument(name = "collections.get_shared", skip_all, fields(cache_hit))]
pub(crate) async fn shared(
    FromState(state): FromState<State>,
    path: Segments<1>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Segments([token]) = path;
    let window = Window::read(&params)?;
    let link = link(&state, &token).await?;
    let view = find(&state, link.collection_id, Audience::Everybody, window).await?;
    let view = view
        .filter(|view| view.visibility != "private")
        .ok_or_else(no_link)?;
    let views = state
        .views
        .count(Link::Collection(link.id), link.views, is_crawler(&headers));
    tracing::trace!(target: speedwell_trace::ATTRIBUTE, view_incremented = true, share_token = token::shown(&token));
    let mut response = answer(&view, "no-cache");
    response
        .headers_mut()
        .insert("x-view-count", HeaderValue::from(views));
    Ok(response)
}

/// Which collection a token shows, until when.
#[derive(Clone, FromRow, Serialize, Deserialize)]
struct LinkRow {
    id: i64,
    collection_id: i64,
    expires_at: Option<DateTime<Utc>>,
    #[sqlx(rename = "view_count")]
    views: i64,
}

pub(super) const LINK: &str = "
SELECT t.id, t.collection_id, t.expires_at, t.view_count
FROM collection_share_token AS t
WHERE t.token = $1";

async fn link(state: &State, token: &str) -> Result<Arc<LinkRow>, Problem> {
    if !token::is_possible(token) {
        return Err(no_link());
    }
    let (database, wanted) = (state.database.clone(), token.to_owned());
    let load = move || async move {
        query(LINK)
            .bind(wanted)
            .fetch_optional(database.read())
            .await
    };
    let key = format!("collection-token:{token}");
    let tags = [cached::share(token)];
    let link: Option<Arc<LinkRow>> =
        cached::find(&state.cache, &key, &cached::COLLECTION, tags, load).await?;
    let link = link.ok_or_else(no_link)?;
    match link.expires_at.is_some_and(|end| end <= now()) {
        true => Err(no_link()),
        false => Ok(link),
    }
}

fn no_link() -> Problem {
    Problem::not_found("there is no such link, or it has ended")
}

/// Sends what is ready.
fn answer(view: &View, control: &'static str) -> Response {
    let mut response = view.body.body().clone().into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(control));
    response
}

async fn find(
    state: &State,
    id: i64,
    audience: Audience,
    window: Window,
) -> Result<Option<Arc<View>>, Problem> {
    let key = format!("collection:{id}:{audience:?}:{}", window.key());
    let tags = [cached::collection(id), cached::COLLECTIONS.to_owned()];
    let database = state.database.clone();
    let load = move || async move { load(&database, id, audience, &window).await };
    let found = cached::find(&state.cache, &key, &cached::COLLECTION, tags, load).await?;
    let hit: Option<&View> = found.as_deref();
    tracing::trace!(target: speedwell_trace::ATTRIBUTE, collection_id = id, result_bytes = hit.map_or(0, |view| view.body.body().len()));
    Ok(found)
}

async fn load(
    database: &Database,
    id: i64,
    audience: Audience,
    window: &Window,
) -> Result<Option<View>, sqlx::Error> {
    let Some((head, items, page)) = read(database, id, window).await? else {
        return Ok(None);
    };
    let (user_id, visibility) = (head.collection.user_id, head.collection.visibility.clone());
    let body = match audience {
        Audience::Owner => speedwell_cache::Response::json(&CollectionRead {
            items: Some(items),
            limit: Some(page.limit),
            has_next: Some(page.has_next),
            next_cursor: page.next_cursor,
            ..head.collection.read()
        }),
        Audience::Everybody => speedwell_cache::Response::json(&PublicCollectionRead {
            items: Some(items.into_iter().map(without_notes).collect()),
            limit: Some(page.limit),
            has_next: Some(page.has_next),
            next_cursor: page.next_cursor,
            ..head.collection.read_by_all(head.username)
        }),
    };
    let body = body.map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Some(View {
        user_id,
        visibility,
        body,
    }))
}

/// Notes are for the owner alone.
fn without_notes(item: ItemRead) -> ItemRead {
    ItemRead {
        notes: None,
        ..item
    }
}

/// What stands above the items.
const READ: &str = "
FROM collection AS c
JOIN \"user\" AS u ON u.id = c.user_id
WHERE c.id = $1";

/// A collection and a page of its items: two statements.
pub(super) async fn read(
    database: &Database,
    id: i64,
    window: &Window,
) -> Result<Option<(HeadRow, Vec<ItemRead>, ItemPage)>, sqlx::Error> {
    let head = query(format!("SELECT {COLUMNS}, u.username{READ}"));
    let Some(head) = head.bind(id).fetch_optional(database.read()).await? else {
        return Ok(None);
    };
    let mut items = window.items(database, id).await?;
    let shown = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let has_next = items.len() > shown;
    items.truncate(shown);
    let last = items.last().filter(|_| has_next);
    let page = ItemPage {
        limit: window.limit,
        has_next,
        next_cursor: last.map(|item| cursor::encode(&window.place(item))),
    };
    Ok(Some((head, items, page)))
}

impl HeadRow {
    /// The row itself, for those who only want to know that it is there.
    pub(super) fn collection(&self) -> &CollectionRow {
        &self.collection
    }
}

impl Window {
    fn read(params: &Params) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let limit = params.integer("limit", &mut fields);
        let limit = within("limit", limit, MOST, 1..=MOST, &mut fields);
        let status = params.get("status").map(str::to_owned);
        let status = status.map(|status| choice("status", Some(status), &STATUSES, &mut fields));
        let text = |name: &str| params.get(name).map(str::to_owned);
        let sort = choice("sort", text("sort"), &["position", "added_at"], &mut fields);
        let expand = choice("expand", text("expand"), &["listing", "none"], &mut fields);
        check(fields)?;
        let by_time = sort == "added_at";
        let after: Option<Place> = match params.get("cursor") {
            Some(text) => Some(cursor::decode("cursor", text)?),
            None => None,
        };
        let fits = after
            .as_ref()
            .is_none_or(|place| matches!(place, Place::Time(..)) == by_time);
        if !fits {
            let message = "is of a list with another order; start again without it";
            return Err(Problem::invalid("cursor", message));
        }
        Ok(Self {
            limit,
            status,
            by_time,
            with_listings: expand == "listing",
            after,
        })
    }

    /// The window that goes on after this item.
    pub(super) fn after(&self, item: Option<&ItemRead>) -> Self {
        Self {
            after: item.map(|item| self.place(item)),
            ..self.clone()
        }
    }

    /// Tells windows apart in the cache.
    fn key(&self) -> String {
        let after = self.after.as_ref().map(cursor::encode);
        format!(
            "{}:{}:{}:{}:{}",
            self.limit,
            self.status.unwrap_or_default(),
            self.by_time,
            self.with_listings,
            after.unwrap_or_default()
        )
    }

    fn place(&self, item: &ItemRead) -> Place {
        match self.by_time {
            true => Place::Time(item.added_at, item.id),
            false => Place::Position(item.position, item.id),
        }
    }

    /// One item more than shown, if there are so many.
    async fn items(&self, database: &Database, id: i64) -> Result<Vec<ItemRead>, sqlx::Error> {
        let (conditions, values) = self.conditions(id);
        let order = match self.by_time {
            true => "i.added_at DESC, i.id DESC",
            false => "i.position NULLS FIRST, i.id",
        };
        let limit = values.len() + 1;
        let rest = format!("WHERE {conditions}\nORDER BY {order}\nLIMIT ${limit}");
        let bind = |text: String| {
            let query = values
                .iter()
                .cloned()
                .fold(query(text), |query, value| query.bind(value));
            query.bind(self.limit + 1)
        };
        if !self.with_listings {
            let text = format!("SELECT {ITEM}\nFROM collection_item AS i\n{rest}");
            let rows: Vec<ItemRow> = bind(text).fetch_all(database.read()).await?;
            return Ok(rows.into_iter().map(|row| row.read(None)).collect());
        }
        let text = format!(
            "SELECT {ITEM}, {SUMMARY}\nFROM collection_item AS i\nJOIN listing AS l ON l.id = i.listing_id{JOINS}\n{rest}"
        );
        let rows: Vec<FullRow> = bind(text).fetch_all(database.read()).await?;
        let full = |row: FullRow| row.item.read(Some(ListingSummary::from(row.listing)));
        Ok(rows.into_iter().map(full).collect())
    }

    fn conditions(&self, id: i64) -> (String, Vec<Value>) {
        let mut values: Vec<Value> = vec![id.into()];
        let mut conditions = "i.collection_id = $1".to_owned();
        if let Some(status) = self.status {
            values.push(status.into());
            conditions += &format!("\n  AND i.status = ${}", values.len());
        }
        let at = values.len();
        match &self.after {
            None => {}
            Some(Place::Time(time, id)) => {
                conditions += &format!("\n  AND (i.added_at, i.id) < (${}, ${})", at + 1, at + 2);
                values.extend([(*time).into(), (*id).into()]);
            }
            // Rows without a position came before.
            Some(Place::Position(Some(position), id)) => {
                conditions += &format!("\n  AND (i.position, i.id) > (${}, ${})", at + 1, at + 2);
                values.extend([(*position).into(), (*id).into()]);
            }
            Some(Place::Position(None, id)) => {
                conditions += &format!("\n  AND (i.position IS NOT NULL OR i.id > ${})", at + 1);
                values.push((*id).into());
            }
        }
        (conditions, values)
    }
}
