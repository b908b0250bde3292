//! A collection as a file: CSV for spreadsheets, JSON for another Deal Brain.
//!
//! Items are read and sent in batches, so that a large collection takes no more memory than a
//! small one.

use std::fmt::Write as _;

use axum::{
    body::Body,
    extract::State as FromState,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;
use service_kit::{
    clock::now,
    database::Database,
    fields::{check, choice},
    id::Id,
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};

use super::{
    record::{CollectionRow, ItemRead, foreign, unknown},
    view::{Window, read},
};
use crate::app::State;

/// The version of the portable form.
const VERSION: &str = "1.0.0";

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Csv,
    Json,
}

/// Export a collection
#[utoipa::path(get, path = "/api/v1/collections/{id}/export/", tag = "collections", security(("bearer" = [])), params(
    ("id" = i64, Path, description = "The collection"),
    ("format" = Option<String>, Query, pattern = "^(json|csv)?$", description = "json (the default) or csv"),
), responses(
    (status = 200, description = "A file", content(
        (serde_json::Value = "application/json"),
        (String = "text/csv"),
    )),
    (status = 403, description = "It is another user's"),
    (status = 404, description = "There is no such collection"),
))]
#[tracing::instrument(name = "collections.export", skip_all)]
pub(crate) async fn export(
    FromState(state): FromState<State>,
    caller: Caller,
    id: Id,
    params: Params,
) -> Result<Response, Problem> {
    let mut fields = Fields::new();
    let format = params.get("format").map(str::to_owned);
    let format = match choice("format", format, &["json", "csv"], &mut fields) {
        "csv" => Format::Csv,
        _ => Format::Json,
    };
    check(fields)?;
    let id = id.or(unknown)?;
    let window = Window::default();
    let found = read(&state.database, id, &window).await?;
    let (head, items, page) = found.ok_or_else(unknown)?;
    let collection = head.collection();
    if collection.user_id != caller.id {
        return Err(foreign(&state));
    }
    let name = file_name(format, collection);
    let first = Batch {
        text: begin(format, collection) + &format.items(&items, true),
        next: page
            .next_cursor
            .is_some()
            .then(|| window.after(items.last())),
    };
    let body = Body::from_stream(batches(state.database.clone(), id, format, first));
    let kind = match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::Json => "application/json",
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, name),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-store"),
        ),
    ];
    Ok((headers, body).into_response())
}

/// What is sent next, and where to go on.
struct Batch {
    text: String,
    next: Option<Window>,
}

fn batches(
    database: Database,
    id: i64,
    format: Format,
    first: Batch,
) -> impl futures_util::Stream<Item = Result<Bytes, sqlx::Error>> + Send {
    let rest = stream::try_unfold(first.next, move |next| {
        let database = database.clone();
        async move {
            let Some(window) = next else { return Ok(None) };
            // Deleted meanwhile: what was sent is all there is.
            let Some((_, items, page)) = read(&database, id, &window).await? else {
                return Ok(None);
            };
            let more = page.next_cursor.is_some();
            let text = format.items(&items, false);
            let next = more.then(|| window.after(items.last()));
            Ok(Some((Bytes::from(text), next)))
        }
    });
    let first = stream::once(async move { Ok(Bytes::from(first.text)) });
    let end = stream::once(async move { Ok(Bytes::from_static(end(format).as_bytes())) });
    first.chain(rest).chain(end)
}

fn begin(format: Format, collection: &CollectionRow) -> String {
    match format {
        Format::Csv => {
            "title,price_usd,cpu,gpu,dollar_per_cpu_mark,score,status,notes\r\n".to_owned()
        }
        Format::Json => {
            let head = json!({
                "version": VERSION,
                "type": "collection",
                "exported_at": now(),
                "collection": {
                    "name": collection.name,
                    "description": collection.description,
                    "visibility": collection.visibility,
                    "item_count": collection.item_count,
                },
            });
            let mut text = head.to_string();
            // The object is still open.
            text.pop();
            text + ",\"items\":["
        }
    }
}

fn end(format: Format) -> &'static str {
    match format {
        Format::Csv => "",
        Format::Json => "]}",
    }
}

