//! Changing a flyer.
//!
//! The flyer is read twice: once to refuse early, before an address is looked up and pictures
//! are made, and once inside the transaction, locked, where what happens is decided.

use axum::{
    Json,
    extract::{Request, State as FromState},
    http::{HeaderMap, header},
};
use chrono::{DateTime, Utc};
use service_kit::{
    change::{Change, to_the_end},
    clock::now,
    database::{Text, Transaction, insert_rows, query},
    id::Id,
    image::Made,
    page::Link,
    problem::{Fields, Problem},
    text,
    token::Caller,
};

use super::{
    both,
    create::{INSERT_IMAGES, INSERT_LINKS},
    detail::{Detail, load},
    form::{self, CHANGE, Checked, ImageRef, is_past, no_faults},
    images, locate, no_such_flyer,
};
use crate::{
    app::State,
    describe::{FlyerChange, FlyerForm},
    expiry::Validity,
    geo::Point,
    pictures::{OF_FLYER, own_files},
    search::searchable,
};

/// What decides whether a change can be made. `$1` flyer.
pub(crate) const READ: &str = "
SELECT f.creator_id, f.title, f.caption, f.info_field_1, f.info_field_2,
       f.location_address, f.latitude, f.longitude,
       f.publication_date, f.expiration_date, f.is_active, f.version, f.created_at,
       (SELECT count(*) FROM flyer_images AS i WHERE i.flyer_id = f.id) AS pictures
FROM flyers AS f
WHERE f.id = $1";

/// The flyer itself, and nobody else changes it until the transaction ends. `$1` flyer.
const LOCK: Text = text!(
    "
SELECT f.creator_id, f.title, f.caption, f.info_field_1, f.info_field_2,
       f.location_address, f.latitude, f.longitude,
       f.publication_date, f.expiration_date, f.is_active, f.version, f.created_at
FROM flyers AS f
WHERE f.id = $1"
    { "" | "
FOR NO KEY UPDATE" });

const IMAGES: &str = "
SELECT i.id, i.path
FROM flyer_images AS i
WHERE i.flyer_id = $1
ORDER BY i.position, i.path";

const UPDATE: &str = "
UPDATE flyers
SET title = $2, caption = $3, info_field_1 = $4, info_field_2 = $5,
    location_address = $6, latitude = $7, longitude = $8,
    publication_date = $9, expiration_date = $10, is_active = $11,
    search_text = $12, updated_at = $13, version = version + 1
WHERE id = $1";

const DELETE_LINKS: &str = "
DELETE FROM flyer_categories
WHERE flyer_id = $1";

/// `$1` ids.
const DELETE_IMAGES: Text = Text {
    sqlite: "
DELETE FROM flyer_images
WHERE id IN (SELECT value FROM json_each($1))",
    postgres: "
DELETE FROM flyer_images
WHERE id = ANY($1)",
};

/// The position of a picture is that of its id in `$1`; 0 stands for a new one.
const ORDER_IMAGES: Text = Text {
    sqlite: "
UPDATE flyer_images
SET position = wanted.key
FROM json_each($1) AS wanted
WHERE flyer_images.id = wanted.value",
    postgres: "
UPDATE flyer_images AS i
SET position = wanted.place - 1
FROM unnest($1) WITH ORDINALITY AS wanted (id, place)
WHERE i.id = wanted.id",
};

/// A flyer as it is.
#[derive(sqlx_macros::FromRow)]
struct Row {
    creator_id: i64,
    title: String,
    caption: String,
    info_field_1: String,
    info_field_2: String,
    location_address: String,
    latitude: f64,
    longitude: f64,
    publication_date: DateTime<Utc>,
    expiration_date: DateTime<Utc>,
    is_active: bool,
    version: i64,
    created_at: DateTime<Utc>,
    #[sqlx(default)]
    pictures: i64,
}

/// What is to happen to a flyer.
struct Asked {
    id: i64,
    caller: Caller,
    now: DateTime<Utc>,
    checked: Checked,
    /// The place of the address that was asked for.
    place: Option<Point>,
    pictures: Vec<(&'static str, Made)>,
}

/// How much a request says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// PATCH: what is left out stays.
    Part,
    /// PUT: what is left out becomes empty.
    Whole,
}

/// Change parts of a flyer
///
/// What is left out stays. Its pictures change with `remove_images`, `image_1` to `image_5` and
/// `image_order`; one to five must be left. A later `expiration_date` alone does not bring an
/// expired flyer back: `is_active` does. With `version`, or `If-Match`, the change is refused
/// if somebody else was faster.
#[utoipa::path(patch, path = "/api/v1/flyers/{id}/", params(("id" = i64, Path, description = "The flyer")),
    request_body(content((FlyerForm = "multipart/form-data"), (FlyerChange = "application/json"))),
    security(("bearer" = [])), responses(
    (status = 200, description = "The flyer", body = Detail),
    (status = 400, description = "An input is wrong"),
    (status = 401, description = "Sign in first"),
    (status = 403, description = "It is somebody else's"),
    (status = 404, description = "There is none"),
    (status = 409, description = "It has another version by now; `current` is the flyer"),
    (status = 413, description = "The form is longer than any good one"),
    (status = 503, description = "Addresses cannot be looked up, or too many pictures wait"),
))]
pub(crate) async fn change(
    FromState(state): FromState<State>,
    id: Id,
    caller: Caller,
    link: Link,
    request: Request,
) -> Result<Json<Detail>, Problem> {
    edit(&state, id, caller, &link, request, Extent::Part).await
}

