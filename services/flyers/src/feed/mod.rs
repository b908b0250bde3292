//! Lists of flyers: the feed and its filters, favorites, followed creators, one creator's flyers.
//!
//! A page takes at most four statements, whatever its size: the flyers with their creators,
//! the count (numbered pages that are not the last), the pictures of the page, the categories of the
//! page. A search asks the index first how many hits there are: one more.

mod card;
mod filter;
mod radius;
pub mod statement;

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use service_kit::{
    clock::now,
    cursor,
    database::{Database, query},
    page::{Link, Page, PageRequest, Start},
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

pub use self::radius::DefaultRadius;
pub(crate) use self::{
    card::{CATEGORIES_OF, Card, CardRow, Extras, IMAGES_OF, present},
    filter::point_of,
};
use crate::{
    app::State,
    describe::FeedParams,
    favorites::gone,
    feed::statement::{CursorKey, Filter, Search, Visibility, Window},
    search,
};

/// Rows on a feed page at most.
const LARGEST_PAGE: i64 = 50;

/// The feed
///
/// Live flyers, newest first, or nearest first with `near_me`. All filters combine.
/// `page` counts up to 1000 flyers and gives links; `cursor` (start with it empty)
/// continues after the last flyer shown, as deep as you like. The same list is at
/// `/api/v1/flyers/`. `sort=smart` ranks the newest 1000 flyers by age and distance.
///
/// A search text of one or two letters has no index: it is looked for in one live flyer
/// after the other, which takes longest where it is in none.
#[utoipa::path(get, path = "/api/v1/flyers/feed/", params(FeedParams),
    security((), ("bearer" = [])), responses(
    (status = 200, description = "A page of flyers", body = Page<Card>),
    (status = 400, description = "A parameter is wrong"),
    (status = 401, description = "favorites and following are for signed-in callers"),
    (status = 404, description = "The page is past the end, or there is no such creator"),
))]
pub(crate) async fn main_feed(
    FromState(state): FromState<State>,
    caller: Option<Caller>,
    params: Params,
    link: Link,
) -> Result<Json<Page<Card>>, Problem> {
    let asked = filter::read(&params, &state)?;
    answer(&state, caller, asked, Visibility::Live, &link).await
}

/// Favorites
///
/// Live flyers that you like, in the order of the feed. Takes its parameters.
#[utoipa::path(get, path = "/api/v1/favorites/feed/", params(FeedParams), security(("bearer" = [])), responses(
    (status = 200, description = "A page of flyers", body = Page<Card>),
    (status = 400, description = "A parameter is wrong"),
    (status = 401, description = "Sign in first"),
    (status = 404, description = "The page is past the end"),
))]
pub(crate) async fn favorites(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
    link: Link,
) -> Result<Json<Page<Card>>, Problem> {
    let mut asked = filter::read(&params, &state)?;
    asked.filter.favorites = true;
    answer(&state, Some(caller), asked, Visibility::Live, &link).await
}

/// Followed creators
///
/// Live flyers of users whom you follow, in the order of the feed. Takes its parameters.
#[utoipa::path(get, path = "/api/v1/following/feed/", params(FeedParams), security(("bearer" = [])), responses(
    (status = 200, description = "A page of flyers", body = Page<Card>),
    (status = 400, description = "A parameter is wrong"),
    (status = 401, description = "Sign in first"),
    (status = 404, description = "The page is past the end"),
))]
pub(crate) async fn following(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
    link: Link,
) -> Result<Json<Page<Card>>, Problem> {
    let mut asked = filter::read(&params, &state)?;
    asked.filter.following = true;
    answer(&state, Some(caller), asked, Visibility::Live, &link).await
}

/// The flyers of one user in the form of the feed. The user sees all of their own.
pub(crate) async fn of_creator(
    state: &State,
    caller: Option<Caller>,
    creator: i64,
    params: &Params,
    link: &Link,
) -> Result<Json<Page<Card>>, Problem> {
    let mut asked = filter::read(params, state)?;
    asked.filter.creator = Some(creator);
    let own = caller.is_some_and(|caller| caller.id == creator);
    let visibility = if own {
        Visibility::All
    } else {
        Visibility::Live
    };
    answer(state, caller, asked, visibility, link).await
}

/// What a request for a list asks for.
struct Asked {
    filter: Filter,
    search: String,
    page: PageRequest,
}

