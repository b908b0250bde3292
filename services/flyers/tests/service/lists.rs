//! Every kind of list that the service makes, for tests of their plans.

use chrono::{DateTime, Utc};
use flyers::{
    feed::statement::{CursorKey, Filter, Near, Search, Sort, Visibility, Window},
    geo::Point,
};
use service_kit::database::Dialect;

/// A list by its name.
pub(crate) struct List {
    pub(crate) name: &'static str,
    pub(crate) filter: Filter,
    /// A key somewhere inside the list.
    pub(crate) cursor: CursorKey,
}

const RECENT: CursorKey = CursorKey::Recent(1_700_000_000_000_000, 500);
const LOCATED: CursorKey = CursorKey::Located(1_700_000_000_000_000, 0x3e50_0000_0000_0000, 500);
const NEAREST: CursorKey = CursorKey::Near(0x3e50_0000_0000_0000, 1_700_000_000_000_000, 500);
const RANKED: CursorKey = CursorKey::Smart(
    1_700_000_000_000_000,
    0x4040_0000_0000_0000,
    1_700_000_000_000_000,
    500,
);

/// Every kind of list, without and with a place to see it from.
pub(crate) fn lists(now: DateTime<Utc>) -> Vec<List> {
    let live = Filter {
        now,
        ..Filter::default()
    };
    let creator = Filter {
        creator: Some(1),
        ..live.clone()
    };
    let own = Filter {
        visibility: Visibility::All,
        ..creator.clone()
    };
    let favorites = Filter {
        favorites: true,
        ..live.clone()
    };
    let following = Filter {
        following: true,
        ..live.clone()
    };
    vec![
        recent("favorites", favorites.clone()),
        located("favorites with distance", favorites.clone()),
        nearest("favorites, near me", favorites.clone()),
        recent("favorites, category", in_categories(&favorites, &[1])),
        recent("favorites, few hits", searching(&favorites, index())),
        ranked("favorites, smart", favorites.clone()),
        recent("following", following.clone()),
        located("following with distance", following.clone()),
        nearest("following, near me", following.clone()),
        recent("following, category", in_categories(&following, &[1])),
        recent("following, search", searching(&following, walk("konzert"))),
        recent("following, few hits", searching(&following, index())),
        ranked("following, smart", following.clone()),
        ranked("smart", live.clone()),
        farthest("by distance", live.clone()),
        recent("feed", live.clone()),
        located("feed with distance", live.clone()),
        recent("creator", creator.clone()),
        located("creator with distance", creator.clone()),
        recent("own", own.clone()),
        nearest("near me", live.clone()),
        nearest("near me, category", in_categories(&live, &[1])),
        nearest("near me, search", searching(&live, walk("konzert"))),
        nearest("near me, few hits", searching(&live, index())),
        nearest("near me, creator", creator.clone()),
        recent("category", in_categories(&live, &[1])),
        recent("rare category", in_categories(&live, &[7])),
        recent("categories", in_categories(&live, &[1, 5, 7])),
        located("category with distance", in_categories(&live, &[1])),
        recent(
            "category, search",
            searching(&in_categories(&live, &[1]), walk("konzert")),
        ),
        recent("many hits", searching(&live, walk("konzert"))),
        recent("short search", searching(&live, walk("zq"))),
        recent("few hits", searching(&live, index())),
        recent(
            "few hits, category",
            searching(&in_categories(&live, &[1]), index()),
        ),
        located("few hits with distance", searching(&live, index())),
        recent("creator, category", in_categories(&creator, &[1])),
        recent("creator, few hits", searching(&creator, index())),
        recent("own, few hits", searching(&own, index())),
        nearest("own, near me", own.clone()),
        located("categories with distance", in_categories(&live, &[1, 5, 7])),
        recent("creator, search", searching(&creator, walk("konzert"))),
    ]
}

fn recent(name: &'static str, filter: Filter) -> List {
    List {
        name,
        filter,
        cursor: RECENT,
    }
}

fn located(name: &'static str, filter: Filter) -> List {
    List {
        name,
        filter: from_zurich(filter),
        cursor: LOCATED,
    }
}

fn nearest(name: &'static str, filter: Filter) -> List {
    List {
        name,
        filter: Filter {
            near: Some(Near { radius_km: 5.0 }),
            ..from_zurich(filter)
        },
        cursor: NEAREST,
    }
}

fn ranked(name: &'static str, filter: Filter) -> List {
    List {
        name,
        filter: Filter {
            sort: Some(Sort::Smart),
            ..from_zurich(filter)
        },
        cursor: RANKED,
    }
}

/// Nearest first without a bound.
fn farthest(name: &'static str, filter: Filter) -> List {
    List {
        name,
        filter: Filter {
            sort: Some(Sort::Distance),
            ..from_zurich(filter)
        },
        cursor: NEAREST,
    }
}

fn from_zurich(filter: Filter) -> Filter {
    Filter {
        from: Point::new(47.3769, 8.5417),
        ..filter
    }
}

fn in_categories(filter: &Filter, categories: &[i64]) -> Filter {
    Filter {
        categories: categories.to_vec(),
        ..filter.clone()
    }
}

fn searching(filter: &Filter, search: Search) -> Filter {
    Filter {
        search,
        ..filter.clone()
    }
}

fn walk(folded: &str) -> Search {
    let phrase = match crate::DIALECT {
        _ if folded.len() < 3 => None,
        Dialect::Sqlite => Some(format!("\"{folded}\"")),
        Dialect::Postgres => Some(format!("%{folded}%")),
    };
    Search::Walk {
        folded: folded.to_owned(),
        phrase,
    }
}

/// Few flyers of the bulk have this in their title.
fn index() -> Search {
    let phrase = match crate::DIALECT {
        Dialect::Sqlite => "\"yer 77\"",
        Dialect::Postgres => "%yer 77%",
    };
    Search::Index {
        phrase: phrase.to_owned(),
    }
}

/// First page, numbered page, page after a cursor, of a list.
pub(crate) fn windows(cursor: &CursorKey) -> [(&'static str, Window); 3] {
    let window = |after: Option<&CursorKey>, offset| Window {
        after: after.cloned(),
        limit: 21,
        offset,
    };
    [
        ("first page", window(None, 0)),
        ("page 50", window(None, 980)),
        ("after a cursor", window(Some(cursor), 0)),
    ]
}