/// Change a whole flyer
///
/// As PATCH, but texts that are left out become empty, and title, categories, address and both
/// dates must be given. Pictures and `is_active` stay unless something is said about them.
#[utoipa::path(put, path = "/api/v1/flyers/{id}/", params(("id" = i64, Path, description = "The flyer")),
    request_body(content((FlyerForm = "multipart/form-data"), (FlyerChange = "application/json"))),
    security(("bearer" = [])), responses(
    (status = 200, description = "The flyer", body = Detail),
    (status = 400, description = "An input is wrong or missing"),
    (status = 401, description = "Sign in first"),
    (status = 403, description = "It is somebody else's"),
    (status = 404, description = "There is none"),
    (status = 409, description = "It has another version by now; `current` is the flyer"),
    (status = 413, description = "The form is longer than any good one"),
    (status = 503, description = "Addresses cannot be looked up, or too many pictures wait"),
))]
pub(crate) async fn replace(
    FromState(state): FromState<State>,
    id: Id,
    caller: Caller,
    link: Link,
    request: Request,
) -> Result<Json<Detail>, Problem> {
    edit(&state, id, caller, &link, request, Extent::Whole).await
}

async fn edit(
    state: &State,
    id: Id,
    caller: Caller,
    link: &Link,
    request: Request,
    extent: Extent,
) -> Result<Json<Detail>, Problem> {
    let id = id.or(no_such_flyer)?;
    let row: Option<Row> = query(READ)
        .bind(id)
        .fetch_optional(state.database.read())
        .await?;
    let row = row.ok_or_else(no_such_flyer)?;
    row.belongs_to(caller)?;
    let checked = checked(state, request, extent).await?;
    let now = now();
    let changed = match prepare(state, &row, id, caller, checked, now).await {
        Ok(asked) => {
            let worker = state.clone();
            to_the_end(async move { store(&worker, asked).await }).await
        }
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(()) => load(state, id, Some(caller), None, now, link)
            .await
            .map(Json),
        Err(problem) if problem.status() == 409 => {
            let current = load(state, id, Some(caller), None, now, link).await?;
            let current = serde_json::to_value(current).unwrap_or_default();
            Err(problem.with("current", current))
        }
        Err(problem) => Err(problem),
    }
}

/// Everything that the request says, with nothing wrong in itself.
async fn checked(state: &State, request: Request, extent: Extent) -> Result<Checked, Problem> {
    let condition = if_match(request.headers())?;
    let mut input = form::read(request, &CHANGE).await?;
    let mut fields = Fields::new();
    if extent == Extent::Whole {
        input.fill_texts();
        for (name, date) in [
            ("publication_date", input.publication_date),
            ("expiration_date", input.expiration_date),
        ] {
            if date.is_none() {
                let message = "is needed in a PUT; PATCH changes single fields".to_owned();
                fields.insert(name.to_owned(), message);
            }
        }
    }
    if condition.is_some()
        && input
            .version
            .is_some_and(|version| Some(version) != condition)
    {
        let message = "is not the one in If-Match".to_owned();
        fields.insert("version".to_owned(), message);
    }
    input.version = input.version.or(condition);
    let checked = input.check(&state.categories, &mut fields);
    no_faults(fields)?;
    Ok(checked)
}

