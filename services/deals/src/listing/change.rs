//! Making, changing and deleting listings, and everything that must notice.

use std::sync::LazyLock;

use axum::{Json, extract::State as FromState, http::StatusCode};
use serde_json::{Map, Value as Object};
use service_kit::{
    body::Body,
    clock::now,
    database::{Database, Dialect, Query, Transaction, Value, query},
    id::Id,
    problem::Problem,
    token::Caller,
};

use super::{
    detail::{read, unknown},
    input::{FIELDS, Input},
    record::{ListingRead, ListingRow, SELECT},
};
use crate::{app::State, cached};

/// Columns that follow from others, bound after [`FIELDS`].
const DERIVED: [&str; 8] = [
    "thumbnail_url",
    "dollar_per_cpu_mark",
    "dollar_per_single_mark",
    "dollar_per_cpu_mark_multi",
    "dollar_per_cpu_mark_multi_adjusted",
    "dollar_per_cpu_mark_single",
    "dollar_per_cpu_mark_single_adjusted",
    "updated_at",
];

fn columns() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|field| field.column).chain(DERIVED)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<_> = columns().collect();
    let places: Vec<_> = (1..=names.len()).map(|place| format!("${place}")).collect();
    // A new listing was changed when it was made.
    format!(
        "INSERT INTO listing ({names}, created_at)\nVALUES ({places}, ${made})\nRETURNING id",
        names = names.join(", "),
        places = places.join(", "),
        made = names.len()
    )
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let sets: Vec<_> = columns()
        .zip(1..)
        .map(|(column, place)| format!("{column} = ${place}"))
        .collect();
    format!(
        "UPDATE listing\nSET {}\nWHERE id = ${}",
        sets.join(", "),
        sets.len() + 1
    )
});

/// `$1` to `$8`: what a listing points at. Says which of them are there, and the processor's marks.
const POINTED_AT: &str = "
SELECT (SELECT id FROM cpu WHERE id = $1) AS cpu_id,
       (SELECT cpu_mark_multi FROM cpu WHERE id = $1) AS cpu_mark_multi,
       (SELECT cpu_mark_single FROM cpu WHERE id = $1) AS cpu_mark_single,
       (SELECT id FROM gpu WHERE id = $2) AS gpu_id,
       (SELECT id FROM ports_profile WHERE id = $3) AS ports_profile_id,
       (SELECT id FROM profile WHERE id = $4) AS active_profile_id,
       (SELECT id FROM valuation_ruleset WHERE id = $5) AS ruleset_id,
       (SELECT id FROM ram_spec WHERE id = $6) AS ram_spec_id,
       (SELECT id FROM storage_profile WHERE id = $7) AS primary_storage_profile_id,
       (SELECT id FROM storage_profile WHERE id = $8) AS secondary_storage_profile_id";

#[derive(sqlx_macros::FromRow)]
struct PointedAt {
    cpu_id: Option<i64>,
    cpu_mark_multi: Option<i64>,
    cpu_mark_single: Option<i64>,
    gpu_id: Option<i64>,
    ports_profile_id: Option<i64>,
    active_profile_id: Option<i64>,
    ruleset_id: Option<i64>,
    ram_spec_id: Option<i64>,
    primary_storage_profile_id: Option<i64>,
    secondary_storage_profile_id: Option<i64>,
}

/// In the order of the placeholders.
const POINTERS: [&str; 8] = [
    "cpu_id",
    "gpu_id",
    "ports_profile_id",
    "active_profile_id",
    "ruleset_id",
    "ram_spec_id",
    "primary_storage_profile_id",
    "secondary_storage_profile_id",
];

/// A listing to write. Members that are left out have their usual value; see the answer of
/// `GET /listings/{id}` for all of them.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes what `input::FIELDS` reads")]
pub(crate) struct ListingInput {
    #[schema(max_length = 255)]
    title: String,
    #[schema(max_length = 2000)]
    listing_url: Option<String>,
    #[schema(max_length = 128)]
    seller: Option<String>,
    price_usd: Option<f64>,
    adjusted_price_usd: Option<f64>,
    #[schema(pattern = "^(used|new|refurb)$")]
    condition: Option<String>,
    #[schema(pattern = "^(active|archived|pending)$")]
    status: Option<String>,
    #[schema(max_length = 64)]
    manufacturer: Option<String>,
    #[schema(max_length = 32)]
    form_factor: Option<String>,
    #[schema(minimum = 0)]
    ram_gb: Option<i64>,
    #[schema(minimum = 0)]
    primary_storage_gb: Option<i64>,
    cpu_id: Option<i64>,
    gpu_id: Option<i64>,
    #[schema(value_type = Option<Object>)]
    raw_listing_json: Option<Object>,
    #[schema(value_type = Option<Object>)]
    attributes_json: Option<Object>,
}

