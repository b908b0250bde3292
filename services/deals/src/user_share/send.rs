//! Sending a listing, ten in an hour at most.

use std::time::Duration;

use axum::{
    Json,
    extract::State as FromState,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;
use service_kit::{
    body::Body,
    clock::now,
    database::{Dialect, Transaction, query},
    fields::{self, bound_any, check},
    problem::{Fields, Problem},
    token::Caller,
};

use super::{
    preview::read,
    record::{UserShareRead, unknown},
};
use crate::{app::State, collection::gone, notification, token};

pub(super) const LONGEST_MESSAGE: usize = 500;
/// A share lasts so many days.
const DAYS: i64 = 30;
/// What one user may send in any hour.
const LIMIT: i64 = 10;
const WINDOW: TimeDelta = TimeDelta::hours(1);

/// A listing to send.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewUserShare {
    #[schema(required, nullable = false)]
    recipient_id: Option<i64>,
    #[schema(required, nullable = false)]
    listing_id: Option<i64>,
    #[schema(max_length = 500)]
    message: Option<String>,
}

/// Who sends: locked, so that one after the other of their shares is counted.
const SENDER: &str =
    "SELECT u.username, u.display_name FROM \"user\" AS u WHERE u.id = $1 FOR UPDATE";
/// A transaction of SQLite that writes is alone anyway.
const SENDER_ALONE: &str = "SELECT u.username, u.display_name FROM \"user\" AS u WHERE u.id = $1";

/// `$1` sender, `$2` an hour ago, `$3` how many are allowed. The oldest ones first: when that many
/// are found, the first of them is the one whose hour must be over.
pub(crate) const RECENT: &str = "
SELECT m.created_at
FROM user_share AS m
WHERE m.sender_id = $1
  AND m.created_at > $2
ORDER BY m.created_at, m.id
LIMIT $3";

/// `$1` recipient, `$2` listing.
pub(crate) const TARGETS: &str = "
SELECT (SELECT u.id FROM \"user\" AS u WHERE u.id = $1) AS recipient,
       (SELECT l.title FROM listing AS l WHERE l.id = $2) AS title";

pub(crate) const INSERT: &str = "
INSERT INTO user_share (sender_id, recipient_id, listing_id, share_token, message, shared_at, expires_at, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $6)
RETURNING id";

/// How much of the hour's allowance is left, and when it grows.
struct Allowance {
    remaining: i64,
    reset: DateTime<Utc>,
}

/// Send a listing
///
/// Ten in any hour at most; only those that were sent count.
#[utoipa::path(post, path = "/api/v1/user-shares/", tag = "user shares", security(("bearer" = [])), request_body = NewUserShare, responses(
    (status = 201, description = "The share; `X-RateLimit-*` say how many more there may be", body = UserShareRead),
    (status = 400, description = "There is no such recipient or listing, or the recipient is the sender"),
    (status = 429, description = "Ten were sent within an hour"),
))]
#[tracing::instrument(name = "user_shares.create", skip_all)]
pub(crate) async fn send(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(new): Body<NewUserShare>,
) -> Result<Response, Problem> {
    let mut fields = Fields::new();
    let recipient = fields::id("recipient_id", new.recipient_id, &mut fields);
    let listing = fields::id("listing_id", new.listing_id, &mut fields);
    bound_any(
        "message",
        new.message.as_deref(),
        LONGEST_MESSAGE,
        &mut fields,
    );
    check(fields)?;
    if recipient == caller.id {
        return Err(Problem::unknown(
            "recipient_id",
            "is oneself; send it to somebody else",
        ));
    }
    let now = now();
    let mut tx = state.database.begin().await?;
    let sender = sender(&mut tx, caller.id).await?;
    let allowance = match allowance(&mut tx, caller.id, now).await? {
        Ok(allowance) => allowance,
        Err(refused) => return Ok(refuse(&refused, now)),
    };
    let title = target(&mut tx, recipient, listing).await?;
    let token = token::new();
    let share: i64 = query(INSERT)
        .bind(caller.id)
        .bind(recipient)
        .bind(listing)
        .bind(token.as_str())
        .bind(new.message.as_deref())
        .bind(now)
        .bind(now + TimeDelta::days(DAYS))
        .fetch_scalar(&mut tx)
        .await?;
    notification::share_received(&mut tx, recipient, share, &sender, &title, now).await?;
    tx.commit().await?;
    let made = read(&state.database, &token).await?.ok_or_else(unknown)?;
    let made = (StatusCode::CREATED, headers(&allowance), Json(made.read()));
    Ok(made.into_response())
}

async fn sender(tx: &mut Transaction, id: i64) -> Result<String, Problem> {
    let text = match tx.dialect() {
        Dialect::Sqlite => SENDER_ALONE,
        Dialect::Postgres => SENDER,
    };
    let found: Option<(String, Option<String>)> = query(text).bind(id).fetch_optional(tx).await?;
    let (username, display_name) = found.ok_or_else(gone)?;
    Ok(display_name.unwrap_or(username))
}

/// What is left once this one is sent; `Err` if nothing is.
async fn allowance(
    tx: &mut Transaction,
    sender: i64,
    now: DateTime<Utc>,
) -> Result<Result<Allowance, Allowance>, sqlx::Error> {
    let recent: Vec<(DateTime<Utc>,)> = query(RECENT)
        .bind(sender)
        .bind(now - WINDOW)
        .bind(LIMIT)
        .fetch_all(tx)
        .await?;
    let sent = i64::try_from(recent.len()).unwrap_or(i64::MAX);
    let oldest = recent.first().map_or(now, |(oldest,)| *oldest);
    let allowance = Allowance {
        remaining: (LIMIT - sent - 1).max(0),
        reset: oldest + WINDOW,
    };
    Ok(match sent < LIMIT {
        true => Ok(allowance),
        false => Err(allowance),
    })
}

/// The title of the listing.
async fn target(tx: &mut Transaction, recipient: i64, listing: i64) -> Result<String, Problem> {
    let (user, title): (Option<i64>, Option<String>) = query(TARGETS)
        .bind(recipient)
        .bind(listing)
        .fetch_one(tx)
        .await?;
    match (user, title) {
        (None, _) => Err(Problem::unknown("recipient_id", "there is no such user")),
        (_, None) => Err(Problem::unknown("listing_id", "there is no such listing")),
        (Some(_), Some(title)) => Ok(title),
    }
}

fn refuse(allowance: &Allowance, now: DateTime<Utc>) -> Response {
    let wait = (allowance.reset - now).to_std().unwrap_or(Duration::ZERO);
    let problem = Problem::too_many_requests(
        format!("{LIMIT} listings were sent within an hour; send more later"),
        wait,
    )
    .with("reset_at", json!(allowance.reset));
    (headers(allowance), problem).into_response()
}

fn headers(allowance: &Allowance) -> HeaderMap {
    [
        ("x-ratelimit-limit", LIMIT),
        ("x-ratelimit-remaining", allowance.remaining),
        ("x-ratelimit-reset", allowance.reset.timestamp()),
    ]
    .map(|(name, number)| (HeaderName::from_static(name), HeaderValue::from(number)))
    .into_iter()
    .collect()
}