/// The version that `If-Match` names: `"7"`. Any will do for `*`.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let version = text.trim_matches('"').parse().ok();
    let message = "must be the version of the flyer in quotes, such as \"3\"";
    version
        .map(Some)
        .ok_or_else(|| Problem::invalid("If-Match", message))
}

/// Refuses what can be refused already; then looks up the address and makes the pictures.
async fn prepare(
    state: &State,
    row: &Row,
    id: i64,
    caller: Caller,
    mut checked: Checked,
    now: DateTime<Utc>,
) -> Result<Asked, Problem> {
    row.validity_after(&checked, now)?;
    let removed = i64::try_from(checked.remove.len()).unwrap_or(i64::MAX);
    let left = usize::try_from(row.pictures.saturating_sub(removed)).unwrap_or(0);
    images::count_is_good(left + checked.files.len())?;
    let uploads = std::mem::take(&mut checked.files);
    let place = async {
        match &checked.address {
            None => Ok(None),
            Some(address) if *address == row.location_address => Ok(Some(row.place())),
            Some(address) => locate(state, address).await.map(Some),
        }
    };
    let (place, pictures) = tokio::join!(place, images::make(state, uploads));
    let (place, pictures) = both(place, pictures)?;
    Ok(Asked {
        id,
        caller,
        now,
        checked,
        place,
        pictures,
    })
}

/// Files and rows, together or not at all.
async fn store(state: &State, mut asked: Asked) -> Result<(), Problem> {
    let made = asked.pictures.iter_mut();
    let files = made.flat_map(|(_, made)| std::mem::take(&mut made.files));
    let mut change = Change::begin(&state.database, &state.storage, files.collect()).await?;
    match update(state, &mut change, &asked).await {
        Ok(()) => change.commit().await,
        Err(problem) => {
            change.undo().await;
            Err(problem)
        }
    }
}

async fn update(state: &State, change: &mut Change, asked: &Asked) -> Result<(), Problem> {
    let row: Option<Row> = query(LOCK)
        .bind(asked.id)
        .fetch_optional(change.rows())
        .await?;
    let row = row.ok_or_else(no_such_flyer)?;
    row.belongs_to(asked.caller)?;
    let validity = row.validity_after(&asked.checked, asked.now)?;
    update_flyer(change.rows(), &row, asked, validity).await?;
    if let Some(categories) = &asked.checked.categories {
        query(DELETE_LINKS)
            .bind(asked.id)
            .execute(change.rows())
            .await?;
        let links = categories.iter().map(|category| {
            vec![
                asked.id.into(),
                (*category).into(),
                row.created_at.into(),
                validity.publication.into(),
                validity.expiration.into(),
                validity.is_active.into(),
            ]
        });
        insert_rows(INSERT_LINKS, links.collect())
            .execute(change.rows())
            .await?;
    }
    update_images(state, change, asked).await
}

