//! Looking at a listing that was sent.

use axum::{Json, extract::State as FromState};
use service_kit::{
    clock::now,
    database::{Database, query},
    id::Segments,
    problem::Problem,
    token::Caller,
};

use super::record::{COLUMNS, PEOPLE, UserShareRead, UserShareRow, unknown};
use crate::{
    app::State,
    listing::{JOINS, SUMMARY},
    token,
};

/// Sets it once; the first time counts.
pub(crate) const VIEWED: &str = "
UPDATE user_share
SET viewed_at = $2
WHERE id = $1
  AND viewed_at IS NULL";

/// A listing that was sent
///
/// For who has the token. Sender and recipient see it when it has expired, too. The first look of
/// the recipient is noted.
#[utoipa::path(get, path = "/api/v1/user-shares/{token}/", tag = "user shares", security(("bearer" = [])), params(
    ("token" = String, Path, description = "The token of the share"),
), responses(
    (status = 200, description = "The share", body = UserShareRead),
    (status = 404, description = "There is no such share, or it has expired"),
))]
#[tracing::instrument(name = "user_shares.preview", skip_all)]
pub(crate) async fn preview(
    FromState(state): FromState<State>,
    caller: Caller,
    path: Segments<1>,
) -> Result<Json<UserShareRead>, Problem> {
    let Segments([token]) = path;
    if !token::is_possible(&token) {
        return Err(unknown());
    }
    let mut share = read(&state.database, &token).await?.ok_or_else(unknown)?;
    let is_recipient = share.recipient_id == caller.id;
    if share.is_expired() && !is_recipient && share.sender_id != caller.id {
        return Err(unknown());
    }
    if is_recipient && share.viewed_at.is_none() {
        let now = now();
        let viewed = query(VIEWED).bind(share.share_id).bind(now);
        viewed.execute(state.database.write()).await?;
        share.viewed_at = Some(now);
    }
    Ok(Json(share.read()))
}

/// A share by its token, with its listing.
pub(super) async fn read(
    database: &Database,
    token: &str,
) -> Result<Option<UserShareRow>, sqlx::Error> {
    let text = format!(
        "SELECT {COLUMNS}, {SUMMARY}
FROM user_share AS m{PEOPLE}
JOIN listing AS l ON l.id = m.listing_id{JOINS}
WHERE m.share_token = $1"
    );
    query(text)
        .bind(token)
        .fetch_optional(database.read())
        .await
}
