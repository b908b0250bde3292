//! What a user is told: that somebody sent them a listing, that somebody took theirs.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{Transaction, Value, query},
    fields::{bound, check, within},
    id::Id,
    page::DEEPEST,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};
use sqlx_macros::FromRow;

use crate::app::State;

/// Something that a user is told.
#[derive(FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct NotificationRead {
    id: i64,
    user_id: i64,
    share_id: Option<i64>,
    /// share_received or share_imported.
    #[serde(rename = "type")]
    #[sqlx(rename = "type")]
    kind: String,
    title: String,
    message: String,
    read_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// What a user is told, in pages.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Notifications {
    notifications: Vec<NotificationRead>,
    /// All that the filters find, not only those shown.
    total: i64,
    limit: i64,
    offset: i64,
}

/// How many.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Unread {
    unread_count: i64,
}

/// How many were concerned.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Concerned {
    count: u64,
}

/// What to throw away.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct Cleanup {
    /// 90 unless it says so.
    #[schema(minimum = 1, maximum = 365)]
    days_old: Option<i64>,
}

const COLUMNS: &str =
    "o.id, o.user_id, o.share_id, o.type, o.title, o.message, o.read_at, o.created_at";
const LONGEST_TYPE: usize = 50;
const LONGEST_TITLE: usize = 255;

/// Notifications, newest first
#[utoipa::path(get, path = "/api/v1/notifications/", tag = "notifications", security(("bearer" = [])), params(
    ("unread_only" = Option<bool>, Query, description = "Only those that were not read"),
    ("notification_type" = Option<String>, Query, max_length = 50, description = "Only of this type"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 100, description = "Notifications to show; 50"),
    ("offset" = Option<i64>, Query, minimum = 0, maximum = 10000, description = "Notifications to pass over"),
), responses((status = 200, description = "The notifications", body = Notifications)))]
#[tracing::instrument(name = "notifications.list", skip_all)]
pub(crate) async fn list(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Notifications>, Problem> {
    let mut fields = Fields::new();
    let limit = params.integer("limit", &mut fields);
    let limit = within("limit", limit, 50, 1..=100, &mut fields);
    let offset = params.integer("offset", &mut fields);
    let offset = within("offset", offset, 0, 0..=DEEPEST, &mut fields);
    let unread = params.flag("unread_only", &mut fields);
    let kind = params.get("notification_type");
    if let Some(kind) = kind {
        bound("notification_type", kind, LONGEST_TYPE, &mut fields);
    }
    check(fields)?;
    let mut values: Vec<Value> = vec![caller.id.into()];
    let mut conditions = "o.user_id = $1".to_owned();
    if unread {
        conditions += "\n  AND o.read_at IS NULL";
    }
    if let Some(kind) = kind {
        values.push(kind.into());
        conditions += "\n  AND o.type = $2";
    }
    let bind = |text: String| {
        values
            .iter()
            .cloned()
            .fold(query(text), |query, value| query.bind(value))
    };
    let (from, to) = (values.len() + 1, values.len() + 2);
    let rows: Vec<NotificationRead> = bind(format!(
        "SELECT {COLUMNS}
FROM notification AS o
WHERE {conditions}
ORDER BY o.created_at DESC, o.id DESC
LIMIT ${from} OFFSET ${to}"
    ))
    .bind(limit)
    .bind(offset)
    .fetch_all(state.database.read())
    .await?;
    let shown = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    // The last page tells how many there are; a page past the end does not.
    let total = match shown < limit && (shown > 0 || offset == 0) {
        true => offset + shown,
        false => {
            let count = format!("SELECT count(*) FROM notification AS o WHERE {conditions}");
            bind(count).fetch_scalar(state.database.read()).await?
        }
    };
    Ok(Json(Notifications {
        notifications: rows,
        total,
        limit,
        offset,
    }))
}

pub(crate) const COUNT_UNREAD: &str = "
SELECT count(*)
FROM notification AS o
WHERE o.user_id = $1
  AND o.read_at IS NULL";

/// How many notifications were not read
#[utoipa::path(get, path = "/api/v1/notifications/unread-count/", tag = "notifications", security(("bearer" = [])),
    responses((status = 200, description = "The number", body = Unread)))]
