//! Taking a listing that was sent, or that a link shows, into a collection of one's own.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Transaction, query},
    id::Segments,
    problem::Problem,
    token::Caller,
};

use crate::{
    app::State,
    cached,
    collection::{INSERT_COLLECTION, ItemRead, gone, insert_item, put, why_not},
    notification,
    search::search_text,
    token,
};

/// Where to put it.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct Import {
    /// "My Deals" unless it says so, which is made if there is none.
    collection_id: Option<i64>,
}

/// `$1` token.
pub(crate) const SHARE: &str = "
SELECT m.id, m.sender_id, m.recipient_id, m.listing_id, m.message, m.expires_at
FROM user_share AS m
WHERE m.share_token = $1";

/// `$1` token, `$2` now.
pub(crate) const LINK: &str = "
SELECT h.listing_id
FROM listing_share AS h
WHERE h.share_token = $1
  AND (h.expires_at IS NULL OR h.expires_at > $2)";

/// `$1` user. The first of these names that they have, the older one if they have both.
pub(crate) const DEFAULT: &str = "
SELECT c.id
FROM collection AS c
WHERE c.user_id = $1
  AND c.name IN ('My Deals', 'Default')
ORDER BY CASE c.name WHEN 'My Deals' THEN 0 ELSE 1 END, c.created_at, c.id
LIMIT 1";

pub(crate) const IMPORTED: &str = "
UPDATE user_share
SET imported_at = $2, viewed_at = coalesce(viewed_at, $2)
WHERE id = $1";

pub(crate) const NAME: &str = "
SELECT coalesce(u.display_name, u.username)
FROM \"user\" AS u
WHERE u.id = $1";

const DEFAULT_NAME: &str = "My Deals";
const DEFAULT_DESCRIPTION: &str = "Default collection for saved deals";

/// What is taken, and from whom if it was sent.
struct Found {
    listing: i64,
    sent: Option<Sent>,
}

struct Sent {
    id: i64,
    sender: i64,
    message: Option<String>,
}

/// Take a listing into a collection
///
/// One that was sent to the caller, or one that a link shows.
#[utoipa::path(post, path = "/api/v1/user-shares/{token}/import/", tag = "user shares", security(("bearer" = [])), params(
    ("token" = String, Path, description = "The token of the share or of the link"),
), request_body = Import, responses(
    (status = 201, description = "The item", body = ItemRead),
    (status = 400, description = "There is no such share, or it has expired"),
    (status = 403, description = "The share or the collection is another user's"),
    (status = 404, description = "There is no such collection"),
    (status = 409, description = "The collection has the listing already"),
))]
#[tracing::instrument(name = "user_shares.import", skip_all)]
pub(crate) async fn import(
    FromState(state): FromState<State>,
    caller: Caller,
    path: Segments<1>,
    Body(asked): Body<Import>,
) -> Result<(StatusCode, Json<ItemRead>), Problem> {
    let Segments([token]) = path;
    if !token::is_possible(&token) {
        return Err(expired());
    }
    let (shared, tags) = (state.clone(), asked.collection_id.map(cached::collection));
    let taken = cached::write(&state.cache, tags, move |write| async move {
        let now = now();
        let mut tx = shared.database.begin().await?;
        let found = find(&mut tx, caller, &token, now).await?;
        let collection = match asked.collection_id {
            Some(collection) => collection,
            None => default_collection(&mut tx, caller, now).await?,
        };
        // The one that was found is known only now.
        let _told = write.also([cached::collection(collection)]).await;
        let notes = found.notes();
        let insert = insert_item(
            collection,
            caller.id,
            found.listing,
            "undecided",
            notes.as_deref(),
            None,
            now,
        );
        let Some(item) = put(insert, (&mut tx).into()).await? else {
            tx.rollback().await?;
            return Err(why_not(&shared, caller, collection, found.listing).await?);
        };
        if let Some(sent) = &found.sent {
            query(IMPORTED)
                .bind(sent.id)
                .bind(now)
                .execute(&mut tx)
                .await?;
            let name: String = query(NAME).bind(caller.id).fetch_scalar(&mut tx).await?;
            notification::share_imported(&mut tx, sent.sender, sent.id, &name, now).await?;
        }
        tx.commit().await?;
        Ok(item)
    });
    Ok((StatusCode::CREATED, Json(taken.await?)))
}

impl Found {
    fn notes(&self) -> Option<String> {
        let message = self.sent.as_ref()?.message.as_ref()?;
        // A message is as long as notes may be; what stands before it takes some of the room.
        Some(format!("Shared: {message}").chars().take(500).collect())
    }
}

type ShareRow = (i64, i64, i64, i64, Option<String>, DateTime<Utc>);

async fn find(
    tx: &mut Transaction,
    caller: Caller,
    token: &str,
    now: DateTime<Utc>,
) -> Result<Found, Problem> {
    let sent: Option<ShareRow> = query(SHARE).bind(token).fetch_optional(&mut *tx).await?;
    if let Some((id, sender, recipient, listing, message, expires_at)) = sent {
        if recipient != caller.id {
            return Err(Problem::forbidden("this was sent to another user"));
        }
        if expires_at <= now {
            return Err(expired());
        }
        let sent = Some(Sent {
            id,
            sender,
            message,
        });
        return Ok(Found { listing, sent });
    }
    let link: Option<(i64,)> = query(LINK).bind(token).bind(now).fetch_optional(tx).await?;
    let (listing,) = link.ok_or_else(expired)?;
    Ok(Found {
        listing,
        sent: None,
    })
}

fn expired() -> Problem {
    Problem::unknown("token", "there is no such share, or it has expired")
}

async fn default_collection(
    tx: &mut Transaction,
    caller: Caller,
    now: DateTime<Utc>,
) -> Result<i64, Problem> {
    let found: Option<(i64,)> = query(DEFAULT)
        .bind(caller.id)
        .fetch_optional(&mut *tx)
        .await?;
    if let Some((id,)) = found {
        return Ok(id);
    }
    let made: Option<(i64,)> = query(INSERT_COLLECTION)
        .bind(caller.id)
        .bind(DEFAULT_NAME)
        .bind(DEFAULT_DESCRIPTION)
        .bind("private")
        .bind(search_text(DEFAULT_NAME, Some(DEFAULT_DESCRIPTION)))
        .bind(now)
        .fetch_optional(tx)
        .await?;
    made.map(|(id,)| id).ok_or_else(gone)
}
