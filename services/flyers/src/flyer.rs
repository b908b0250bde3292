//! One flyer: reading it, making it.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{insert_rows, query},
    id::Id,
    page::Link,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};
use std::time::Duration;

use crate::{
    app::State,
    expiry::Status,
    feed::{Card, CardRow, Extras, point_of, present},
    geo::Point,
    geocoder::GeocodeError,
    search::searchable,
};

/// One flyer with its creator. `$1` flyer, `$2` signed-in user or null.
pub(crate) const DETAIL: &str = "
SELECT f.id, f.title, f.caption, f.info_field_1, f.info_field_2,
       f.location_address, f.latitude, f.longitude,
       f.publication_date, f.expiration_date, f.is_active, f.created_at,
       f.creator_id, u.username, p.name AS creator_name, p.profile_picture AS creator_picture,
       CAST(NULL AS DOUBLE PRECISION) AS haversine,
       EXISTS (SELECT 1 FROM favorites AS v WHERE v.user_id = $2 AND v.flyer_id = f.id) AS is_favorited,
       EXISTS (SELECT 1 FROM follows AS w WHERE w.follower_id = $2 AND w.followed_id = f.creator_id) AS is_following,
       f.version
FROM flyers AS f
JOIN users AS u ON u.id = f.creator_id
JOIN profiles AS p ON p.user_id = f.creator_id
WHERE f.id = $1";

const INSERT: &str = "
INSERT INTO flyers (
    creator_id, title, caption, info_field_1, info_field_2,
    location_address, latitude, longitude,
    publication_date, expiration_date, search_text, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
RETURNING id";

const INSERT_LINKS: &str = "
INSERT INTO flyer_categories (
    flyer_id, category_id, created_at, publication_date, expiration_date, is_active
)";

const LIFETIME: TimeDelta = TimeDelta::days(30);
/// A form that was filled in for some minutes may still say "now".
const PAST_TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// Dates far away are typing errors; their texts would also not sort.
const LATEST_YEAR: i32 = 2200;

/// A flyer and what its owner may do with it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Detail {
    #[serde(flatten)]
    card: Card,
    is_owner: bool,
    can_edit: bool,
    /// What an edit form needs; for the owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    editable: Option<Editable>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct Editable {
    publication_date: DateTime<Utc>,
    expiration_date: DateTime<Utc>,
    is_active: bool,
    version: i64,
}

/// A new flyer. The place comes from the address.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct NewFlyer {
    title: Option<String>,
    caption: Option<String>,
    /// The older name of the caption.
    description: Option<String>,
    info_field_1: Option<String>,
    info_field_2: Option<String>,
    /// Slugs of categories, at least one.
    category_tags: Option<Vec<String>>,
    location_address: Option<String>,
    /// Now unless given.
    publication_date: Option<DateTime<Utc>>,
    /// 30 days after the publication unless given.
    expiration_date: Option<DateTime<Utc>>,
}

/// A new flyer with nothing left to complain about.
struct Checked {
    title: String,
    caption: String,
    info: [String; 2],
    address: String,
    categories: Vec<i64>,
    publication: DateTime<Utc>,
    expiration: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct DetailRow {
    #[sqlx(flatten)]
    card: CardRow,
    version: i64,
}

/// One flyer
///
/// With all its pictures, and the distance if the caller says where they are. A flyer
/// that is expired, turned off or scheduled is there for its owner alone.
#[utoipa::path(get, path = "/api/v1/flyers/{id}/", params(
    ("id" = i64, Path, description = "The flyer"),
    ("lat" = Option<f64>, Query, description = "Where the caller is; with lng"),
    ("lng" = Option<f64>, Query, description = "Where the caller is; with lat"),
), responses(
    (status = 200, description = "The flyer", body = Detail),
    (status = 404, description = "There is none that the caller may see"),
))]
pub(crate) async fn detail(
    FromState(state): FromState<State>,
    id: Id,
    caller: Option<Caller>,
    params: Params,
    link: Link,
) -> Result<Json<Detail>, Problem> {
    let mut fields = Fields::new();
    let from = point_of(&params, &mut fields);
    if !fields.is_empty() {
        return Err(Problem::validation(fields));
    }
    let id = id.or(no_such_flyer)?;
    load(&state, id, caller, from, now(), &link).await.map(Json)
}

/// Make a flyer
///
/// The caller becomes its creator. The place is looked up from the address.
#[utoipa::path(post, path = "/api/v1/flyers/", request_body = NewFlyer, security(("bearer" = [])), responses(
    (status = 201, description = "The flyer", body = Detail),
    (status = 400, description = "An input is wrong, or the address is not known"),
    (status = 401, description = "Sign in first"),
    (status = 503, description = "Addresses cannot be looked up at the moment"),
))]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    link: Link,
    Body(new): Body<NewFlyer>,
) -> Result<(StatusCode, Json<Detail>), Problem> {
    let now = now();
    let checked = check(&state, new, now)?;
    let place = locate(&state, &checked.address).await?;
    let id = insert(&state, caller, &checked, place, now).await?;
    let detail = load(&state, id, Some(caller), None, now, &link).await?;
    Ok((StatusCode::CREATED, Json(detail)))
}