#[tracing::instrument(name = "notifications.unread", skip_all)]
pub(crate) async fn unread_count(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Unread>, Problem> {
    let count = query(COUNT_UNREAD).bind(caller.id);
    let unread_count = count.fetch_scalar(state.database.read()).await?;
    Ok(Json(Unread { unread_count }))
}

/// The first time counts.
pub(crate) const READ: &str = "
UPDATE notification
SET read_at = coalesce(read_at, $3), updated_at = $3
WHERE id = $1
  AND user_id = $2
RETURNING id, user_id, share_id, type, title, message, read_at, created_at";

/// Mark a notification as read
#[utoipa::path(patch, path = "/api/v1/notifications/{id}/read/", tag = "notifications", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The notification"),
), responses(
    (status = 200, description = "The notification", body = NotificationRead),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such notification"),
))]
#[tracing::instrument(name = "notifications.read", skip_all)]
pub(crate) async fn read(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
) -> Result<Json<NotificationRead>, Problem> {
    let id = id.or(unknown)?;
    let row = query(READ).bind(id).bind(caller.id).bind(now());
    let row: Option<NotificationRead> = row.fetch_optional(state.database.write()).await?;
    match row {
        Some(row) => Ok(Json(row)),
        None => Err(not_own(&state, id).await?),
    }
}

pub(crate) const READ_ALL: &str = "
UPDATE notification
SET read_at = $2, updated_at = $2
WHERE user_id = $1
  AND read_at IS NULL";

/// Mark all notifications as read
#[utoipa::path(post, path = "/api/v1/notifications/mark-all-read/", tag = "notifications", security(("bearer" = [])),
    responses((status = 200, description = "How many were not read before", body = Concerned)))]
#[tracing::instrument(name = "notifications.read_all", skip_all)]
pub(crate) async fn read_all(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Concerned>, Problem> {
    let all = query(READ_ALL).bind(caller.id).bind(now());
    let count = all.execute(state.database.write()).await?;
    Ok(Json(Concerned { count }))
}

pub(crate) const DELETE: &str = "DELETE FROM notification WHERE id = $1 AND user_id = $2";

/// Delete a notification
#[utoipa::path(delete, path = "/api/v1/notifications/{id}/", tag = "notifications", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The notification"),
), responses(
    (status = 204, description = "It is gone"),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such notification"),
))]
#[tracing::instrument(name = "notifications.delete", skip_all)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
) -> Result<StatusCode, Problem> {
    let id = id.or(unknown)?;
    let delete = query(DELETE).bind(id).bind(caller.id);
    match delete.execute(state.database.write()).await? {
        0 => Err(not_own(&state, id).await?),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

pub(crate) const CLEAN_UP: &str = "
DELETE FROM notification
WHERE user_id = $1
  AND created_at < $2
  AND read_at IS NOT NULL";

/// Delete old notifications that were read
#[utoipa::path(post, path = "/api/v1/notifications/cleanup/", tag = "notifications", security(("bearer" = [])),
    request_body = Cleanup, responses((status = 200, description = "How many are gone", body = Concerned)))]
#[tracing::instrument(name = "notifications.clean_up", skip_all)]
pub(crate) async fn clean_up(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(asked): Body<Cleanup>,
) -> Result<Json<Concerned>, Problem> {
    let mut fields = Fields::new();
    let days = within("days_old", asked.days_old, 90, 1..=365, &mut fields);
    check(fields)?;
    let before = now() - TimeDelta::days(days);
    let delete = query(CLEAN_UP).bind(caller.id).bind(before);
    let count = delete.execute(state.database.write()).await?;
    Ok(Json(Concerned { count }))
}

pub(crate) const EXISTS: &str = "SELECT o.id FROM notification AS o WHERE o.id = $1";

async fn not_own(state: &State, id: i64) -> Result<Problem, Problem> {
    let there: Option<(i64,)> = query(EXISTS)
        .bind(id)
        .fetch_optional(state.database.read())
        .await?;
    Ok(match there {
        Some(_) => Problem::forbidden("this notification is another user's"),
        None => unknown(),
    })
}

fn unknown() -> Problem {
    Problem::not_found("there is no such notification")
}

pub(crate) const INSERT: &str = "
INSERT INTO notification (user_id, share_id, type, title, message, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $6)";

/// Tells a user that somebody sent them a listing.
pub(crate) async fn share_received(
    tx: &mut Transaction,
    recipient: i64,
    share: i64,
    sender: &str,
    title: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let message = format!("{sender} shared a deal with you: {title}");
    let title = format!("New deal from {sender}");
    tell(tx, recipient, share, "share_received", title, message, now).await
}

/// Tells a user that somebody took the listing that they sent.
pub(crate) async fn share_imported(
    tx: &mut Transaction,
    sender: i64,
    share: i64,
    name: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let message = format!("{name} saved your deal");
    tell(
        tx,
        sender,
        share,
        "share_imported",
        message.clone(),
        message,
        now,
    )
    .await
}

async fn tell(
    tx: &mut Transaction,
    user: i64,
    share: i64,
    kind: &str,
    title: String,
    message: String,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let title: String = title.chars().take(LONGEST_TITLE).collect();
    query(INSERT)
        .bind(user)
        .bind(share)
        .bind(kind)
        .bind(title)
        .bind(message)
        .bind(now)
        .execute(tx)
        .await?;
    Ok(())
}
