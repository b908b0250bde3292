//! A flyer as a list shows it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use service_kit::{
    database::{Text, query},
    page::Link,
    problem::Problem,
};

use crate::{
    app::State,
    expiry::{Status, Validity},
    geo::{Point, shown_km},
    pictures,
};

/// The pictures of the flyers of a page. Their order is restored in memory: it is
/// that of the ids, and a database would sort what is read from an index already.
pub(crate) const IMAGES_OF: Text = Text {
    sqlite: "
SELECT i.flyer_id, i.id, i.path, i.position
FROM json_each($1) AS wanted
CROSS JOIN flyer_images AS i
WHERE i.flyer_id = wanted.value",
    postgres: "
SELECT i.flyer_id, i.id, i.path, i.position
FROM flyer_images AS i
WHERE i.flyer_id = ANY($1)",
};

/// The categories of the flyers of a page.
pub(crate) const CATEGORIES_OF: Text = Text {
    sqlite: "
SELECT c.flyer_id, c.category_id
FROM json_each($1) AS wanted
CROSS JOIN flyer_categories AS c
WHERE c.flyer_id = wanted.value",
    postgres: "
SELECT c.flyer_id, c.category_id
FROM flyer_categories AS c
WHERE c.flyer_id = ANY($1)",
};

/// A flyer with its creator, as read.
#[derive(Debug, sqlx_macros::FromRow)]
pub(crate) struct CardRow {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) caption: String,
    pub(crate) info_field_1: String,
    pub(crate) info_field_2: String,
    pub(crate) location_address: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) publication_date: DateTime<Utc>,
    pub(crate) expiration_date: DateTime<Utc>,
    pub(crate) is_active: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) creator_id: i64,
    pub(crate) username: String,
    pub(crate) creator_name: Option<String>,
    pub(crate) creator_picture: Option<String>,
    pub(crate) haversine: Option<f64>,
    /// What the smart order sorts by; no other statement asks for it.
    #[sqlx(default)]
    pub(crate) score: Option<f64>,
    pub(crate) is_favorited: bool,
    pub(crate) is_following: bool,
}

impl CardRow {
    pub(crate) fn validity(&self) -> Validity {
        Validity {
            is_active: self.is_active,
            publication: self.publication_date,
            expiration: self.expiration_date,
        }
    }
}

/// A flyer in a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Card {
    pub(crate) id: i64,
    title: String,
    caption: String,
    /// The same text under its older name.
    description: String,
    info_field_1: String,
    info_field_2: String,
    creator: Creator,
    creator_name: String,
    creator_profile_picture_url: String,
    images: Vec<Image>,
    location: Location,
    validity: Shown,
    categories: Vec<String>,
    status: Status,
    /// Null for anonymous callers.
    is_favorited: Option<bool>,
    created_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Creator {
    id: i64,
    username: String,
    name: String,
    /// The 128 pixel avatar.
    profile_picture: String,
    /// Null for anonymous callers.
    is_following: Option<bool>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Image {
    id: i64,
    url: String,
    thumb_url: String,
    /// 0 is the cover.
    order: i64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Location {
    address: String,
    lat: f64,
    lng: f64,
    /// Null when the caller did not say where they are.
    distance_km: Option<f64>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Shown {
    valid_from: DateTime<Utc>,
    valid_until: DateTime<Utc>,
    is_valid: bool,
}

/// A picture, as read.
#[derive(Debug, sqlx_macros::FromRow)]
struct ImageRow {
    flyer_id: i64,
    id: i64,
    path: String,
    position: i64,
}

/// What a page of flyers needs beside its rows.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    images: HashMap<i64, Vec<ImageRow>>,
    categories: HashMap<i64, Vec<String>>,
}

impl Extras {
    /// Two statements for any number of flyers, none for none.
    pub(crate) async fn load(state: &State, flyers: &[i64]) -> Result<Self, Problem> {
        if flyers.is_empty() {
            return Ok(Self::default());
        }
        let images: Vec<ImageRow> = query(IMAGES_OF)
            .bind(flyers)
            .fetch_all(state.database.read())
            .await?;
        let mut extras = Self {
            images: HashMap::new(),
            categories: categories(state, flyers).await?,
        };
        for image in images {
            extras.images.entry(image.flyer_id).or_default().push(image);
        }
        for images in extras.images.values_mut() {
            images.sort_by_key(|image| (image.position, image.id));
        }
        Ok(extras)
    }

    /// The categories alone.
    pub(crate) async fn load_categories(state: &State, flyers: &[i64]) -> Result<Self, Problem> {
        if flyers.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            images: HashMap::new(),
            categories: categories(state, flyers).await?,
        })
    }

    pub(crate) fn take_categories(&mut self, flyer: i64) -> Vec<String> {
        self.categories.remove(&flyer).unwrap_or_default()
    }
}

async fn categories(state: &State, flyers: &[i64]) -> Result<HashMap<i64, Vec<String>>, Problem> {
    let mut links: Vec<(i64, i64)> = query(CATEGORIES_OF)
        .bind(flyers)
        .fetch_all(state.database.read())
        .await?;
    links.sort_unstable();
    let mut slugs: HashMap<i64, Vec<String>> = HashMap::new();
    for (flyer, category) in links {
        let slug = state.categories.slug(category).map(str::to_owned);
        slugs.entry(flyer).or_default().extend(slug);
    }
    Ok(slugs)
}

/// A row as the caller sees it.
pub(crate) fn present(
    row: CardRow,
    extras: &mut Extras,
    from: Option<Point>,
    viewer: Option<i64>,
    now: DateTime<Utc>,
    link: &Link,
) -> Card {
    let origin = link.origin();
    let status = row.validity().status(now);
    let images = extras.images.remove(&row.id).unwrap_or_default();
    let name = row.creator_name.unwrap_or_else(|| row.username.clone());
    let avatar = pictures::avatar_url(origin, row.creator_picture.as_deref());
    let place = Point {
        lat: row.latitude,
        lng: row.longitude,
    };
    Card {
        id: row.id,
        title: row.title,
        description: row.caption.clone(),
        caption: row.caption,
        info_field_1: row.info_field_1,
        info_field_2: row.info_field_2,
        creator_name: name.clone(),
        creator_profile_picture_url: avatar.clone(),
        creator: Creator {
            id: row.creator_id,
            username: row.username,
            name,
            profile_picture: avatar,
            is_following: viewer.map(|_| row.is_following),
        },
        images: images
            .into_iter()
            .map(|image| Image {
                id: image.id,
                url: pictures::url(origin, &image.path),
                thumb_url: pictures::sized_url(origin, &image.path, 300),
                order: image.position,
            })
            .collect(),
        location: Location {
            address: row.location_address,
            lat: row.latitude,
            lng: row.longitude,
            distance_km: from.map(|from| shown_km(from.distance_km(place))),
        },
        validity: Shown {
            valid_from: row.publication_date,
            valid_until: row.expiration_date,
            is_valid: status == Status::Active,
        },
        categories: extras.take_categories(row.id),
        status,
        is_favorited: viewer.map(|_| row.is_favorited),
        created_at: row.created_at,
    }
}
