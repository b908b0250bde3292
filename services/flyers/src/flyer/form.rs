//! What a form says about a flyer, and what is wrong with it.

use axum::{extract::FromRequest as _, extract::Request};
use bytes::Bytes;
use chrono::{DateTime, Datelike as _, SubsecRound as _, TimeDelta, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    image::MAX_BYTES,
    multipart::{Form, FormShape, is_form},
    problem::{Fields, Problem},
};

use crate::categories::Categories;

/// The fields with pictures of a form.
pub(super) const SLOTS: &[&str] = &["image_1", "image_2", "image_3", "image_4", "image_5"];

/// 2000 characters have 8 KB at most.
const TEXT_BYTES: usize = 16 << 10;

/// The form of a new flyer.
pub(super) const NEW: FormShape = FormShape {
    texts: &[
        "title",
        "caption",
        "description",
        "info_field_1",
        "info_field_2",
        "location_address",
        "publication_date",
        "expiration_date",
    ],
    lists: &["category_tags"],
    files: SLOTS,
    text_bytes: TEXT_BYTES,
    file_bytes: MAX_BYTES,
};

/// The form of a change.
pub(super) const CHANGE: FormShape = FormShape {
    texts: &[
        "title",
        "caption",
        "description",
        "info_field_1",
        "info_field_2",
        "location_address",
        "publication_date",
        "expiration_date",
        "is_active",
        "version",
    ],
    lists: &["category_tags", "remove_images", "image_order"],
    ..NEW
};

/// Dates far away are typing errors; their texts would also not sort.
const LATEST_YEAR: i32 = 2200;

/// What is said about a flyer; what is left out is `None`.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct Input {
    /// 1 to 200 characters.
    pub(super) title: Option<String>,
    /// At most 2000 characters.
    pub(super) caption: Option<String>,
    /// The older name of the caption.
    pub(super) description: Option<String>,
    /// At most 1000 characters.
    pub(super) info_field_1: Option<String>,
    /// At most 1000 characters.
    pub(super) info_field_2: Option<String>,
    /// Slugs of categories, at least one. In a form: repeated, parted by commas, or a JSON array.
    pub(super) category_tags: Option<Vec<String>>,
    /// Where it is; the place comes from it.
    pub(super) location_address: Option<String>,
    /// When it is seen first. Now for a new flyer, unless given.
    pub(super) publication_date: Option<DateTime<Utc>>,
    /// When it is seen no more. 30 days after its publication for a new flyer, unless given.
    pub(super) expiration_date: Option<DateTime<Utc>>,
    /// Changes only: turns it off, or on again while its time is not over.
    pub(super) is_active: Option<bool>,
    /// Changes only: refuses the change if the flyer has another version by now.
    pub(super) version: Option<i64>,
    /// Changes only: ids of pictures to delete.
    pub(super) remove_images: Option<Vec<i64>>,
    /// Changes only: all pictures in their new order, old ones by their ids, new ones by the
    /// names of their fields (`image_1`).
    #[schema(value_type = Option<Vec<String>>)]
    pub(super) image_order: Option<Vec<ImageRef>>,
    /// The pictures, 1 to 5 in all, 5 MB each; in forms alone.
    #[serde(skip)]
    pub(super) files: Vec<(&'static str, Bytes)>,
}

/// A picture of a flyer that is being changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum ImageRef {
    /// One that it has, by id.
    Old(i64),
    /// One that comes with the form, by the name of its field.
    New(String),
}

/// What is said about a flyer, with nothing wrong in itself.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub(super) title: Option<String>,
    pub(super) caption: Option<String>,
    pub(super) info: [Option<String>; 2],
    pub(super) address: Option<String>,
    pub(super) categories: Option<Vec<i64>>,
    pub(super) publication: Option<DateTime<Utc>>,
    pub(super) expiration: Option<DateTime<Utc>>,
    pub(super) is_active: Option<bool>,
    pub(super) version: Option<i64>,
    pub(super) remove: Vec<i64>,
    pub(super) order: Option<Vec<ImageRef>>,
    pub(super) files: Vec<(&'static str, Bytes)>,
}

/// Reads a form, or JSON, which has no pictures.
///
/// # Errors
/// The body cannot be read, or a value is not of its field's kind.
pub(super) async fn read(request: Request, shape: &FormShape) -> Result<Input, Problem> {
    if !is_form(request.headers()) {
        let Body(input) = Body::<Input>::from_request(request, &()).await?;
        return Ok(input);
    }
    from_form(shape.read(request).await?)
}

