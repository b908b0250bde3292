//! Listings in pages of any order, each going on from where the last one ended.
//!
//! Rows without the value that is sorted by come last, in both directions: they are a list of
//! their own, by id, so that one plain index serves both, forwards and backwards.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    cursor,
    database::{Query, Value, query},
    fields::{check, choice, within},
    problem::{Fields, Problem},
    query::Params,
    token::Caller,
};
use twox_hash::XxHash3_64;

use super::record::{ListingRead, ListingRow, Own, SELECT, complete};
use crate::{app::State, cached};

const DEFAULT: i64 = 50;
const MOST: i64 = 500;
const LONGEST_FILTER: usize = 64;

/// A page of listings.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ListingPage {
    items: Vec<ListingRead>,
    /// Listings that the filters find, on all pages.
    total: i64,
    limit: i64,
    /// Value for `cursor=` of the next page.
    next_cursor: Option<String>,
    has_next: bool,
}

/// What a page can be sorted by: columns that have an index with the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    UpdatedAt,
    CreatedAt,
    PriceUsd,
    AdjustedPriceUsd,
    Manufacturer,
    FormFactor,
    DollarPerCpuMarkMulti,
    DollarPerCpuMarkSingle,
}

const SORTS: [(&str, Sort); 8] = [
    ("updated_at", Sort::UpdatedAt),
    ("created_at", Sort::CreatedAt),
    ("price_usd", Sort::PriceUsd),
    ("adjusted_price_usd", Sort::AdjustedPriceUsd),
    ("manufacturer", Sort::Manufacturer),
    ("form_factor", Sort::FormFactor),
    ("dollar_per_cpu_mark_multi", Sort::DollarPerCpuMarkMulti),
    ("dollar_per_cpu_mark_single", Sort::DollarPerCpuMarkSingle),
];

/// The value of a row that it is sorted by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Key {
    Time(DateTime<Utc>),
    Number(f64),
    Text(String),
    Missing,
}

/// Where a page ended, and in which list: a cursor of another one is refused.
#[derive(Serialize, Deserialize)]
struct Place {
    sort: Sort,
    descending: bool,
    filters: u64,
    key: Key,
    id: i64,
}

#[derive(Default)]
struct Filters {
    form_factor: Option<String>,
    manufacturer: Option<String>,
    min_price: Option<f64>,
    max_price: Option<f64>,
}

struct Request {
    limit: i64,
    sort: Sort,
    descending: bool,
    filters: Filters,
    after: Option<(Key, i64)>,
}

/// Listings, by cursor
///
/// Sorted by an indexed column; rows that have no value there come last.
#[utoipa::path(get, path = "/api/v1/listings/paginated/", tag = "listings", security(("bearer" = [])), params(
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 500, description = "Listings on a page; 50"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ("sort_by" = Option<String>, Query, pattern = "^(updated_at|created_at|price_usd|adjusted_price_usd|manufacturer|form_factor|dollar_per_cpu_mark_multi|dollar_per_cpu_mark_single)?$", description = "updated_at (the default), created_at, price_usd, adjusted_price_usd, manufacturer, form_factor, dollar_per_cpu_mark_multi or dollar_per_cpu_mark_single"),
    ("sort_order" = Option<String>, Query, pattern = "^(desc|asc)?$", description = "desc (the default) or asc"),
    ("form_factor" = Option<String>, Query, max_length = 64, description = "Only these"),
    ("manufacturer" = Option<String>, Query, max_length = 64, description = "Only theirs"),
    ("min_price" = Option<f64>, Query, description = "Only those that cost as much, in dollars"),
    ("max_price" = Option<f64>, Query, description = "Only those that cost no more, in dollars"),
), responses((status = 200, description = "The page", body = ListingPage)))]
#[tracing::instrument(name = "listings.page", skip_all)]
pub(crate) async fn page(
    FromState(state): FromState<State>,
    _caller: Caller,
    params: Params,
) -> Result<Json<ListingPage>, Problem> {
    let request = Request::read(&params)?;
    let total = total(&state, &request.filters).await?;
    let mut rows = request.rows(&state).await?;
    let shown = usize::try_from(request.limit).unwrap_or(usize::MAX);
    let has_next = rows.len() > shown;
    rows.truncate(shown);
    let last = rows.last().filter(|_| has_next);
    let next_cursor = last.map(|row| cursor::encode(&request.place(&row.own)));
    Ok(Json(ListingPage {
        items: complete(&state.database, rows).await?,
        total,
        limit: request.limit,
        next_cursor,
        has_next,
    }))
}

async fn total(state: &State, filters: &Filters) -> Result<i64, Problem> {
    let (conditions, values) = filters.conditions(0);
    let text = format!("SELECT count(*) FROM listing AS l{}", whole(&conditions));
    let database = state.database.clone();
    let load = move || async move {
        let counting = bind_all(query(text), values);
        counting
            .fetch_scalar::<i64>(database.read())
            .await
            .map(Some)
    };
    let key = format!("total:{:016x}", filters.hash());
    let total = cached::find(&state.cache, &key, &cached::TOTAL, [cached::LISTINGS], load).await?;
    Ok(total.map_or(0, |total| *total))
}

