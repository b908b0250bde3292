//! Putting listings into a collection, changing what is noted of them, taking them out.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Query, Record, Target, Text, query},
    fields::{self, Patch, bound_any, check, choice, present},
    id::{Id, Segments},
    problem::{Fields, Problem},
    text,
    token::Caller,
};

use super::{
    edit::not_own,
    record::{ItemRead, ItemRow, LONGEST_NOTES, STATUSES, foreign, unknown},
};
use crate::{app::State, cached};

/// A listing to put into a collection.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewItem {
    #[schema(required, nullable = false)]
    listing_id: Option<i64>,
    #[schema(pattern = "^(undecided|shortlisted|rejected|bought)$")]
    status: Option<String>,
    #[schema(max_length = 500)]
    notes: Option<String>,
    /// Where it stands; after all others unless it says so.
    #[schema(minimum = 0, maximum = 2147483647)]
    position: Option<i64>,
}

/// What to change of an item: what is left out stays, null clears.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct ItemPatch {
    #[schema(pattern = "^(undecided|shortlisted|rejected|bought)$")]
    status: Option<String>,
    #[schema(max_length = 500)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    notes: Patch<String>,
    #[schema(minimum = 0, maximum = 2147483647)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<i64>)]
    position: Patch<i64>,
}

/// `$1` collection, `$2` its owner, `$3` listing, `$4` status, `$5` notes, `$6` position, `$7` now.
/// Adds nothing where the collection is not theirs, there is no such listing, or it is in already.
pub(crate) const INSERT: Text = text!(
    "INSERT INTO collection_item (collection_id, listing_id, status, notes, position, added_at, created_at, updated_at)
     SELECT c.id, l.id, $4, $5,
            coalesce($6, (SELECT max(m.position) + 1 FROM collection_item AS m WHERE m.collection_id = c.id), 0),
            $7, $7, $7
     FROM collection AS c
     CROSS JOIN listing AS l
     WHERE c.id = $1
       AND c.user_id = $2
       AND l.id = $3
     ON CONFLICT (collection_id, listing_id) DO NOTHING
     RETURNING id AS item_id, collection_id, listing_id, status AS item_status, notes, position, added_at, updated_at AS item_updated_at"
);

/// Puts a listing into a collection: `$1` to `$7` of the statement. Nothing if it does not belong
/// there.
pub(crate) fn insert_item(
    collection: i64,
    owner: i64,
    listing: i64,
    status: &str,
    notes: Option<&str>,
    position: Option<i64>,
    now: DateTime<Utc>,
) -> Query {
    query(INSERT)
        .bind(collection)
        .bind(owner)
        .bind(listing)
        .bind(status)
        .bind(notes)
        .bind(position)
        .bind(now)
}

/// Runs [`insert_item`]; nothing, too, if what it points at went away meanwhile.
pub(crate) async fn insert(insert: Query, on: Target<'_>) -> Result<Option<ItemRead>, Problem> {
    let inserted: Result<Option<ItemRow>, sqlx::Error> = insert.fetch_optional(on).await;
    match inserted {
        Ok(row) => Ok(row.map(|row| row.read(None))),
        Err(error) => {
            let failed = error.as_database_error();
            match failed.is_some_and(|error| error.is_foreign_key_violation()) {
                true => Ok(None),
                false => Err(error.into()),
            }
        }
    }
}

fn check_position(position: Option<i64>, fields: &mut Fields) {
    fields::within("position", position, 0, 0..=i64::from(i32::MAX), fields);
}

/// Put a listing into a collection
#[utoipa::path(post, path = "/api/v1/collections/{id}/items/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
), request_body = NewItem, responses(
    (status = 201, description = "The item", body = ItemRead),
    (status = 400, description = "There is no such listing"),
    (status = 403, description = "The collection is another user's"),
    (status = 404, description = "There is no such collection"),
    (status = 409, description = "The listing is in it already"),
))]
#[tracing::instrument(name = "collections.add_item", skip_all)]
pub(crate) async fn add_item(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    Body(new): Body<NewItem>,
) -> Result<(StatusCode, Json<ItemRead>), Problem> {
    let mut fields = Fields::new();
    let listing = fields::id("listing_id", new.listing_id, &mut fields);
    let status = choice("status", new.status, &STATUSES, &mut fields);
    bound_any("notes", new.notes.as_deref(), LONGEST_NOTES, &mut fields);
    check_position(new.position, &mut fields);
    check(fields)?;
    let id = id.or(unknown)?;
    let row = insert_item(
        id,
        caller.id,
        listing,
        status,
        new.notes.as_deref(),
        new.position,
        now(),
    );
    let database = state.database.clone();
    let tags = [cached::collection(id)];
    let made = cached::write(&state.cache, tags, move |_| async move {
        insert(row, database.write()).await
    })
    .await?;
    match made {
        Some(item) => Ok((StatusCode::CREATED, Json(item))),
        None => Err(why_not(&state, caller, id, listing).await?),
    }
}

/// `$1` collection, `$2` listing: the owner, whether the listing is there, whether it is in.
pub(crate) const WHY_NOT: &str = "
SELECT (SELECT c.user_id FROM collection AS c WHERE c.id = $1) AS owner,
       EXISTS (SELECT 1 FROM listing AS l WHERE l.id = $2) AS is_listed,
       EXISTS (SELECT 1 FROM collection_item AS i WHERE i.collection_id = $1 AND i.listing_id = $2) AS is_in";