/// The same, to change: what is left out stays as it is, null clears.
#[derive(utoipa::ToSchema)]
#[allow(dead_code, reason = "describes what `input::FIELDS` reads")]
pub(crate) struct ListingPatch {
    #[schema(max_length = 255)]
    title: Option<String>,
    price_usd: Option<f64>,
    #[schema(pattern = "^(active|archived|pending)$")]
    status: Option<String>,
    #[schema(max_length = 64)]
    manufacturer: Option<String>,
}

/// A new listing
#[utoipa::path(post, path = "/api/v1/listings/", tag = "listings", security(("bearer" = [])), request_body = ListingInput, responses(
    (status = 201, description = "The listing", body = ListingRead),
    (status = 400, description = "An id names nothing"),
    (status = 409, description = "The marketplace has this item already"),
))]
#[tracing::instrument(name = "listings.create", skip_all)]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    _caller: Caller,
    Body(object): Body<Map<String, Object>>,
) -> Result<(StatusCode, Json<ListingRead>), Problem> {
    let input = Input::read(&object)?;
    let database = state.database.clone();
    let id = cached::write(&state.cache, [cached::LISTINGS], move |_| async move {
        let mut tx = database.begin().await?;
        let marks = pointed_at(&mut tx, &input).await?;
        let made = bind(query(INSERT.as_str()), input, marks)
            .fetch_scalar(&mut tx)
            .await;
        let id: i64 = made.map_err(clash)?;
        tx.commit().await?;
        Ok(id)
    })
    .await?;
    let made = read(&state.database, id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A listing, written anew
///
/// What is left out has its usual value afterwards.
#[utoipa::path(put, path = "/api/v1/listings/{id}/", tag = "listings", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
), request_body = ListingInput, responses(
    (status = 200, description = "The listing", body = ListingRead),
    (status = 400, description = "An id names nothing"),
    (status = 404, description = "There is no such listing"),
    (status = 409, description = "The marketplace has this item already"),
))]
#[tracing::instrument(name = "listings.replace", skip_all)]
pub(crate) async fn replace(
    FromState(state): FromState<State>,
    _caller: Caller,
    id: Id,
    Body(object): Body<Map<String, Object>>,
) -> Result<Json<ListingRead>, Problem> {
    let id = id.or(unknown)?;
    Input::read(&object)?;
    update(&state, id, move |_| object).await
}

/// Change a listing
///
/// A merge patch (RFC 7396): what is left out stays, null clears.
#[utoipa::path(patch, path = "/api/v1/listings/{id}/", tag = "listings", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
), request_body = ListingPatch, responses(
    (status = 200, description = "The listing", body = ListingRead),
    (status = 400, description = "An id names nothing"),
    (status = 404, description = "There is no such listing"),
    (status = 409, description = "The marketplace has this item already"),
))]
#[tracing::instrument(name = "listings.update", skip_all)]
pub(crate) async fn change(
    FromState(state): FromState<State>,
    _caller: Caller,
    id: Id,
    Body(patch): Body<Map<String, Object>>,
) -> Result<Json<ListingRead>, Problem> {
    let id = id.or(unknown)?;
    update(&state, id, move |mut is| {
        is.extend(patch);
        is
    })
    .await
}