fn from_form(mut form: Form) -> Result<Input, Problem> {
    let mut fields = Fields::new();
    let date = "must be a date like 2030-12-24T18:00:00Z";
    let input = Input {
        title: form.text("title"),
        caption: form.text("caption"),
        description: form.text("description"),
        info_field_1: form.text("info_field_1"),
        info_field_2: form.text("info_field_2"),
        location_address: form.text("location_address"),
        publication_date: parsed(&mut form, "publication_date", date, &mut fields),
        expiration_date: parsed(&mut form, "expiration_date", date, &mut fields),
        is_active: parsed(&mut form, "is_active", "must be true or false", &mut fields),
        version: parsed(&mut form, "version", "must be a whole number", &mut fields),
        category_tags: form.list("category_tags").map(|texts| items(&texts)),
        remove_images: form.list("remove_images").map(|texts| {
            let ids = items(&texts).into_iter().map(|text| text.parse().ok());
            ids.collect::<Option<_>>().unwrap_or_else(|| {
                let message = "must be ids of pictures".to_owned();
                fields.insert("remove_images".to_owned(), message);
                Vec::new()
            })
        }),
        image_order: form.list("image_order").map(|texts| {
            let refs = items(&texts).into_iter();
            refs.map(|text| text.parse().map_or(ImageRef::New(text), ImageRef::Old))
                .collect()
        }),
        files: form.into_files(),
    };
    no_faults(fields)?;
    Ok(input)
}

/// A value that is not a text. An empty one is left out: so forms send what was not filled in.
fn parsed<T: std::str::FromStr>(
    form: &mut Form,
    name: &str,
    message: &str,
    fields: &mut Fields,
) -> Option<T> {
    let text = form.text(name)?;
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let value = text.parse().ok();
    if value.is_none() {
        fields.insert(name.to_owned(), message.to_owned());
    }
    value
}

/// The items of a list: each text is one, several parted by commas, or a JSON array.
fn items(texts: &[&str]) -> Vec<String> {
    let mut items = Vec::new();
    for text in texts {
        if let Ok(array) = serde_json::from_str::<Vec<serde_json::Value>>(text) {
            items.extend(array.into_iter().map(|item| match item {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            }));
        } else {
            items.extend(text.split(',').map(|item| item.trim().to_owned()));
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

impl Input {
    /// What was left out counts as empty, and is refused where something must be said.
    pub(super) fn fill_texts(&mut self) {
        for text in [
            &mut self.title,
            &mut self.info_field_1,
            &mut self.info_field_2,
            &mut self.location_address,
        ] {
            text.get_or_insert_default();
        }
        if self.description.is_none() {
            self.caption.get_or_insert_default();
        }
        self.category_tags.get_or_insert_default();
    }

    /// Checks everything that can be checked without knowing the flyer.
    pub(super) fn check(self, categories: &Categories, fields: &mut Fields) -> Checked {
        let caption = self.caption.or(self.description);
        Checked {
            title: text("title", self.title, 1, 200, fields),
            caption: text("caption", caption, 0, 2000, fields),
            info: [
                text("info_field_1", self.info_field_1, 0, 1000, fields),
                text("info_field_2", self.info_field_2, 0, 1000, fields),
            ],
            address: text("location_address", self.location_address, 1, 500, fields),
            categories: self
                .category_tags
                .map(|tags| category_ids(categories, &tags, fields)),
            publication: date("publication_date", self.publication_date, fields),
            expiration: date("expiration_date", self.expiration_date, fields),
            is_active: self.is_active,
            version: self.version,
            remove: self.remove_images.unwrap_or_default(),
            order: self.image_order,
            files: self.files,
        }
    }
}

fn text(
    field: &str,
    value: Option<String>,
    least: usize,
    most: usize,
    fields: &mut Fields,
) -> Option<String> {
    let value = value?.trim().to_owned();
    if !(least..=most).contains(&value.chars().count()) {
        let message = format!("must have {least} to {most} characters");
        fields.insert(field.to_owned(), message);
    } else if value.contains('\0') {
        let message = "must not contain a NUL character".to_owned();
        fields.insert(field.to_owned(), message);
    }
    Some(value)
}

fn category_ids(categories: &Categories, tags: &[String], fields: &mut Fields) -> Vec<i64> {
    let ids = match categories.ids(tags.iter().map(String::as_str)) {
        Ok(ids) if ids.is_empty() => Err("choose at least one".to_owned()),
        other => other,
    };
    ids.unwrap_or_else(|message| {
        fields.insert("category_tags".to_owned(), message);
        Vec::new()
    })
}

/// In whole microseconds, as it is stored.
fn date(field: &str, value: Option<DateTime<Utc>>, fields: &mut Fields) -> Option<DateTime<Utc>> {
    let value = value?.trunc_subsecs(6);
    if !(1970..=LATEST_YEAR).contains(&value.year()) {
        let message = format!("must not be before 1970 nor after the year {LATEST_YEAR}");
        fields.insert(field.to_owned(), message);
    }
    Some(value)
}

/// A form that was filled in for some minutes may still say "now".
const PAST_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Whether a date that was chosen now is in the past.
pub(super) fn is_past(publication: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    publication < now - PAST_TOLERANCE
}

/// Collected faults as an answer, or nothing.
pub(super) fn no_faults(fields: Fields) -> Result<(), Problem> {
    match fields.is_empty() {
        true => Ok(()),
        false => Err(Problem::validation(fields)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_however_a_form_writes_them() {
        for texts in [
            &["events", "retail"][..],
            &["events, retail"],
            &["[\"events\", \"retail\"]"],
            &["events,", ",retail", ""],
        ] {
            assert_eq!(items(texts), ["events", "retail"], "{texts:?}");
        }
        assert_eq!(items(&["[3, \"image_1\"]"]), ["3", "image_1"]);
        assert!(items(&["[]"]).is_empty());
    }
}
