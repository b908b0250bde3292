//! Copying a collection, three statements for any number of items.

use axum::{Json, extract::State as FromState, http::StatusCode};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    fields::{check, required},
    id::Id,
    problem::{Fields, Problem},
    token::Caller,
};

use super::{
    edit::{INSERT, gone},
    record::{COLUMNS, CollectionRead, CollectionRow, LONGEST_NAME, foreign, unknown},
};
use crate::{app::State, cached, search::search_text};

/// How a copy is to be called.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct Copy {
    /// "Copy of" the name of the other one, unless it says so.
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
}

/// `$1` copy, `$2` original, `$3` whether notes are copied, `$4` now.
pub(crate) const ITEMS: &str = "
INSERT INTO collection_item (collection_id, listing_id, status, notes, position, added_at, created_at, updated_at)
SELECT $1, i.listing_id, i.status, CASE WHEN $3 THEN i.notes END, i.position, $4, $4, $4
FROM collection_item AS i
WHERE i.collection_id = $2";

/// Copy a collection
///
/// One's own, or another's that is public or unlisted. The copy is private; notes of others are
/// not copied.
#[utoipa::path(post, path = "/api/v1/collections/{id}/copy/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection to copy"),
), request_body = Copy, responses(
    (status = 201, description = "The copy, without items", body = CollectionRead),
    (status = 403, description = "It is another user's and private"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.copy", skip_all)]
pub(crate) async fn copy(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    body: Body<Copy>,
) -> Result<(StatusCode, Json<CollectionRead>), Problem> {
    let Body(asked) = body;
    let mut fields = Fields::new();
    let name = asked
        .name
        .map(|name| required("name", Some(name), LONGEST_NAME, &mut fields));
    check(fields)?;
    let id = id.or(unknown)?;
    let shared = state.clone();
    // That there is no collection of the copy's id may be cached.
    let copied = cached::write(&state.cache, [""; 0], move |write| async move {
        let copy = make(&shared, caller, id, name).await?;
        let _told = write.also([cached::collection(copy.id)]).await;
        Ok(copy)
    });
    let copy = copied.await?;
    tracing::info!(
        target: "dealbrain.analytics",
        "event=collection.copied payload={{\"collection_id\":{id},\"copy_id\":{},\"item_count\":{}}}",
        copy.id,
        copy.item_count,
    );
    Ok((StatusCode::CREATED, Json(copy.read())))
}

async fn make(
    state: &State,
    caller: Caller,
    id: i64,
    name: Option<String>,
) -> Result<CollectionRow, Problem> {
    let mut tx = state.database.begin().await?;
    let text = format!("SELECT {COLUMNS}\nFROM collection AS c\nWHERE c.id = $1");
    let row: Option<CollectionRow> = query(text).bind(id).fetch_optional(&mut tx).await?;
    let source = row.ok_or_else(unknown)?;
    let is_own = source.user_id == caller.id;
    if !is_own && source.visibility == "private" {
        return Err(foreign(state));
    }
    let name = name.unwrap_or_else(|| copy_of(&source.name));
    let now = now();
    let made: Option<(i64,)> = query(INSERT)
        .bind(caller.id)
        .bind(name.as_str())
        .bind(source.description.as_deref())
        .bind("private")
        .bind(search_text(&name, source.description.as_deref()))
        .bind(now)
        .fetch_optional(&mut tx)
        .await?;
    let (made,) = made.ok_or_else(gone)?;
    let items = query(ITEMS)
        .bind(made)
        .bind(id)
        .bind(is_own)
        .bind(now)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(CollectionRow {
        id: made,
        user_id: caller.id,
        name,
        visibility: "private".to_owned(),
        created_at: now,
        updated_at: now,
        item_count: i64::try_from(items).unwrap_or(i64::MAX),
        ..source
    })
}

/// The name of a copy, cut to what a name may be.
fn copy_of(name: &str) -> String {
    format!("Copy of {name}")
        .chars()
        .take(LONGEST_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_copy_fits() {
        assert_eq!(copy_of("Mini PCs"), "Copy of Mini PCs");
        assert_eq!(copy_of(&"ü".repeat(100)).chars().count(), 100);
    }
}
