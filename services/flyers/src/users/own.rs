//! A user's own flyers.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    clock::now,
    cursor,
    database::{Text, query},
    page::{COUNT_CAP, Link, Page, PageRequest, Start},
    problem::{Fields, Problem},
    query::Params,
    text,
    token::Caller,
};

use super::thumbnail;
use crate::{
    app::State,
    describe::PageParams,
    expiry::{Status, Validity},
    feed::{self, Extras},
};

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

#[derive(sqlx_macros::FromRow)]
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

/// Your own flyers
///
/// All of them with their status, latest publication first.
#[utoipa::path(get, path = "/api/v1/users/me/flyers/", security(("bearer" = [])), params(PageParams), responses(
    (status = 200, description = "A page of flyers", body = Page<Own>),
    (status = 401, description = "Sign in first"),
    (status = 404, description = "The page is past the end"),
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