/// Delete a listing
///
/// It leaves all collections, and links to it end.
#[utoipa::path(delete, path = "/api/v1/listings/{id}/", tag = "listings", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The listing"),
), responses(
    (status = 204, description = "It is gone"),
    (status = 404, description = "There is no such listing"),
))]
#[tracing::instrument(name = "listings.delete", skip_all)]
pub(crate) async fn remove(
    FromState(state): FromState<State>,
    _caller: Caller,
    id: Id,
) -> Result<StatusCode, Problem> {
    let id = id.or(unknown)?;
    let database = state.database.clone();
    let tags = [cached::listing(id), cached::LISTINGS.to_owned()];
    cached::write(&state.cache, tags, move |write| async move {
        let mut tx = database.begin().await?;
        // Who puts the listing into a collection meanwhile waits for this lock, or is waited for.
        lock(&mut tx, id).await?.ok_or_else(unknown)?;
        let shown_in: Vec<(i64,)> = query(cached::COLLECTIONS_OF)
            .bind(id)
            .fetch_all(&mut tx)
            .await?;
        query(DELETE).bind(id).execute(&mut tx).await?;
        let tags = shown_in.iter().map(|(id,)| cached::collection(*id));
        let _told = write.also(tags).await;
        tx.commit().await?;
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) const DELETE: &str = "DELETE FROM listing WHERE id = $1";
const LOCK: &str = "SELECT id FROM listing WHERE id = $1 FOR UPDATE";
const SEE: &str = "SELECT id FROM listing WHERE id = $1";

/// Finds the row and keeps it from others; a transaction of SQLite that writes is alone anyway.
async fn lock(tx: &mut Transaction, id: i64) -> Result<Option<(i64,)>, sqlx::Error> {
    let text = match tx.dialect() {
        Dialect::Sqlite => SEE,
        Dialect::Postgres => LOCK,
    };
    query(text).bind(id).fetch_optional(tx).await
}

async fn update(
    state: &State,
    id: i64,
    change: impl FnOnce(Map<String, Object>) -> Map<String, Object> + Send + 'static,
) -> Result<Json<ListingRead>, Problem> {
    let database = state.database.clone();
    let tags = [cached::listing(id), cached::LISTINGS.to_owned()];
    cached::write(&state.cache, tags, move |write| async move {
        store(&database, id, change).await?;
        cached::also_collections_of(&write, &database, id).await;
        Ok(())
    })
    .await?;
    read(&state.database, id)
        .await?
        .ok_or_else(unknown)
        .map(Json)
}

/// Two changes at the same time happen one after the other, none is lost.
async fn store(
    database: &Database,
    id: i64,
    change: impl FnOnce(Map<String, Object>) -> Map<String, Object> + Send,
) -> Result<(), Problem> {
    let mut tx = database.begin().await?;
    lock(&mut tx, id).await?.ok_or_else(unknown)?;
    let row: ListingRow = query(format!("{}WHERE l.id = $1", *SELECT))
        .bind(id)
        .fetch_one(&mut tx)
        .await?;
    let is = serde_json::to_value(&row.own);
    let Ok(Object::Object(is)) = is else {
        return Err(Problem::internal());
    };
    let input = Input::read(&change(is))?;
    let marks = pointed_at(&mut tx, &input).await?;
    let done = bind(query(UPDATE.as_str()), input, marks)
        .bind(id)
        .execute(&mut tx)
        .await;
    done.map_err(clash)?;
    Ok(tx.commit().await?)
}

/// Marks of the processor, of all cores and of one.
type Marks = (Option<i64>, Option<i64>);

/// Checks what the listing points at.
async fn pointed_at(tx: &mut Transaction, input: &Input) -> Result<Marks, Problem> {
    let ids = POINTERS.map(|name| input.id(name));
    if ids.iter().all(Option::is_none) {
        return Ok((None, None));
    }
    let asked = ids
        .iter()
        .fold(query(POINTED_AT), |query, id| query.bind(*id));
    let found: PointedAt = asked.fetch_one(tx).await?;
    let there = [
        found.cpu_id,
        found.gpu_id,
        found.ports_profile_id,
        found.active_profile_id,
        found.ruleset_id,
        found.ram_spec_id,
        found.primary_storage_profile_id,
        found.secondary_storage_profile_id,
    ];
    let mut pairs = POINTERS.iter().zip(ids.iter().zip(there));
    match pairs.find(|(_, (asked, there))| *asked != there) {
        Some((name, _)) => Err(Problem::unknown(name, "names nothing that there is")),
        None => Ok((found.cpu_mark_multi, found.cpu_mark_single)),
    }
}

/// Binds what [`columns`] names.
fn bind(query: Query, input: Input, (multi, single): Marks) -> Query {
    let (price, adjusted) = (
        input.number("price_usd"),
        input.number("adjusted_price_usd"),
    );
    let thumbnail = input.thumbnail_url.clone();
    let query = input.values.into_iter().fold(query, Query::bind);
    let derived: [Value; 8] = [
        thumbnail.into(),
        per_mark(price, multi).into(),
        per_mark(price, single).into(),
        per_mark(price, multi).into(),
        per_mark(adjusted, multi).into(),
        per_mark(price, single).into(),
        per_mark(adjusted, single).into(),
        now().into(),
    ];
    derived.into_iter().fold(query, Query::bind)
}

fn per_mark(price: Option<f64>, mark: Option<i64>) -> Option<f64> {
    let mark = mark.filter(|mark| *mark > 0)?;
    price.map(|price| price / mark as f64)
}

fn clash(error: sqlx::Error) -> Problem {
    let is_clash = error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation());
    match is_clash {
        true => Problem::conflict("vendor_item_id", "this marketplace has the item already"),
        false => error.into(),
    }
}
