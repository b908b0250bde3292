//! The inputs of the API as its description shows them: names, kinds and limits.
//!
//! Handlers read parameters and forms by name, to say all that is wrong with them at once;
//! these types are never made. `scripts/schemathesis` holds the service to them.
#![expect(dead_code, reason = "these types describe, no value is made of them")]

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Number of the page, from 1. Pages that begin more than 10 000 rows deep are refused:
    /// use `cursor`.
    #[param(minimum = 1, maximum = 101)]
    page: Option<i64>,
    /// Rows on a page, 20 by default, 100 at most; more count as 100.
    #[param(minimum = 1)]
    page_size: Option<i64>,
    /// `next_cursor` of the page before, or empty to begin. Not together with `page`.
    #[param(max_length = 512, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
}

/// What is asked of a list of flyers.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FeedParams {
    /// Number of the page, from 1. Pages that begin more than 10 000 flyers deep are refused:
    /// use `cursor`.
    #[param(minimum = 1, maximum = 201)]
    page: Option<i64>,
    /// Flyers on a page, 20 by default, 50 at most; more count as 50.
    #[param(minimum = 1)]
    page_size: Option<i64>,
    /// `next_cursor` of the page before, or empty to begin. Not together with `page`.
    #[param(max_length = 512, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<String>,
    /// Slugs of categories, separated by commas; any of them.
    #[param(pattern = "^([a-z-]+(,[a-z-]+)*)?$")]
    categories: Option<String>,
    /// Part of the title or the caption, upper or lower case.
    #[param(max_length = 100)]
    search: Option<String>,
    /// Where the caller is; with `lng`.
    #[param(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Where the caller is; with `lat`.
    #[param(minimum = -180, maximum = 180)]
    lng: Option<f64>,
    /// Only flyers within the radius, nearest first; with `lat` and `lng`.
    near_me: Option<bool>,
    /// Kilometres, 5 unless the service is told otherwise.
    #[param(exclusive_minimum = 0, maximum = 50)]
    radius: Option<f64>,
    /// `all`, which is the default; `favorites` and `following` are for signed-in callers.
    #[param(pattern = "^(all|favorites|following)?$")]
    filter: Option<String>,
    /// `recent`, which is the default; `distance`, the default with `near_me`; `smart`. The last
    /// two need `lat` and `lng`.
    #[param(pattern = "^(recent|distance|smart)?$")]
    sort: Option<String>,
    /// Only flyers of this user.
    creator: Option<i64>,
}

/// Where the caller is.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlaceParams {
    /// Where the caller is; with `lng`.
    #[param(minimum = -90, maximum = 90)]
    lat: Option<f64>,
    /// Where the caller is; with `lat`.
    #[param(minimum = -180, maximum = 180)]
    lng: Option<f64>,
}

/// A form with a new flyer.
#[derive(ToSchema)]
pub(crate) struct NewFlyer {
    /// What it is called.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"
    )]
    title: String,
    /// What it says.
    #[schema(max_length = 2000, pattern = r"^[^\x00]*$", nullable = false)]
    caption: Option<String>,
    /// The older name of the caption.
    #[schema(max_length = 2000, pattern = r"^[^\x00]*$", nullable = false)]
    description: Option<String>,
    /// More of it.
    #[schema(max_length = 1000, pattern = r"^[^\x00]*$", nullable = false)]
    info_field_1: Option<String>,
    /// More of it.
    #[schema(max_length = 1000, pattern = r"^[^\x00]*$", nullable = false)]
    info_field_2: Option<String>,
    /// Slugs of categories; in a form repeated, parted by commas, or a JSON array.
    #[schema(min_items = 1)]
    category_tags: Vec<String>,
    /// Street, postal code and town. The place is looked up from it.
    #[schema(
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"
    )]
    location_address: String,
    /// When it is seen first; now for a new flyer unless given.
    #[schema(nullable = false)]
    publication_date: Option<DateTime<Utc>>,
    /// When it is seen no more; 30 days after the publication of a new flyer unless given.
    #[schema(nullable = false)]
    expiration_date: Option<DateTime<Utc>>,
    /// The cover: JPEG, PNG or WebP of at most 5 MB, as all of them.
    #[schema(value_type = String, format = Binary)]
    image_1: Vec<u8>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_2: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_3: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_4: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_5: Option<Vec<u8>>,
}

/// What changes about a flyer.
#[derive(Deserialize, ToSchema)]
pub(crate) struct FlyerChange {
    /// What it is called.
    #[schema(
        min_length = 1,
        max_length = 200,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$",
        nullable = false
    )]
    title: Option<String>,
    /// What it says.
    #[schema(max_length = 2000, pattern = r"^[^\x00]*$", nullable = false)]
    caption: Option<String>,
    /// The older name of the caption.
    #[schema(max_length = 2000, pattern = r"^[^\x00]*$", nullable = false)]
    description: Option<String>,
    /// More of it.
    #[schema(max_length = 1000, pattern = r"^[^\x00]*$", nullable = false)]
    info_field_1: Option<String>,
    /// More of it.
    #[schema(max_length = 1000, pattern = r"^[^\x00]*$", nullable = false)]
    info_field_2: Option<String>,
    /// Slugs of categories; in a form repeated, parted by commas, or a JSON array.
    #[schema(min_items = 1, nullable = false)]
    category_tags: Option<Vec<String>>,
    /// Street, postal code and town. The place is looked up from it.
    #[schema(
        min_length = 1,
        max_length = 500,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$",
        nullable = false
    )]
    location_address: Option<String>,
    /// When it is seen first; now for a new flyer unless given.
    #[schema(nullable = false)]
    publication_date: Option<DateTime<Utc>>,
    /// When it is seen no more; 30 days after the publication of a new flyer unless given.
    #[schema(nullable = false)]
    expiration_date: Option<DateTime<Utc>>,
    /// Turns it off, or on again while its time is not over.
    #[schema(nullable = false)]
    is_active: Option<bool>,
    /// Refuses the change if the flyer has another version by now.
    #[schema(nullable = false)]
    version: Option<i64>,
    /// Ids of pictures to delete.
    #[schema(nullable = false)]
    remove_images: Option<Vec<i64>>,
    /// All pictures in their new order: old ones by their ids, new ones by the names of their
    /// fields (`image_1`).
    #[schema(nullable = false)]
    image_order: Option<Vec<String>>,
}

/// A form with what changes about a flyer. It has 1 to 5 pictures afterwards.
#[derive(Deserialize, ToSchema)]
pub(crate) struct FlyerForm {
    #[serde(flatten)]
    change: FlyerChange,
    /// A picture: JPEG, PNG or WebP of at most 5 MB.
    #[schema(value_type = String, format = Binary, required = false)]
    image_1: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_2: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_3: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_4: Option<Vec<u8>>,
    /// Another one.
    #[schema(value_type = String, format = Binary, required = false)]
    image_5: Option<Vec<u8>>,
}
