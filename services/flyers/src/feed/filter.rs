//! From a query string to a filter.

use service_kit::{
    page::PageRequest,
    problem::{Fields, Problem},
    query::Params,
};

use super::{
    Asked, LARGEST_PAGE, no_faults,
    radius::{DefaultRadius, LARGEST_KM},
    statement::{Filter, Near, Sort},
};
use crate::{
    app::State,
    geo::Point,
    search::{self, fold},
};

/// The names under which the papers send a place, the canonical pair first.
const LATITUDES: [&str; 2] = ["lat", "latitude"];
const LONGITUDES: [&str; 4] = ["lng", "lon", "long", "longitude"];

/// Reads every parameter of a list and reports all faults together.
pub(super) fn read(params: &Params, state: &State) -> Result<Asked, Problem> {
    let mut fields = Fields::new();
    let page = PageRequest::read(params, LARGEST_PAGE, &mut fields);
    let from = point_of(params, &mut fields);
    let near = near(params, from, state.radius, &mut fields);
    let sort = sort(params, from, &mut fields);
    let chosen = params.any(&["categories", "category", "tags"]);
    let categories = chosen.map_or_else(Vec::new, |(name, slugs)| {
        state
            .categories
            .ids(slugs.split(','))
            .unwrap_or_else(|message| {
                fields.insert(name.to_owned(), message);
                Vec::new()
            })
    });
    let search = fold(params.get("search").unwrap_or_default());
    if search.chars().count() > search::LONGEST {
        fields.insert(
            "search".to_owned(),
            "must have at most 100 characters".to_owned(),
        );
    }
    let creator = params.integer("creator", &mut fields);
    let (favorites, following) = relation(params, &mut fields);
    no_faults(fields)?;
    let filter = Filter {
        categories,
        near,
        from,
        creator,
        favorites,
        following,
        sort,
        ..Filter::default()
    };
    Ok(Asked {
        filter,
        search,
        page,
    })
}

/// Whether only favorites, or only creators whom the caller follows, are asked for.
fn relation(params: &Params, fields: &mut Fields) -> (bool, bool) {
    match params.get("filter") {
        None | Some("all") => (false, false),
        Some("favorites") => (true, false),
        Some("following") => (false, true),
        Some(_) => {
            let message = "must be all, favorites or following";
            fields.insert("filter".to_owned(), message.to_owned());
            (false, false)
        }
    }
}

fn sort(params: &Params, from: Option<Point>, fields: &mut Fields) -> Option<Sort> {
    let sort = match params.get("sort")? {
        "recent" => Sort::Recent,
        "distance" => Sort::Distance,
        "smart" => Sort::Smart,
        _ => {
            let message = "must be recent, distance or smart";
            fields.insert("sort".to_owned(), message.to_owned());
            return None;
        }
    };
    if sort != Sort::Recent && from.is_none() {
        let message = "needs lat and lng";
        fields.insert("sort".to_owned(), message.to_owned());
    }
    Some(sort)
}

/// The place of the caller: both coordinates or none.
pub(crate) fn point_of(params: &Params, fields: &mut Fields) -> Option<Point> {
    let lat = params.any(&LATITUDES).map(|(name, _)| name);
    let lng = params.any(&LONGITUDES).map(|(name, _)| name);
    match (lat, lng) {
        (None, None) => None,
        (Some(_), None) => {
            fields.insert("lng".to_owned(), "is required together with lat".to_owned());
            None
        }
        (None, Some(_)) => {
            fields.insert("lat".to_owned(), "is required together with lng".to_owned());
            None
        }
        (Some(lat_name), Some(lng_name)) => {
            let lat = degrees(params, lat_name, 90.0, fields);
            let lng = degrees(params, lng_name, 180.0, fields);
            Point::new(lat?, lng?)
        }
    }
}

fn degrees(params: &Params, name: &str, limit: f64, fields: &mut Fields) -> Option<f64> {
    let value = params.number(name, fields)?;
    if value.abs() > limit {
        fields.insert(name.to_owned(), format!("must be from -{limit} to {limit}"));
        return None;
    }
    Some(value)
}

fn near(
    params: &Params,
    from: Option<Point>,
    usual: DefaultRadius,
    fields: &mut Fields,
) -> Option<Near> {
    let radius_km = params.number("radius", fields).unwrap_or(usual.km());
    if radius_km <= 0.0 || radius_km > LARGEST_KM {
        let message = format!("must be above 0 and at most {LARGEST_KM} km");
        fields.insert("radius".to_owned(), message);
    }
    if !params.flag("near_me", fields) {
        return None;
    }
    if from.is_none() {
        let message = "needs lat and lng".to_owned();
        fields.entry("near_me".to_owned()).or_insert(message);
    }
    Some(Near { radius_km })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(query: &str) -> Result<Option<Point>, Fields> {
        let mut fields = Fields::new();
        let point = point_of(&Params::parse(query), &mut fields);
        if fields.is_empty() {
            Ok(point)
        } else {
            Err(fields)
        }
    }

    #[test]
    fn every_spelling_of_a_place_is_read() {
        let expected = Point::new(47.5, 8.5);
        for query in [
            "lat=47.5&lng=8.5",
            "latitude=47.5&longitude=8.5",
            "lat=47.5&lon=8.5",
            "lat=47.5&long=8.5",
        ] {
            assert_eq!(place(query).unwrap(), expected, "{query}");
        }
        assert_eq!(place("").unwrap(), None);
    }

    #[test]
    fn half_a_place_or_one_off_the_globe_is_named() {
        for (query, field) in [
            ("lat=1", "lng"),
            ("lng=1", "lat"),
            ("lat=91&lng=0", "lat"),
            ("lat=0&lng=-180.1", "lng"),
            ("lat=x&lng=0", "lat"),
            ("lat=NaN&lng=0", "lat"),
            ("lat=inf&lng=0", "lat"),
        ] {
            assert!(place(query).unwrap_err().contains_key(field), "{query}");
        }
    }
}
