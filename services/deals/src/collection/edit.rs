//! Making, changing and deleting collections.

use axum::{Json, extract::State as FromState, http::StatusCode};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Query, query},
    fields::{Patch, bound_any, check, choice, present, required},
    id::Id,
    problem::{Fields, Problem},
    token::Caller,
};

use super::record::{
    COLUMNS, CollectionRead, CollectionRow, LONGEST_DESCRIPTION, LONGEST_NAME, VISIBILITIES,
    foreign, unknown,
};
use crate::{app::State, cached, search::search_text};

/// A collection to make.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewCollection {
    #[schema(required, nullable = false, min_length = 1, max_length = 100)]
    name: Option<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    #[schema(pattern = "^(private|unlisted|public)$")]
    visibility: Option<String>,
}

/// What to change of a collection: what is left out stays, a null description is none.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct CollectionPatch {
    #[schema(nullable = false, min_length = 1, max_length = 100)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[schema(max_length = 1000)]
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    #[schema(pattern = "^(private|unlisted|public)$")]
    visibility: Option<String>,
}

/// Who may see a collection from now on.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Visibility {
    #[schema(required, nullable = false, pattern = "^(private|unlisted|public)$")]
    visibility: Option<String>,
}

/// The user must exist: a token may outlive them.
pub(crate) const INSERT: &str = "
INSERT INTO collection (user_id, name, description, visibility, search_text, created_at, updated_at)
SELECT u.id, $2, $3, $4, $5, $6, $6
FROM \"user\" AS u
WHERE u.id = $1
RETURNING id";

/// A new collection
#[utoipa::path(post, path = "/api/v1/collections/", tag = "collections", security(("bearer" = [])), request_body = NewCollection, responses(
    (status = 201, description = "The collection", body = CollectionRead),
))]
#[tracing::instrument(name = "collections.create", skip_all)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    Body(new): Body<NewCollection>,
) -> Result<(StatusCode, Json<CollectionRead>), Problem> {
    let mut fields = Fields::new();
    let name = required("name", new.name, LONGEST_NAME, &mut fields);
    bound_any(
        "description",
        new.description.as_deref(),
        LONGEST_DESCRIPTION,
        &mut fields,
    );
    let visibility = choice("visibility", new.visibility, &VISIBILITIES, &mut fields);
    check(fields)?;
    let now = now();
    let insert = query(INSERT)
        .bind(caller.id)
        .bind(name.as_str())
        .bind(new.description.as_deref())
        .bind(visibility)
        .bind(search_text(&name, new.description.as_deref()))
        .bind(now);
    let id = made(&state, insert).await?;
    let collection = CollectionRow {
        id,
        user_id: caller.id,
        name,
        description: new.description,
        visibility: visibility.to_owned(),
        created_at: now,
        updated_at: now,
        item_count: 0,
    };
    Ok((StatusCode::CREATED, Json(collection.read())))
}

/// Makes a collection; gives its id. That there was none of this id may be cached.
async fn made(state: &State, insert: Query) -> Result<i64, Problem> {
    let database = state.database.clone();
    cached::write(&state.cache, [""; 0], move |write| async move {
        let made: Option<(i64,)> = insert.fetch_optional(database.write()).await?;
        let (id,) = made.ok_or_else(gone)?;
        let _told = write.also([cached::collection(id)]).await;
        Ok(id)
    })
    .await
}

/// The token is good but its user is gone.
pub(crate) fn gone() -> Problem {
    Problem::unauthorized("this account no longer exists")
}