async fn update_flyer(
    transaction: &mut Transaction,
    row: &Row,
    asked: &Asked,
    validity: Validity,
) -> Result<(), Problem> {
    let checked = &asked.checked;
    let title = checked.title.as_ref().unwrap_or(&row.title);
    let caption = checked.caption.as_ref().unwrap_or(&row.caption);
    let place = asked.place.unwrap_or_else(|| row.place());
    query(UPDATE)
        .bind(asked.id)
        .bind(title)
        .bind(caption)
        .bind(checked.info[0].as_ref().unwrap_or(&row.info_field_1))
        .bind(checked.info[1].as_ref().unwrap_or(&row.info_field_2))
        .bind(checked.address.as_ref().unwrap_or(&row.location_address))
        .bind(place.lat)
        .bind(place.lng)
        .bind(validity.publication)
        .bind(validity.expiration)
        .bind(validity.is_active)
        .bind(searchable(title, caption))
        .bind(asked.now)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn update_images(state: &State, change: &mut Change, asked: &Asked) -> Result<(), Problem> {
    let Checked { remove, order, .. } = &asked.checked;
    if remove.is_empty() && order.is_none() && asked.pictures.is_empty() {
        return Ok(());
    }
    let old: Vec<(i64, String)> = query(IMAGES)
        .bind(asked.id)
        .fetch_all(change.rows())
        .await?;
    let ids: Vec<i64> = old.iter().map(|(id, _)| *id).collect();
    let slots: Vec<&str> = asked.pictures.iter().map(|(slot, _)| *slot).collect();
    let arranged = images::arrange(&ids, remove, &slots, order.as_deref())?;
    if !remove.is_empty() {
        let gone = old.iter().filter(|(id, _)| remove.contains(id));
        let files = gone.flat_map(|(_, path)| own_files(path, OF_FLYER));
        change.discard(&state.storage, files.collect()).await?;
        query(DELETE_IMAGES)
            .bind(remove.clone())
            .execute(change.rows())
            .await?;
    }
    let places = arranged.iter().map(|image| match image {
        ImageRef::Old(id) => *id,
        ImageRef::New(_) => 0,
    });
    query(ORDER_IMAGES)
        .bind(places.collect::<Vec<i64>>())
        .execute(change.rows())
        .await?;
    insert_images(change.rows(), asked, &arranged).await
}

async fn insert_images(
    transaction: &mut Transaction,
    asked: &Asked,
    arranged: &[ImageRef],
) -> Result<(), Problem> {
    if asked.pictures.is_empty() {
        return Ok(());
    }
    let rows = arranged
        .iter()
        .zip(0_i64..)
        .filter_map(|(image, position)| {
            let ImageRef::New(slot) = image else {
                return None;
            };
            let (_, made) = asked.pictures.iter().find(|(other, _)| other == slot)?;
            Some(vec![
                asked.id.into(),
                (&made.path).into(),
                position.into(),
                asked.now.into(),
            ])
        });
    insert_rows(INSERT_IMAGES, rows.collect())
        .execute(transaction)
        .await?;
    Ok(())
}

impl Row {
    fn belongs_to(&self, caller: Caller) -> Result<(), Problem> {
        match self.creator_id == caller.id {
            true => Ok(()),
            false => Err(Problem::forbidden("only its creator can change a flyer")),
        }
    }

    fn place(&self) -> Point {
        Point {
            lat: self.latitude,
            lng: self.longitude,
        }
    }

    fn validity(&self) -> Validity {
        Validity {
            is_active: self.is_active,
            publication: self.publication_date,
            expiration: self.expiration_date,
        }
    }

    /// The dates after the change.
    ///
    /// # Errors
    /// 409 when the flyer has another version; 400 for dates that cannot be.
    fn validity_after(&self, asked: &Checked, now: DateTime<Utc>) -> Result<Validity, Problem> {
        if asked.version.is_some_and(|version| version != self.version) {
            let message = "somebody has changed the flyer meanwhile; look at it and try again";
            return Err(Problem::conflict("version", message));
        }
        let old = self.validity();
        let publication = asked.publication.unwrap_or(old.publication);
        let expiration = asked.expiration.unwrap_or(old.expiration);
        let mut fields = Fields::new();
        let mut fault = |field: &str, message: &str| {
            fields.insert(field.to_owned(), message.to_owned());
        };
        if publication != old.publication && is_past(publication, now) {
            fault("publication_date", "must not be moved into the past");
        }
        if expiration <= publication {
            let field = match asked.expiration {
                Some(_) => "expiration_date",
                None => "publication_date",
            };
            fault(field, "the publication must be before the expiration");
        } else if expiration != old.expiration && expiration <= now {
            fault(
                "expiration_date",
                "must be in the future; to end the flyer now turn is_active off",
            );
        }
        if asked.is_active == Some(true) && expiration <= now {
            fault(
                "is_active",
                "the flyer has expired; give an expiration_date in the future with it",
            );
        }
        no_faults(fields)?;
        Ok(Validity {
            // A later date alone does not bring back what is over: it is judged by its old date.
            is_active: asked.is_active.unwrap_or(old.is_active_at(now)),
            publication,
            expiration,
        })
    }
}