impl Request {
    fn read(params: &Params) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let limit = params.integer("limit", &mut fields);
        let limit = within("limit", limit, DEFAULT, 1..=MOST, &mut fields);
        let names = SORTS.map(|(name, _)| name);
        let asked = params.get("sort_by").map(str::to_owned);
        let name = choice("sort_by", asked, &names, &mut fields);
        let sort = SORTS.iter().find(|(known, _)| *known == name);
        let sort = sort.map_or(Sort::UpdatedAt, |(_, sort)| *sort);
        let order = params.get("sort_order").map(str::to_lowercase);
        let descending = choice("sort_order", order, &["desc", "asc"], &mut fields) == "desc";
        let filters = Filters::read(params, &mut fields);
        check(fields)?;
        let mut request = Self {
            limit,
            sort,
            descending,
            filters,
            after: None,
        };
        if let Some(text) = params.get("cursor") {
            request.after = Some(request.resume(text)?);
        }
        Ok(request)
    }

    fn resume(&self, text: &str) -> Result<(Key, i64), Problem> {
        let place: Place = cursor::decode("cursor", text)?;
        let same = place.sort == self.sort
            && place.descending == self.descending
            && place.filters == self.filters.hash()
            && self.sort.has(&place.key);
        match same {
            true => Ok((place.key, place.id)),
            false => Err(Problem::invalid(
                "cursor",
                "is of a list with another order or other filters; start again without it",
            )),
        }
    }

    fn place(&self, row: &Own) -> Place {
        Place {
            sort: self.sort,
            descending: self.descending,
            filters: self.filters.hash(),
            key: self.sort.key(row),
            id: row.id,
        }
    }

    /// One row more than shown, if there are so many: first those that have the value, then those
    /// that do not.
    async fn rows(&self, state: &State) -> Result<Vec<ListingRow>, Problem> {
        let wanted = self.limit + 1;
        let mut rows = Vec::new();
        if !matches!(self.after, Some((Key::Missing, _))) {
            rows = self
                .with_value(wanted)
                .fetch_all(state.database.read())
                .await?;
        }
        let missing = wanted - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if missing > 0 && self.sort.may_be_missing() && !self.filters_sort() {
            let rest: Vec<ListingRow> = self
                .without_value(missing)
                .fetch_all(state.database.read())
                .await?;
            rows.extend(rest);
        }
        Ok(rows)
    }

    /// Whether a filter leaves out rows that do not have the value.
    fn filters_sort(&self) -> bool {
        let Filters {
            form_factor,
            manufacturer,
            min_price,
            max_price,
        } = &self.filters;
        match self.sort {
            Sort::PriceUsd => min_price.is_some() || max_price.is_some(),
            Sort::FormFactor => form_factor.is_some(),
            Sort::Manufacturer => manufacturer.is_some(),
            _ => false,
        }
    }

    fn with_value(&self, limit: i64) -> Query {
        let column = self.sort.column();
        let (mut conditions, mut values) = self.filters.conditions(0);
        let (order, beyond) = self.direction();
        match &self.after {
            Some((key, id)) => {
                let place = values.len();
                conditions.push(format!(
                    "({column}, l.id) {beyond} (${}, ${})",
                    place + 1,
                    place + 2
                ));
                values.push(key.value());
                values.push((*id).into());
            }
            None if self.sort.may_be_missing() => conditions.push(format!("{column} IS NOT NULL")),
            None => {}
        }
        let order = format!("{column} {order}, l.id {order}");
        select(&conditions, &order, values, limit)
    }

    fn without_value(&self, limit: i64) -> Query {
        let (mut conditions, mut values) = self.filters.conditions(0);
        let (order, beyond) = self.direction();
        conditions.push(format!("{} IS NULL", self.sort.column()));
        if let Some((Key::Missing, id)) = &self.after {
            conditions.push(format!("l.id {beyond} ${}", values.len() + 1));
            values.push((*id).into());
        }
        select(&conditions, &format!("l.id {order}"), values, limit)
    }

    fn direction(&self) -> (&'static str, &'static str) {
        match self.descending {
            true => ("DESC", "<"),
            false => ("ASC", ">"),
        }
    }
}

fn select(conditions: &[String], order: &str, mut values: Vec<Value>, limit: i64) -> Query {
    values.push(limit.into());
    let text = format!(
        "{}{}\nORDER BY {order}\nLIMIT ${}",
        SELECT.trim_end(),
        whole(conditions),
        values.len()
    );
    bind_all(query(text), values)
}

fn whole(conditions: &[String]) -> String {
    match conditions.is_empty() {
        true => String::new(),
        false => format!("\nWHERE {}", conditions.join("\n  AND ")),
    }
}

fn bind_all(query: Query, values: Vec<Value>) -> Query {
    values.into_iter().fold(query, Query::bind)
}