/// Change a collection
///
/// A merge patch (RFC 7396): what is left out stays, a null description is none.
#[utoipa::path(patch, path = "/api/v1/collections/{id}/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
), request_body = CollectionPatch, responses(
    (status = 200, description = "The collection, without items", body = CollectionRead),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.update", skip_all)]
pub(crate) async fn change(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    Body(patch): Body<CollectionPatch>,
) -> Result<Json<CollectionRead>, Problem> {
    let mut fields = Fields::new();
    if let Some(name) = &patch.name {
        // Every collection has a name: null is as wrong as an empty one.
        let name = Some(name.clone().unwrap_or_default());
        required("name", name, LONGEST_NAME, &mut fields);
    }
    if let Some(description) = &patch.description {
        bound_any(
            "description",
            description.as_deref(),
            LONGEST_DESCRIPTION,
            &mut fields,
        );
    }
    if let Some(visibility) = &patch.visibility {
        choice(
            "visibility",
            Some(visibility.clone()),
            &VISIBILITIES,
            &mut fields,
        );
    }
    check(fields)?;
    apply(&state, caller, id, patch).await.map(Json)
}

/// Change who may see a collection
///
/// Made private, it is gone for everybody else at once: links to it, too.
#[utoipa::path(patch, path = "/api/v1/collections/{id}/visibility/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
), request_body = Visibility, responses(
    (status = 200, description = "The collection, without items", body = CollectionRead),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.update_visibility", skip_all)]
pub(crate) async fn show_to(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    Body(new): Body<Visibility>,
) -> Result<Json<CollectionRead>, Problem> {
    let mut fields = Fields::new();
    if new.visibility.is_none() {
        fields.insert("visibility".to_owned(), "is required".to_owned());
    }
    let visibility = choice("visibility", new.visibility, &VISIBILITIES, &mut fields);
    check(fields)?;
    let patch = CollectionPatch {
        name: None,
        description: None,
        visibility: Some(visibility.to_owned()),
    };
    let changed = apply(&state, caller, id, patch).await?;
    tracing::info!(
        target: "dealbrain.analytics",
        "event=collection.visibility_changed payload={{\"collection_id\":{},\"visibility\":\"{visibility}\"}}",
        changed.id,
    );
    Ok(Json(changed))
}

const UPDATE: &str = "
UPDATE collection
SET name = $2, description = $3, visibility = $4, search_text = $5, updated_at = $6
WHERE id = $1";

/// Two changes at the same time: the later one wins, field by field.
async fn apply(
    state: &State,
    caller: Caller,
    id: Id,
    patch: CollectionPatch,
) -> Result<CollectionRead, Problem> {
    let id = id.or(unknown)?;
    let (database, shared) = (state.database.clone(), state.clone());
    cached::write(
        &state.cache,
        [cached::collection(id)],
        move |_| async move {
            let mut tx = database.begin().await?;
            let mut row = own_row(&shared, &mut tx, caller, id).await?;
            if let Some(Some(name)) = patch.name {
                row.name = name.trim().to_owned();
            }
            if let Some(description) = patch.description {
                row.description = description;
            }
            if let Some(visibility) = patch.visibility {
                row.visibility = visibility;
            }
            row.updated_at = now();
            query(UPDATE)
                .bind(id)
                .bind(row.name.as_str())
                .bind(row.description.as_deref())
                .bind(row.visibility.as_str())
                .bind(search_text(&row.name, row.description.as_deref()))
                .bind(row.updated_at)
                .execute(&mut tx)
                .await?;
            tx.commit().await?;
            Ok(row.read())
        },
    )
    .await
}

/// The caller's collection, kept from other writers until the transaction ends.
pub(super) async fn own_row(
    state: &State,
    tx: &mut service_kit::database::Transaction,
    caller: Caller,
    id: i64,
) -> Result<CollectionRow, Problem> {
    let lock = match tx.dialect() {
        service_kit::database::Dialect::Sqlite => "",
        service_kit::database::Dialect::Postgres => "\nFOR UPDATE OF c",
    };
    let text = format!("SELECT {COLUMNS}\nFROM collection AS c\nWHERE c.id = $1{lock}");
    let row: Option<CollectionRow> = query(text).bind(id).fetch_optional(tx).await?;
    let row = row.ok_or_else(unknown)?;
    match row.user_id == caller.id {
        true => Ok(row),
        false => Err(foreign(state)),
    }
}

pub(crate) const DELETE: &str = "DELETE FROM collection WHERE id = $1 AND user_id = $2";
pub(crate) const OWNER: &str = "SELECT c.user_id FROM collection AS c WHERE c.id = $1";

/// Delete a collection
#[utoipa::path(delete, path = "/api/v1/collections/{id}/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
), responses(
    (status = 204, description = "It is gone"),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.delete", skip_all)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
) -> Result<StatusCode, Problem> {
    let id = id.or(unknown)?;
    let database = state.database.clone();
    let deleted = cached::write(
        &state.cache,
        [cached::collection(id)],
        move |_| async move {
            let delete = query(DELETE).bind(id).bind(caller.id);
            Ok(delete.execute(database.write()).await?)
        },
    )
    .await?;
    match deleted {
        0 => Err(not_own(&state, caller, id).await?),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Why a statement that asks for the caller's own collection found none.
pub(super) async fn not_own(state: &State, caller: Caller, id: i64) -> Result<Problem, Problem> {
    let owner: Option<(i64,)> = query(OWNER)
        .bind(id)
        .fetch_optional(state.database.read())
        .await?;
    Ok(match owner {
        Some((owner,)) if owner != caller.id => foreign(state),
        _ => unknown(),
    })
}
