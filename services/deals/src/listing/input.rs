//! What a client may say of a listing, and how each of it is checked.
//!
//! One table of fields serves creating, replacing and changing: a change is the listing as it is
//! with some fields replaced, checked as a whole.

use std::sync::LazyLock;

use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::{Map, Value as Json};
use service_kit::{
    database::Value,
    problem::{Fields, Problem},
};

use service_kit::fields::{bound, check};

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    /// Characters at most.
    Text(usize),
    /// The same, and it must be there.
    Title(usize),
    /// One of these; the first one when it is absent.
    Choice(&'static [&'static str]),
    Number,
    /// Not negative; 0 when it is absent.
    Count,
    /// Not negative, or absent.
    CountOrNone,
    Time,
    /// Kept as it comes.
    Object,
    /// Texts, or objects, as they come.
    Array,
    /// The id of a row elsewhere.
    Id,
}

/// A field of a listing: its name in JSON, its column, what it may be.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    pub(super) column: &'static str,
    kind: Kind,
}

const LONG: usize = 10_000;

macro_rules! fields {
    ($($name:literal $(= $column:literal)? : $kind:expr,)+) => {
        /// All of them, in the order in which they are bound.
        pub(super) const FIELDS: &[Field] = &[
            $(Field { name: $name, column: fields!(@column $name $($column)?), kind: $kind },)+
        ];
    };
    (@column $name:literal) => { $name };
    (@column $name:literal $column:literal) => { $column };
}

fields! {
    "title": Kind::Title(255),
    "listing_url": Kind::Text(2_000),
    "seller": Kind::Text(128),
    "price_usd": Kind::Number,
    "price_date": Kind::Time,
    "condition": Kind::Choice(&["used", "new", "refurb"]),
    "status": Kind::Choice(&["active", "archived", "pending"]),
    "quality": Kind::Choice(&["full", "partial"]),
    "extraction_metadata" = "extraction_metadata_json": Kind::Object,
    "missing_fields": Kind::Array,
    "vendor_item_id": Kind::Text(128),
    "marketplace": Kind::Choice(&["other", "ebay", "amazon"]),
    "provenance": Kind::Text(64),
    "last_seen_at": Kind::Time,
    "dedup_hash": Kind::Text(64),
    "device_model": Kind::Text(255),
    "ram_gb": Kind::Count,
    "ram_notes": Kind::Text(LONG),
    "primary_storage_gb": Kind::Count,
    "primary_storage_type": Kind::Text(64),
    "secondary_storage_gb": Kind::CountOrNone,
    "secondary_storage_type": Kind::Text(64),
    "os_license": Kind::Text(64),
    "other_components": Kind::Array,
    "notes": Kind::Text(LONG),
    "raw_listing_json": Kind::Object,
    "attributes_json": Kind::Object,
    "other_urls": Kind::Array,
    "adjusted_price_usd": Kind::Number,
    "valuation_breakdown" = "valuation_breakdown_json": Kind::Object,
    "score_cpu_multi": Kind::Number,
    "score_cpu_single": Kind::Number,
    "score_gpu": Kind::Number,
    "score_composite": Kind::Number,
    "perf_per_watt": Kind::Number,
    "manufacturer": Kind::Text(64),
    "series": Kind::Text(128),
    "model_number": Kind::Text(128),
    "form_factor": Kind::Text(32),
    "cpu_id": Kind::Id,
    "gpu_id": Kind::Id,
    "ports_profile_id": Kind::Id,
    "active_profile_id": Kind::Id,
    "ruleset_id": Kind::Id,
    "ram_spec_id": Kind::Id,
    "primary_storage_profile_id": Kind::Id,
    "secondary_storage_profile_id": Kind::Id,
}

/// The names under which clients may send a listing, for messages.
static NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| FIELDS.iter().map(|field| field.name).collect());

