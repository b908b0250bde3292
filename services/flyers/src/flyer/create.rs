//! Making a flyer.

use axum::{
    Json,
    extract::{Request, State as FromState},
    http::StatusCode,
};
use chrono::{DateTime, TimeDelta, Utc};
use service_kit::{
    change::{Change, to_the_end},
    clock::now,
    database::{insert_rows, query},
    image::Made,
    page::Link,
    problem::{Fields, Problem},
    token::Caller,
};

use super::{
    both,
    detail::{Detail, load},
    form::{self, Checked, NEW, is_past, no_faults},
    images, locate,
};
use crate::{app::State, describe::NewFlyer, geo::Point, search::searchable};

const INSERT: &str = "
INSERT INTO flyers (
    creator_id, title, caption, info_field_1, info_field_2,
    location_address, latitude, longitude,
    publication_date, expiration_date, search_text, created_at, updated_at
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
RETURNING id";

/// Rows of links between flyers and categories.
pub(super) const INSERT_LINKS: &str = "
INSERT INTO flyer_categories (
    flyer_id, category_id, created_at, publication_date, expiration_date, is_active
)";

/// Rows of pictures.
pub(super) const INSERT_IMAGES: &str = "
INSERT INTO flyer_images (flyer_id, path, position, created_at)";

const LIFETIME: TimeDelta = TimeDelta::days(30);

/// A new flyer with nothing left to complain about.
struct New {
    creator: i64,
    title: String,
    caption: String,
    info: [String; 2],
    address: String,
    place: Point,
    categories: Vec<i64>,
    publication: DateTime<Utc>,
    expiration: DateTime<Utc>,
    now: DateTime<Utc>,
}

/// Make a flyer
///
/// The caller becomes its creator. The place is looked up from the address. One to five pictures
/// of at most 5 MB come as `image_1` to `image_5`, the cover first: JPEG, PNG or WebP.
#[utoipa::path(post, path = "/api/v1/flyers/",
    request_body(content = NewFlyer, content_type = "multipart/form-data"),
    security(("bearer" = [])), responses(
    (status = 201, description = "The flyer", body = Detail),
    (status = 400, description = "An input is wrong, or the address is not known"),
    (status = 401, description = "Sign in first"),
    (status = 413, description = "The form is longer than any good one"),
    (status = 503, description = "Addresses cannot be looked up, or too many pictures wait"),
))]
pub(crate) async fn create(
    FromState(state): FromState<State>,
    caller: Caller,
    link: Link,
    request: Request,
) -> Result<(StatusCode, Json<Detail>), Problem> {
    let mut input = form::read(request, &NEW).await?;
    let now = now();
    let mut fields = Fields::new();
    input.fill_texts();
    let mut asked = input.check(&state.categories, &mut fields);
    let (publication, expiration) = dates(&asked, now, &mut fields);
    if let Err(problem) = images::count_is_good(asked.files.len()) {
        fields.extend(problem.fields().clone());
    }
    no_faults(fields)?;
    let address = asked.address.take().unwrap_or_default();
    let uploads = std::mem::take(&mut asked.files);
    let (place, pictures) = tokio::join!(locate(&state, &address), images::make(&state, uploads));
    let (place, pictures) = both(place, pictures)?;
    let new = New {
        creator: caller.id,
        title: asked.title.unwrap_or_default(),
        caption: asked.caption.unwrap_or_default(),
        info: asked.info.map(Option::unwrap_or_default),
        address,
        place,
        categories: asked.categories.unwrap_or_default(),
        publication,
        expiration,
        now,
    };
    let worker = state.clone();
    let id = to_the_end(async move { store(&worker, &new, pictures).await }).await?;
    let detail = load(&state, id, Some(caller), None, now, &link).await?;
    Ok((StatusCode::CREATED, Json(detail)))
}

fn dates(
    asked: &Checked,
    now: DateTime<Utc>,
    fields: &mut Fields,
) -> (DateTime<Utc>, DateTime<Utc>) {
    let publication = asked.publication.unwrap_or(now);
    let expiration = asked.expiration.unwrap_or(publication + LIFETIME);
    if fields.contains_key("publication_date") {
        return (publication, expiration);
    }
    if is_past(publication, now) {
        let message = "must not be in the past".to_owned();
        fields.insert("publication_date".to_owned(), message);
    } else if expiration <= publication || expiration <= now {
        let message = "must be in the future and after the publication".to_owned();
        fields
            .entry("expiration_date".to_owned())
            .or_insert(message);
    }
    (publication, expiration)
}

/// Files and rows, together or not at all.
async fn store(
    state: &State,
    new: &New,
    pictures: Vec<(&'static str, Made)>,
) -> Result<i64, Problem> {
    let (paths, files): (Vec<_>, Vec<_>) = pictures
        .into_iter()
        .map(|(_, made)| (made.path, made.files))
        .unzip();
    let mut change = Change::begin(
        &state.database,
        &state.storage,
        files.into_iter().flatten().collect(),
    )
    .await?;
    match insert(&mut change, new, &paths).await {
        Ok(id) => change.commit().await.map(|()| id),
        Err(problem) => {
            change.undo().await;
            Err(problem)
        }
    }
}

async fn insert(change: &mut Change, new: &New, paths: &[String]) -> Result<i64, Problem> {
    let id: i64 = query(INSERT)
        .bind(new.creator)
        .bind(&new.title)
        .bind(&new.caption)
        .bind(&new.info[0])
        .bind(&new.info[1])
        .bind(&new.address)
        .bind(new.place.lat)
        .bind(new.place.lng)
        .bind(new.publication)
        .bind(new.expiration)
        .bind(searchable(&new.title, &new.caption))
        .bind(new.now)
        .fetch_scalar(change.rows())
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
            new.now.into(),
            new.publication.into(),
            new.expiration.into(),
            true.into(),
        ]
    });
    insert_rows(INSERT_LINKS, links.collect())
        .execute(change.rows())
        .await?;
    let images = paths
        .iter()
        .zip(0_i64..)
        .map(|(path, position)| vec![id.into(), path.into(), position.into(), new.now.into()]);
    insert_rows(INSERT_IMAGES, images.collect())
        .execute(change.rows())
        .await?;
    Ok(id)
}