async fn load(
    state: &State,
    id: i64,
    caller: Option<Caller>,
    from: Option<Point>,
    now: DateTime<Utc>,
    link: &Link,
) -> Result<Detail, Problem> {
    let viewer = caller.map(|caller| caller.id);
    let row: Option<DetailRow> = query(DETAIL)
        .bind(id)
        .bind(viewer)
        .fetch_optional(state.database.read())
        .await?;
    let DetailRow { card: row, version } = row.ok_or_else(no_such_flyer)?;
    let is_owner = viewer == Some(row.creator_id);
    let validity = row.validity();
    if !is_owner && validity.status(now) != Status::Active {
        return Err(no_such_flyer());
    }
    let mut extras = Extras::load(state, &[id]).await?;
    Ok(Detail {
        card: present(row, &mut extras, from, viewer, now, link),
        is_owner,
        can_edit: is_owner,
        editable: is_owner.then_some(Editable {
            publication_date: validity.publication,
            expiration_date: validity.expiration,
            is_active: validity.is_active,
            version,
        }),
    })
}

fn no_such_flyer() -> Problem {
    Problem::not_found("there is no such flyer, or it has expired")
}

/// Checks everything at once, so that a form can show all that is wrong.
fn check(state: &State, new: NewFlyer, now: DateTime<Utc>) -> Result<Checked, Problem> {
    let mut fields = Fields::new();
    let mut text = |field: &str, value: Option<String>, least: usize, most: usize| {
        let value = value.unwrap_or_default().trim().to_owned();
        if !(least..=most).contains(&value.chars().count()) {
            fields.insert(
                field.to_owned(),
                format!("must have {least} to {most} characters"),
            );
        } else if value.contains('\0') {
            fields.insert(
                field.to_owned(),
                "must not contain a NUL character".to_owned(),
            );
        }
        value
    };
    let title = text("title", new.title, 1, 200);
    let caption = text("caption", new.caption.or(new.description), 0, 2000);
    let info = [
        text("info_field_1", new.info_field_1, 0, 1000),
        text("info_field_2", new.info_field_2, 0, 1000),
    ];
    let address = text("location_address", new.location_address, 1, 500);
    let (publication, expiration) =
        dates(new.publication_date, new.expiration_date, now, &mut fields);
    let tags = new.category_tags.unwrap_or_default();
    let categories = state.categories.ids(tags.iter().map(String::as_str));
    let categories = match categories {
        Ok(ids) if ids.is_empty() => Err("choose at least one".to_owned()),
        other => other,
    };
    let categories = categories.unwrap_or_else(|message| {
        fields.insert("category_tags".to_owned(), message);
        Vec::new()
    });
    if !fields.is_empty() {
        return Err(Problem::validation(fields));
    }
    Ok(Checked {
        title,
        caption,
        info,
        address,
        categories,
        publication,
        expiration,
    })
}

fn dates(
    publication: Option<DateTime<Utc>>,
    expiration: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    fields: &mut Fields,
) -> (DateTime<Utc>, DateTime<Utc>) {
    use chrono::{Datelike as _, SubsecRound as _};
    let publication = publication.map_or(now, |date| date.trunc_subsecs(6));
    let latest = |date: DateTime<Utc>| date.year() <= LATEST_YEAR;
    if publication < now - PAST_TOLERANCE || !latest(publication) {
        let message = "must not be in the past, nor after the year 2200";
        fields.insert("publication_date".to_owned(), message.to_owned());
        return (now, now);
    }
    let expiration =
        expiration.map_or_else(|| publication + LIFETIME, |date| date.trunc_subsecs(6));
    if expiration <= publication || expiration <= now || !latest(expiration) {
        let message = "must be in the future and after the publication, not after the year 2200";
        fields.insert("expiration_date".to_owned(), message.to_owned());
    }
    (publication, expiration)
}

async fn locate(state: &State, address: &str) -> Result<Point, Problem> {
    state
        .geocoder
        .locate(address)
        .await
        .map_err(|error| match error {
            GeocodeError::NotFound => Problem::invalid(
                "location_address",
                "is not known; write street, postal code and town",
            ),
            GeocodeError::Unavailable => {
                Problem::unavailable("addresses cannot be looked up now", Duration::from_secs(30))
            }
        })
}

/// Flyer and categories, together or not at all.
async fn insert(
    state: &State,
    caller: Caller,
    new: &Checked,
    place: Point,
    now: DateTime<Utc>,
) -> Result<i64, Problem> {
    let mut transaction = state.database.begin().await?;
    let id: i64 = query(INSERT)
        .bind(caller.id)
        .bind(&new.title)
        .bind(&new.caption)
        .bind(&new.info[0])
        .bind(&new.info[1])
        .bind(&new.address)
        .bind(place.lat)
        .bind(place.lng)
        .bind(new.publication)
        .bind(new.expiration)
        .bind(searchable(&new.title, &new.caption))
        .bind(now)
        .fetch_scalar(&mut transaction)
        .await
        .map_err(|error| match error.as_database_error() {
            // The token is good but its user is gone.
            Some(database) if database.is_foreign_key_violation() => {
                Problem::unauthorized("this account no longer exists")
            }
            _ => error.into(),
        })?;
    let links = new.categories.iter().map(|category| {
        vec![
            id.into(),
            (*category).into(),
            now.into(),
            new.publication.into(),
            new.expiration.into(),
            true.into(),
        ]
    });
    insert_rows(INSERT_LINKS, links.collect())
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok(id)
}