async fn answer(
    state: &State,
    caller: Option<Caller>,
    asked: Asked,
    visibility: Visibility,
    link: &Link,
) -> Result<Json<Page<Card>>, Problem> {
    let now = now();
    let Asked {
        mut filter,
        search,
        page,
    } = asked;
    filter.now = now;
    filter.visibility = visibility;
    filter.viewer = caller.map(|caller| caller.id);
    if caller.is_none() && (filter.favorites || filter.following) {
        return Err(Problem::unauthorized("sign in to see these flyers"));
    }
    let after = after(&filter, &page)?;
    let moment = after.as_ref().and_then(CursorKey::moment);
    filter.moment = moment.unwrap_or_else(|| last_full_hour(now));
    filter.search = plan_search(state, search).await?;

    let mut rows = load_rows(state, &filter, &page, after).await?;
    let more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > page.size;
    rows.truncate(usize::try_from(page.size).unwrap_or(usize::MAX));
    let next_cursor = rows
        .last()
        .filter(|_| more)
        .map(|last| cursor::encode(&filter.key_of(last)));
    if rows.is_empty() {
        creator_must_exist(state, &filter).await?;
        viewer_must_exist(state, &filter).await?;
    }
    let count = match page.start {
        Start::Number(_) if more => Some(count(state, &filter).await?),
        // The last page knows how many there are.
        Start::Number(_) => Some(page.offset() + i64::try_from(rows.len()).unwrap_or(i64::MAX)),
        Start::Cursor(_) => None,
    };
    let cards = present_all(state, &filter, rows, now, link).await?;
    Page::new(&page, link, cards, next_cursor, count).map(Json)
}

/// Few hits are read from the index and sorted; many hits are met soon by walking the
/// feed. A text too short for the index is found by walking, too.
async fn plan_search(state: &State, folded: String) -> Result<Search, Problem> {
    if folded.is_empty() {
        return Ok(Search::None);
    }
    let Some(phrase) = search::phrase(&folded, state.database.dialect()) else {
        let phrase = None;
        return Ok(Search::Walk { folded, phrase });
    };
    let hits: i64 = query(statement::COUNT_HITS)
        .bind(&phrase)
        .bind(statement::FEW_HITS + 1)
        .once()
        .fetch_scalar(state.database.read())
        .await?;
    if hits > statement::FEW_HITS {
        let phrase = Some(phrase);
        Ok(Search::Walk { folded, phrase })
    } else {
        Ok(Search::Index { phrase })
    }
}

/// The key that the page begins after.
fn after(filter: &Filter, page: &PageRequest) -> Result<Option<CursorKey>, Problem> {
    let Start::Cursor(Some(text)) = &page.start else {
        return Ok(None);
    };
    let key: CursorKey = cursor::decode("cursor", text)?;
    if !filter.accepts(&key) {
        let message = "belongs to another order of this list; start again without it";
        return Err(Problem::invalid("cursor", message));
    }
    Ok(Some(key))
}

/// Ages are taken then, so that numbered pages of the smart order fit together.
fn last_full_hour(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now)
}

async fn load_rows(
    state: &State,
    filter: &Filter,
    page: &PageRequest,
    after: Option<CursorKey>,
) -> Result<Vec<CardRow>, Problem> {
    let window = Window {
        after,
        limit: page.limit(),
        offset: page.offset(),
    };
    let mut rows: Vec<CardRow> = filter
        .page(&window, state.database.dialect())
        .query()
        .fetch_all(state.database.read())
        .await?;
    // The inner query chose and ordered the page; a join promises no order.
    rows.sort_by(|a, b| filter.compare(a, b));
    Ok(rows)
}

async fn count(state: &State, filter: &Filter) -> Result<i64, Problem> {
    let count = filter.count(state.database.dialect()).query();
    Ok(count.fetch_scalar(state.database.read()).await?)
}

/// An empty list of a user is an answer, a list of nobody is not.
async fn creator_must_exist(state: &State, filter: &Filter) -> Result<(), Problem> {
    let Some(creator) = filter.creator else {
        return Ok(());
    };
    let exists: bool = query(statement::USER_EXISTS)
        .bind(creator)
        .fetch_scalar(state.database.read())
        .await?;
    if exists {
        Ok(())
    } else {
        Err(Problem::not_found("there is no such user"))
    }
}

/// An empty list of somebody who is gone is not an answer either.
async fn viewer_must_exist(state: &State, filter: &Filter) -> Result<(), Problem> {
    match filter.viewer {
        Some(viewer) if filter.favorites || filter.following => {
            user_must_exist(&state.database, viewer).await
        }
        _ => Ok(()),
    }
}

/// The user of a good token may have been deleted since.
pub(crate) async fn user_must_exist(database: &Database, user: i64) -> Result<(), Problem> {
    let exists: bool = query(statement::USER_EXISTS)
        .bind(user)
        .fetch_scalar(database.read())
        .await?;
    if exists { Ok(()) } else { Err(gone()) }
}

async fn present_all(
    state: &State,
    filter: &Filter,
    rows: Vec<CardRow>,
    now: DateTime<Utc>,
    link: &Link,
) -> Result<Vec<Card>, Problem> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut extras = Extras::load(state, &ids).await?;
    Ok(rows
        .into_iter()
        .map(|row| present(row, &mut extras, filter.from, filter.viewer, now, link))
        .collect())
}

/// Collected faults as an answer, or nothing.
fn no_faults(fields: Fields) -> Result<(), Problem> {
    if fields.is_empty() {
        Ok(())
    } else {
        Err(Problem::validation(fields))
    }
}