/// Members of an answer that a client may send back unchanged: they follow from others.
const DERIVED: &[&str] = &[
    "id",
    "created_at",
    "updated_at",
    "thumbnail_url",
    "cpu",
    "gpu",
    "cpu_name",
    "gpu_name",
    "ram_type",
    "ram_speed_mhz",
    "ports_profile",
    "ram_spec",
    "primary_storage_profile",
    "secondary_storage_profile",
    "active_profile",
    "ruleset",
    "components",
    "dollar_per_cpu_mark",
    "dollar_per_single_mark",
    "dollar_per_cpu_mark_single",
    "dollar_per_cpu_mark_single_adjusted",
    "dollar_per_cpu_mark_multi",
    "dollar_per_cpu_mark_multi_adjusted",
];

/// A checked listing.
pub(super) struct Input {
    /// One for each of [`FIELDS`].
    pub(super) values: Vec<Value>,
    pub(super) thumbnail_url: Option<String>,
}

impl Input {
    /// Checks all fields of an object.
    ///
    /// # Errors
    /// 422 with a message for each wrong field.
    pub(super) fn read(object: &Map<String, Json>) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        for name in object.keys() {
            if !NAMES.contains(&name.as_str()) && !DERIVED.contains(&name.as_str()) {
                fields.insert(name.clone(), "is no field of a listing".to_owned());
            }
        }
        let values = FIELDS
            .iter()
            .map(|field| field.read(object.get(field.name), &mut fields))
            .collect();
        check(fields)?;
        Ok(Self {
            values,
            thumbnail_url: thumbnail(object),
        })
    }

    /// The value of a field.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        let at = FIELDS.iter().position(|field| field.name == name)?;
        self.values.get(at)
    }

    /// The id in a field.
    pub(super) fn id(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Some(Value::Int(id)) => *id,
            _ => None,
        }
    }

    /// The number in a field.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Some(Value::Real(number)) => *number,
            _ => None,
        }
    }
}

impl Field {
    fn read(&self, given: Option<&Json>, fields: &mut Fields) -> Value {
        let given = given.filter(|value| !value.is_null());
        let read = match self.kind {
            Kind::Text(longest) => self.text(given, longest, fields),
            Kind::Title(longest) => {
                let text = given.and_then(Json::as_str).map(str::trim);
                if given.is_none() || text.is_some_and(str::is_empty) {
                    fields.insert(self.name.to_owned(), "must not be empty".to_owned());
                }
                self.text(given, longest, fields)
            }
            Kind::Choice(words) => choice(given, words),
            Kind::Number => number(given),
            Kind::Count => count(given).map(|count| Value::Int(Some(count.unwrap_or(0)))),
            Kind::CountOrNone => count(given).map(Value::Int),
            Kind::Id => id(given).map(Value::Int),
            Kind::Time => time(given),
            Kind::Object => container(given, Json::is_object, "must be an object"),
            Kind::Array => container(given, Json::is_array, "must be an array"),
        };
        read.unwrap_or_else(|message| {
            fields.insert(self.name.to_owned(), message);
            Value::Int(None)
        })
    }

    fn text(
        &self,
        given: Option<&Json>,
        longest: usize,
        fields: &mut Fields,
    ) -> Result<Value, String> {
        let Some(given) = given else {
            return Ok(Value::Text(None));
        };
        let text = given.as_str().ok_or("must be a text")?.trim();
        bound(self.name, text, longest, fields);
        Ok(text.into())
    }
}

fn choice(given: Option<&Json>, words: &'static [&'static str]) -> Result<Value, String> {
    let Some(given) = given else {
        return Ok(words.first().copied().into());
    };
    let word = words.iter().find(|word| given.as_str() == Some(**word));
    word.map(|word| (*word).into())
        .ok_or_else(|| format!("must be one of {}", words.join(", ")))
}

/// JSON has no infinite numbers.
fn number(given: Option<&Json>) -> Result<Value, String> {
    let Some(given) = given else {
        return Ok(Value::Real(None));
    };
    let number = given.as_f64().filter(|number| number.abs() < 1e12);
    number
        .map(Value::from)
        .ok_or_else(|| "must be a number".to_owned())
}

