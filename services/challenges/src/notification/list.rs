//! What one was told, in pages, and how much of it one has not read.

use axum::{Json, extract::State as FromState};
use serde::Serialize;
use service_kit::{
    database::{Value, query},
    problem::{Fields, Problem},
    query::Params,
};
use sqlx_macros::FromRow;

use super::record::{COLUMNS, Notification, NotificationRow};
use crate::{
    app::State,
    caller::Caller,
    page::{Newest, PageInfo, Part},
    wording::check_query,
};

/// A page of what one was told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Notifications {
    items: Vec<Notification>,
    #[serde(flatten)]
    page: PageInfo,
}

/// How many.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Count {
    count: i64,
}

pub(crate) const COUNT: &str = "
SELECT count(*)
FROM notifications AS n
WHERE n.user_id = $1";

pub(crate) const COUNT_UNREAD: &str = "
SELECT count(*)
FROM notifications AS n
WHERE n.user_id = $1
  AND n.is_read = FALSE";

/// What one was told, newest first
#[utoipa::path(get, path = "/api/v1/notifications/", tag = "notifications", security(("bearer" = [])), params(
    ("unread_only" = Option<bool>, Query, description = "Only what was not read"),
    ("page" = Option<i64>, Query, minimum = 1, description = "The page, from 1"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Notifications on a page; 20"),
    ("cursor" = Option<String>, Query, pattern = "^$", description = "Goes on after the page that gave it, however deep"),
), responses((status = 200, description = "The page", body = Notifications)))]
#[tracing::instrument(name = "notifications.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Notifications>, Problem> {
    let mut fields = Fields::new();
    let part = Part::<Newest>::read(&params, &mut fields);
    let unread = params.flag("unread_only", &mut fields);
    check_query(fields)?;
    let mut rows = read(&state, caller, unread, &part).await?;
    let total = match rows.first() {
        Some(row) => row.total,
        None if part.tells_total(0).is_some() => 0,
        None => count(&state, caller, unread).await?,
    };
    let page = part.finish(&mut rows, total, |row| {
        Newest(row.notification.created_at, row.notification.id)
    });
    let items = rows.into_iter().map(|row| row.notification.shown());
    Ok(Json(Notifications {
        items: items.collect(),
        page,
    }))
}

#[derive(FromRow)]
struct ListRow {
    #[sqlx(flatten)]
    notification: NotificationRow,
    total: i64,
}

/// A page with the number of all, in one statement.
async fn read(
    state: &State,
    caller: Caller,
    unread: bool,
    part: &Part<Newest>,
) -> Result<Vec<ListRow>, sqlx::Error> {
    let mut values: Vec<Value> = vec![caller.id.into()];
    let mut place = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    let (counted, only) = match unread {
        true => (COUNT_UNREAD, "\n  AND n.is_read = FALSE"),
        false => (COUNT, ""),
    };
    let mut condition = format!("n.user_id = $1{only}");
    if let Some(Newest(at, id)) = &part.after {
        let (at, id) = (place((*at).into()), place((*id).into()));
        condition += &format!("\n  AND (n.created_at, n.id) < ({at}, {id})");
    }
    let (limit, offset) = (place(part.rows().into()), place(part.offset().into()));
    let text = format!(
        "SELECT {COLUMNS}, ({counted}) AS total
FROM notifications AS n
WHERE {condition}
ORDER BY n.created_at DESC, n.id DESC
LIMIT {limit} OFFSET {offset}"
    );
    let query = query(text).bind_all(values);
    query.fetch_all(state.database.read()).await
}

async fn count(state: &State, caller: Caller, unread: bool) -> Result<i64, sqlx::Error> {
    let text = match unread {
        true => COUNT_UNREAD,
        false => COUNT,
    };
    let count = query(text).bind(caller.id);
    count.fetch_scalar(state.database.read()).await
}

/// How much one has not read
#[utoipa::path(get, path = "/api/v1/notifications/unread/count/", tag = "notifications", security(("bearer" = [])),
    responses((status = 200, description = "The number", body = Count)))]
#[tracing::instrument(name = "notifications.unread_count", skip_all)]
pub(crate) async fn unread_count(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Count>, Problem> {
    let count = count(&state, caller, true).await?;
    Ok(Json(Count { count }))
}