impl Format {
    fn items(self, items: &[ItemRead], are_first: bool) -> String {
        let mut text = String::new();
        for (at, item) in items.iter().enumerate() {
            match self {
                Self::Csv => csv_row(&mut text, item),
                Self::Json => {
                    if !(are_first && at == 0) {
                        text.push(',');
                    }
                    text += &portable(item).to_string();
                }
            }
        }
        text
    }
}

fn portable(item: &ItemRead) -> serde_json::Value {
    json!({
        "status": item.status,
        "notes": item.notes,
        "position": item.position,
        "added_at": item.added_at,
        "listing": item.listing,
    })
}

fn csv_row(text: &mut String, item: &ItemRead) {
    let number =
        |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.2}"));
    let Some(listing) = &item.listing else { return };
    let cpu = listing.cpu.as_ref().map_or("", |cpu| &cpu.name);
    let gpu = listing.gpu.as_ref().map_or("", |gpu| &gpu.name);
    let cells = [
        cell(&listing.title),
        number(listing.price_usd),
        cell(cpu),
        cell(gpu),
        number(listing.scores.dollar_per_cpu_mark_multi),
        number(listing.scores.composite),
        cell(&item.status),
        cell(item.notes.as_deref().unwrap_or_default()),
    ];
    // Writing to a `String` cannot fail.
    let _infallible = write!(text, "{}\r\n", cells.join(","));
}

/// A cell by RFC 4180 that no spreadsheet takes for a formula: a quote mark before it makes it
/// text (OWASP, CSV injection).
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}

/// `Content-Disposition` with a name that any system takes, and the whole name for those that
/// read RFC 5987.
fn file_name(format: Format, collection: &CollectionRow) -> HeaderValue {
    let header = match format {
        Format::Csv => format!("attachment; filename=\"collection_{}.csv\"", collection.id),
        Format::Json => {
            let date = now().format("%Y-%m-%d");
            let plain: String = collection.name.chars().map(plain).collect();
            let whole = format!("deal-brain-collection-{}-{date}.json", collection.name);
            format!(
                "attachment; filename=\"deal-brain-collection-{plain}-{date}.json\"; filename*=UTF-8''{}",
                percent(&whole)
            )
        }
    };
    HeaderValue::from_str(&header).unwrap_or(HeaderValue::from_static("attachment"))
}

fn plain(character: char) -> char {
    match character.is_ascii_alphanumeric() || matches!(character, '-' | '_') {
        true => character,
        false => '_',
    }
}

/// `ext-value` of RFC 5987; slashes would be taken for folders.
fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.replace(['/', '\\'], "_").bytes() {
        match byte.is_ascii_alphanumeric() || b"-._".contains(&byte) {
            true => encoded.push(char::from(byte)),
            false => {
                let _infallible = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads one record as RFC 4180 says.
    fn parse(record: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let mut quoted = false;
        let mut characters = record.chars().peekable();
        while let Some(character) = characters.next() {
            let Some(cell) = cells.last_mut() else { break };
            match (character, quoted) {
                ('"', false) => quoted = true,
                ('"', true) if characters.next_if_eq(&'"').is_some() => cell.push('"'),
                ('"', true) => quoted = false,
                (',', false) => cells.push(String::new()),
                _ => cell.push(character),
            }
        }
        cells
    }

    proptest! {
        #[test]
        fn a_cell_comes_back_and_is_never_a_formula(text in "[=+@,\"a\n\r\t-]{0,8}") {
            let row = format!("{},x", cell(&text));
            let cells = parse(&row);
            prop_assert_eq!(cells.len(), 2);
            prop_assert!(!cells[0].starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
            prop_assert_eq!(cells[0].strip_prefix('\'').unwrap_or(&cells[0]), text.as_str());
        }
    }

    #[test]
    fn names_of_files_lead_nowhere_and_end_no_header() {
        assert_eq!(percent("a/b\\c\"\r\n ü"), "a_b_c%22%0D%0A%20%C3%BC");
        assert_eq!("../x y\"".chars().map(plain).collect::<String>(), "___x_y_");
    }
}