fn count(given: Option<&Json>) -> Result<Option<i64>, String> {
    let Some(given) = given else { return Ok(None) };
    let count = given
        .as_i64()
        .filter(|count| (0..=1_000_000_000).contains(count));
    count
        .map(Some)
        .ok_or_else(|| "must be a whole number that is not negative".to_owned())
}

fn id(given: Option<&Json>) -> Result<Option<i64>, String> {
    let Some(given) = given else { return Ok(None) };
    let id = given.as_i64();
    id.map(Some)
        .ok_or_else(|| "must be a whole number".to_owned())
}

fn time(given: Option<&Json>) -> Result<Value, String> {
    let Some(given) = given else {
        return Ok(Value::Time(None));
    };
    let time = given
        .as_str()
        .and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    // Years of four digits: texts of SQLite sort as the instants do only then.
    let time = time.filter(|time| (1..=9999).contains(&chrono::Datelike::year(time)));
    time.map(|time| time.with_timezone(&Utc).trunc_subsecs(6).into())
        .ok_or_else(|| "must be a time like 2026-01-31T12:00:00Z".to_owned())
}

fn container(given: Option<&Json>, is: fn(&Json) -> bool, message: &str) -> Result<Value, String> {
    let Some(given) = given else {
        return Ok(Value::Text(None));
    };
    if !is(given) {
        return Err(message.to_owned());
    }
    let text = given.to_string();
    // As `\u0000`; PostgreSQL's own JSON types refuse it, too, should anybody convert.
    match text.contains("\\u0000") {
        true => Err("must not contain NUL".to_owned()),
        false => Ok(text.into()),
    }
}

/// Where a picture of the listing may be named, best place first.
const PICTURES: [(&str, &[&str]); 2] = [
    (
        "raw_listing_json",
        &[
            "image_url",
            "thumbnail_url",
            "imageUrl",
            "thumbnailUrl",
            "img_url",
        ],
    ),
    ("attributes_json", &["image_url", "thumbnail_url"]),
];

/// The first picture that is named; only what a browser can fetch.
fn thumbnail(object: &Map<String, Json>) -> Option<String> {
    PICTURES.iter().find_map(|(field, names)| {
        names.iter().find_map(|name| {
            let url = object.get(*field)?.get(name)?.as_str()?.trim();
            let is_web = url.starts_with("https://") || url.starts_with("http://");
            (is_web && url.len() <= 2_000 && !url.contains('\0')).then(|| url.to_owned())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Json) -> Result<Input, Vec<String>> {
        let read = Input::read(value.as_object().unwrap());
        read.map_err(|problem| problem.fields().keys().cloned().collect())
    }

    #[test]
    fn wrong_fields_are_named_all_at_once() {
        let wrong = json!({
            "title": " ", "price_usd": "5", "condition": "old", "ram_gb": -1, "cpu_id": 1.5,
            "price_date": "yesterday", "attributes_json": [], "other_urls": {}, "colour": "red",
            "notes": "\u{0}", "raw_listing_json": { "a": "\u{0}" },
        });
        let Err(fields) = read(wrong) else { panic!() };
        let expected = [
            "attributes_json",
            "colour",
            "condition",
            "cpu_id",
            "notes",
            "other_urls",
            "price_date",
            "price_usd",
            "ram_gb",
            "raw_listing_json",
            "title",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn what_is_absent_has_its_usual_value() {
        let Ok(input) = read(json!({ "title": "A", "price_usd": null })) else {
            panic!()
        };
        assert_eq!(input.value("condition"), Some(&"used".into()));
        assert_eq!(input.value("ram_gb"), Some(&Value::Int(Some(0))));
        assert_eq!(input.value("price_usd"), Some(&Value::Real(None)));
    }

    #[test]
    fn the_best_picture_is_taken() {
        let object = json!({
            "raw_listing_json": { "thumbnailUrl": "https://b", "image_url": "javascript:x" },
            "attributes_json": { "image_url": "https://c" },
        });
        let found = thumbnail(object.as_object().unwrap());
        assert_eq!(found.as_deref(), Some("https://b"));
    }
}