/// Why a listing was not put into a collection.
pub(crate) async fn why_not(
    state: &State,
    caller: Caller,
    collection: i64,
    listing: i64,
) -> Result<Problem, Problem> {
    let (owner, is_listed, is_in): (Option<i64>, bool, bool) = query(WHY_NOT)
        .bind(collection)
        .bind(listing)
        .fetch_one(state.database.read())
        .await?;
    Ok(match owner {
        None => unknown(),
        Some(owner) if owner != caller.id => foreign(state),
        Some(_) if !is_listed => Problem::unknown("listing_id", "there is no such listing"),
        Some(_) if is_in => Problem::conflict(
            "listing_id",
            "this listing already exists in the collection",
        ),
        // It was taken away between the two statements.
        Some(_) => Problem::unavailable(
            "other requests change the same thing",
            std::time::Duration::from_secs(1),
        ),
    })
}

/// `$1` item, `$2` collection, `$3` its owner, `$4` status or null, `$5` whether notes change,
/// `$6` notes, `$7` whether the position changes, `$8` position, `$9` now.
pub(crate) const UPDATE: &str = "
UPDATE collection_item
SET status = coalesce($4, status),
    notes = CASE WHEN $5 THEN $6 ELSE notes END,
    position = CASE WHEN $7 THEN $8 ELSE position END,
    updated_at = $9
WHERE id = $1
  AND collection_id = $2
  AND EXISTS (SELECT 1 FROM collection AS c WHERE c.id = $2 AND c.user_id = $3)
RETURNING id AS item_id, collection_id, listing_id, status AS item_status, notes, position, added_at, updated_at AS item_updated_at";

/// Change an item
///
/// A merge patch (RFC 7396): what is left out stays, null clears.
#[utoipa::path(patch, path = "/api/v1/collections/{id}/items/{item_id}/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
    ("item_id" = i64, Path, description = "The item"),
), request_body = ItemPatch, responses(
    (status = 200, description = "The item", body = ItemRead),
    (status = 403, description = "The collection is another user's"),
    (status = 404, description = "There is no such collection, or no such item in it"),
))]
#[tracing::instrument(name = "collections.update_item", skip_all)]
pub(crate) async fn change_item(
    FromState(state): FromState<State>,
    caller: Caller,
    path: Segments<2>,
    Body(patch): Body<ItemPatch>,
) -> Result<Json<ItemRead>, Problem> {
    let mut fields = Fields::new();
    let status = patch
        .status
        .map(|status| choice("status", Some(status), &STATUSES, &mut fields));
    let notes = patch.notes.clone().flatten();
    bound_any("notes", notes.as_deref(), LONGEST_NOTES, &mut fields);
    check_position(patch.position.flatten(), &mut fields);
    check(fields)?;
    let id = path.number(0).ok_or_else(unknown)?;
    let item = path.number(1).ok_or_else(no_item)?;
    let update = query(UPDATE)
        .bind(item)
        .bind(id)
        .bind(caller.id)
        .bind(status)
        .bind(patch.notes.is_some())
        .bind(notes)
        .bind(patch.position.is_some())
        .bind(patch.position.flatten())
        .bind(now());
    let changed: Option<ItemRow> = written(&state, id, update).await?;
    match changed {
        Some(row) => Ok(Json(row.read(None))),
        None => Err(no_item_of(&state, caller, id).await?),
    }
}

/// `$1` item, `$2` collection, `$3` its owner.
pub(crate) const DELETE: &str = "
DELETE FROM collection_item
WHERE id = $1
  AND collection_id = $2
  AND EXISTS (SELECT 1 FROM collection AS c WHERE c.id = $2 AND c.user_id = $3)
RETURNING id";

/// Take an item out of a collection
#[utoipa::path(delete, path = "/api/v1/collections/{id}/items/{item_id}/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
    ("item_id" = i64, Path, description = "The item"),
), responses(
    (status = 204, description = "It is gone"),
    (status = 403, description = "The collection is another user's"),
    (status = 404, description = "There is no such collection, or no such item in it"),
))]
#[tracing::instrument(name = "collections.remove_item", skip_all)]
pub(crate) async fn remove_item(
    FromState(state): FromState<State>,
    caller: Caller,
    path: Segments<2>,
) -> Result<StatusCode, Problem> {
    let id = path.number(0).ok_or_else(unknown)?;
    let item = path.number(1).ok_or_else(no_item)?;
    let delete = query(DELETE).bind(item).bind(id).bind(caller.id);
    let gone: Option<(i64,)> = written(&state, id, delete).await?;
    match gone {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(no_item_of(&state, caller, id).await?),
    }
}

/// Runs one statement that changes a collection; gives its row.
async fn written<T: Record + 'static>(
    state: &State,
    collection: i64,
    statement: Query,
) -> Result<Option<T>, Problem> {
    let database = state.database.clone();
    let tags = [cached::collection(collection)];
    cached::write(&state.cache, tags, move |_| async move {
        Ok(statement.fetch_optional(database.write()).await?)
    })
    .await
}

async fn no_item_of(state: &State, caller: Caller, collection: i64) -> Result<Problem, Problem> {
    let why = not_own(state, caller, collection).await?;
    // The collection is there and the caller's own: then the item is not.
    Ok(match why.status() {
        StatusCode::FORBIDDEN => why,
        _ => no_item(),
    })
}

fn no_item() -> Problem {
    Problem::not_found("there is no such item in this collection")
}