impl Filters {
    fn read(params: &Params, fields: &mut Fields) -> Self {
        let mut text = |name: &str| {
            let text = params.get(name).map(str::to_owned)?;
            service_kit::fields::bound(name, &text, LONGEST_FILTER, fields);
            Some(text)
        };
        Self {
            form_factor: text("form_factor"),
            manufacturer: text("manufacturer"),
            min_price: params.number("min_price", fields),
            max_price: params.number("max_price", fields),
        }
    }

    /// The conditions, their placeholders counted on from `bound`.
    fn conditions(&self, bound: usize) -> (Vec<String>, Vec<Value>) {
        let (mut conditions, mut values) = (Vec::new(), Vec::new());
        let mut add = |comparison: &str, value: Value| {
            values.push(value);
            conditions.push(format!("{comparison} ${}", bound + values.len()));
        };
        if let Some(form_factor) = &self.form_factor {
            add("l.form_factor =", form_factor.into());
        }
        if let Some(manufacturer) = &self.manufacturer {
            add("l.manufacturer =", manufacturer.into());
        }
        if let Some(price) = self.min_price {
            add("l.price_usd >=", price.into());
        }
        if let Some(price) = self.max_price {
            add("l.price_usd <=", price.into());
        }
        (conditions, values)
    }

    /// Tells lists apart, in cursors and in the cache.
    fn hash(&self) -> u64 {
        let text = format!(
            "{:?} {:?} {:?} {:?}",
            self.form_factor, self.manufacturer, self.min_price, self.max_price
        );
        XxHash3_64::oneshot(text.as_bytes())
    }
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Self::UpdatedAt => "l.updated_at",
            Self::CreatedAt => "l.created_at",
            Self::PriceUsd => "l.price_usd",
            Self::AdjustedPriceUsd => "l.adjusted_price_usd",
            Self::Manufacturer => "l.manufacturer",
            Self::FormFactor => "l.form_factor",
            Self::DollarPerCpuMarkMulti => "l.dollar_per_cpu_mark_multi",
            Self::DollarPerCpuMarkSingle => "l.dollar_per_cpu_mark_single",
        }
    }

    fn may_be_missing(self) -> bool {
        !matches!(self, Self::UpdatedAt | Self::CreatedAt)
    }

    /// Whether this can be the value of such a column.
    fn has(self, key: &Key) -> bool {
        match key {
            Key::Missing => self.may_be_missing(),
            Key::Time(_) => !self.may_be_missing(),
            Key::Text(_) => matches!(self, Self::Manufacturer | Self::FormFactor),
            Key::Number(_) => {
                self.may_be_missing() && !matches!(self, Self::Manufacturer | Self::FormFactor)
            }
        }
    }

    fn key(self, row: &Own) -> Key {
        let number = |value: Option<f64>| value.map_or(Key::Missing, Key::Number);
        let text = |value: &Option<String>| value.clone().map_or(Key::Missing, Key::Text);
        match self {
            Self::UpdatedAt => Key::Time(row.updated_at),
            Self::CreatedAt => Key::Time(row.created_at),
            Self::PriceUsd => number(row.price_usd),
            Self::AdjustedPriceUsd => number(row.adjusted_price_usd),
            Self::Manufacturer => text(&row.manufacturer),
            Self::FormFactor => text(&row.form_factor),
            Self::DollarPerCpuMarkMulti => number(row.dollar_per_cpu_mark_multi),
            Self::DollarPerCpuMarkSingle => number(row.dollar_per_cpu_mark_single),
        }
    }
}

impl Key {
    fn value(&self) -> Value {
        match self {
            Self::Time(value) => (*value).into(),
            Self::Number(value) => (*value).into(),
            Self::Text(value) => value.into(),
            Self::Missing => Value::Int(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(query: &str) -> Result<Request, Problem> {
        Request::read(&Params::parse(query))
    }

    #[test]
    fn a_cursor_is_of_one_list() {
        let here = request("sort_by=price_usd&manufacturer=Dell").unwrap();
        let place = Place {
            sort: here.sort,
            descending: here.descending,
            filters: here.filters.hash(),
            key: Key::Number(5.5),
            id: 9,
        };
        let cursor = cursor::encode(&place);
        let again = format!("sort_by=price_usd&manufacturer=Dell&cursor={cursor}");
        assert_eq!(request(&again).unwrap().after, Some((Key::Number(5.5), 9)));
        for other in [
            "manufacturer=Dell",
            "sort_by=price_usd&manufacturer=HP",
            "sort_by=price_usd&sort_order=asc&manufacturer=Dell",
        ] {
            let problem = request(&format!("{other}&cursor={cursor}")).err().unwrap();
            assert!(problem.fields().contains_key("cursor"), "{other}");
        }
    }

    #[test]
    fn only_columns_with_an_index_are_sorted_by() {
        for wrong in [
            "sort_by=cpu",
            "sort_by=title",
            "sort_order=up",
            "limit=0",
            "limit=501",
        ] {
            assert!(request(wrong).is_err(), "{wrong}");
        }
    }
}
