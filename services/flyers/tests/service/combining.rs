//! Every combination of filters and orders against a list made in memory: random flyers,
//! random requests, by page and by cursor.

use std::collections::HashSet;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use flyers::geo::Point;
use rand::{RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use service_kit::database::{Value as Bound, insert_rows};

use crate::running::{Running, ids};

const USERS: i64 = 8;
const FLYERS: i64 = 160;
const REQUESTS: usize = 60;
const CATEGORIES: [&str; 4] = ["events", "nightlife", "service", "food-drink"];
const WORDS: [&str; 6] = ["konzert", "velo", "käse", "am see", "50% rabatt", "zq"];
/// At uneven distances from each other, 0 to 90 km apart.
const PLACES: [(f64, f64); 9] = [
    (47.3769, 8.5417),
    (47.3801, 8.5502),
    (47.3612, 8.5203),
    (47.4104, 8.6007),
    (47.4999, 8.7301),
    (47.2203, 8.8102),
    (47.0501, 8.3104),
    (46.9482, 7.4479),
    (47.5604, 7.5906),
];

struct Flyer {
    id: i64,
    creator: i64,
    text: String,
    place: Point,
    created: DateTime<Utc>,
    publication: DateTime<Utc>,
    expiration: DateTime<Utc>,
    active: bool,
    categories: Vec<usize>,
}

struct World {
    flyers: Vec<Flyer>,
    favorites: HashSet<i64>,
    followed: HashSet<i64>,
}

/// One request, as parameters and as what they mean.
#[derive(Debug, Clone, Default)]
struct Asked {
    path: &'static str,
    favorites: bool,
    following: bool,
    creator: Option<i64>,
    categories: Vec<usize>,
    search: Option<&'static str>,
    from: Option<Point>,
    near_km: Option<f64>,
    sort: Option<&'static str>,
}

fn world(random: &mut ChaCha8Rng, now: DateTime<Utc>) -> World {
    let flyers = (1..=FLYERS).map(|id| {
        // Few moments, so that many flyers are of the same one.
        let created = now - TimeDelta::hours(random.random_range(1..40) * 17);
        let (publication, expiration) = match random.random_range(0..10) {
            0 => (now - TimeDelta::days(9), now - TimeDelta::days(1)),
            1 => (now + TimeDelta::days(1), now + TimeDelta::days(9)),
            _ => (now - TimeDelta::days(9), now + TimeDelta::days(9)),
        };
        let (lat, lng) = *PLACES.choose(random).unwrap();
        let first = random.random_range(0..CATEGORIES.len());
        let mut categories = vec![first];
        if random.random_bool(0.4) {
            categories.push((first + random.random_range(1..CATEGORIES.len())) % CATEGORIES.len());
        }
        Flyer {
            id,
            creator: random.random_range(1..=USERS),
            text: format!(
                "{} {}",
                WORDS[random.random_range(0..WORDS.len() - 1)],
                WORDS[random.random_range(0..WORDS.len() - 1)]
            ),
            place: Point::new(lat, lng).unwrap(),
            created,
            publication,
            expiration,
            active: random.random_bool(0.9),
            categories,
        }
    });
    World {
        flyers: flyers.collect(),
        favorites: (1..=FLYERS).filter(|_| random.random_bool(0.4)).collect(),
        followed: (2..=USERS).filter(|_| random.random_bool(0.5)).collect(),
    }
}

fn store(service: &Running, world: &World, now: DateTime<Utc>) {
    let put = |into: &str, rows: Vec<Vec<Bound>>| {
        service.run(insert_rows(into, rows));
    };
    // User 1 is the one who asks, and was registered.
    let users = (2..=USERS).map(|id| {
        let name = format!("user{id}");
        let email = format!("{name}@example.org");
        vec![
            id.into(),
            email.into(),
            name.into(),
            "-".into(),
            now.into(),
            now.into(),
        ]
    });
    put(
        "INSERT INTO users (id, email, username, password_hash, created_at, updated_at)",
        users.collect(),
    );
    let profiles = (2..=USERS).map(|id| vec![id.into(), now.into(), now.into()]);
    put(
        "INSERT INTO profiles (user_id, created_at, updated_at)",
        profiles.collect(),
    );
    let flyers = world.flyers.iter().map(|flyer| {
        vec![
            flyer.id.into(),
            flyer.creator.into(),
            (&flyer.text).into(),
            "Seestrasse 1".into(),
            flyer.place.lat.into(),
            flyer.place.lng.into(),
            flyer.publication.into(),
            flyer.expiration.into(),
            flyer.active.into(),
            (&flyer.text).into(),
            flyer.created.into(),
            flyer.created.into(),
        ]
    });
    put(
        "INSERT INTO flyers (id, creator_id, title, location_address, latitude, longitude,
         publication_date, expiration_date, is_active, search_text, created_at, updated_at)",
        flyers.collect(),
    );
    let links = world.flyers.iter().flat_map(|flyer| {
        flyer.categories.iter().map(|category| {
            vec![
                flyer.id.into(),
                (*category as i64 + 1).into(),
                flyer.created.into(),
                flyer.publication.into(),
                flyer.expiration.into(),
                flyer.active.into(),
            ]
        })
    });
    put(
        "INSERT INTO flyer_categories (flyer_id, category_id, created_at, publication_date,
         expiration_date, is_active)",
        links.collect(),
    );
    let liked = world
        .favorites
        .iter()
        .map(|id| vec![1_i64.into(), (*id).into(), now.into()]);
    put(
        "INSERT INTO favorites (user_id, flyer_id, created_at)",
        liked.collect(),
    );
    let followed = world
        .followed
        .iter()
        .map(|id| vec![1_i64.into(), (*id).into(), now.into()]);
    put(
        "INSERT INTO follows (follower_id, followed_id, created_at)",
        followed.collect(),
    );
}

fn ask(random: &mut ChaCha8Rng) -> Asked {
    let mut asked = Asked {
        path: "/api/v1/flyers/feed/",
        ..Asked::default()
    };
    match random.random_range(0..8) {
        0 => (asked.path, asked.favorites) = ("/api/v1/favorites/feed/", true),
        1 => (asked.path, asked.following) = ("/api/v1/following/feed/", true),
        2 | 3 => asked.favorites = true,
        4 | 5 => asked.following = true,
        _ => {}
    }
    if random.random_bool(0.2) {
        asked.creator = Some(random.random_range(1..=USERS));
    }
    if random.random_bool(0.35) {
        asked.categories = (0..CATEGORIES.len())
            .filter(|_| random.random_bool(0.5))
            .collect();
    }
    if random.random_bool(0.35) {
        asked.search = Some(
            *["konz", "am", "käs", "0% r", "velo", "zq", "zqx"]
                .choose(random)
                .unwrap(),
        );
    }
    if random.random_bool(0.7) {
        let (lat, lng) = *PLACES.choose(random).unwrap();
        asked.from = Point::new(lat + 0.0011, lng - 0.0007);
        if random.random_bool(0.5) {
            asked.near_km = Some(*[0.5, 3.0, 5.0, 20.0, 50.0].choose(random).unwrap());
        }
        let sorts = [None, Some("recent"), Some("distance"), Some("smart")];
        asked.sort = *sorts.choose(random).unwrap();
    }
    asked
}

impl Asked {
    fn query(&self) -> String {
        let mut query = String::new();
        let mut add = |text: String| {
            query += "&";
            query += &text;
        };
        if self.path.contains("flyers") && (self.favorites || self.following) {
            add(format!(
                "filter={}",
                if self.favorites {
                    "favorites"
                } else {
                    "following"
                }
            ));
        }
        if let Some(creator) = self.creator {
            add(format!("creator={creator}"));
        }
        if !self.categories.is_empty() {
            let slugs: Vec<_> = self.categories.iter().map(|one| CATEGORIES[*one]).collect();
            add(format!("categories={}", slugs.join(",")));
        }
        if let Some(search) = self.search {
            let text: String = search.bytes().map(|byte| format!("%{byte:02X}")).collect();
            add(format!("search={text}"));
        }
        if let Some(from) = self.from {
            add(format!("lat={}&lng={}", from.lat, from.lng));
        }
        if let Some(km) = self.near_km {
            add(format!("near_me=true&radius={km}"));
        }
        if let Some(sort) = self.sort {
            add(format!("sort={sort}"));
        }
        query
    }

    /// Ids of the whole list.
    fn expected(&self, world: &World, now: DateTime<Utc>) -> Vec<i64> {
        let km = |flyer: &Flyer| self.from.map_or(0.0, |from| from.distance_km(flyer.place));
        let mut flyers: Vec<&Flyer> = world
            .flyers
            .iter()
            .filter(|flyer| flyer.active && flyer.publication <= now && flyer.expiration > now)
            .filter(|flyer| !self.favorites || world.favorites.contains(&flyer.id))
            .filter(|flyer| !self.following || world.followed.contains(&flyer.creator))
            .filter(|flyer| self.creator.is_none_or(|creator| creator == flyer.creator))
            .filter(|flyer| {
                let any = |one: &usize| flyer.categories.contains(one);
                self.categories.is_empty() || self.categories.iter().any(any)
            })
            .filter(|flyer| self.search.is_none_or(|text| flyer.text.contains(text)))
            .filter(|flyer| self.near_km.is_none_or(|most| km(flyer) <= most))
            .collect();
        let usual = if self.near_km.is_some() {
            "distance"
        } else {
            "recent"
        };
        let moment = now.duration_trunc(TimeDelta::hours(1)).unwrap();
        flyers.sort_by(|a, b| {
            let recent = b.created.cmp(&a.created);
            let near = km(a).total_cmp(&km(b));
            let best = score(b, km(b), moment).total_cmp(&score(a, km(a), moment));
            match self.sort.unwrap_or(usual) {
                "distance" => near.then(recent),
                "smart" => best.then(recent),
                _ => recent.then(near),
            }
            .then(b.id.cmp(&a.id))
        });
        flyers.into_iter().map(|flyer| flyer.id).collect()
    }
}

/// As the first papers have it, without the part that is the same for all.
fn score(flyer: &Flyer, km: f64, moment: DateTime<Utc>) -> f64 {
    let hours = (moment - flyer.created).as_seconds_f64().max(0.0) / 3600.0;
    let steps = [
        (1.0, 100.0),
        (5.0, 80.0),
        (10.0, 60.0),
        (25.0, 40.0),
        (50.0, 20.0),
    ];
    let proximity = steps
        .iter()
        .find(|(most, _)| km <= *most)
        .map_or(10.0, |(_, points)| *points);
    0.4 * 100.0 * (-hours / 168.0).exp() + 0.4 * proximity
}

/// All ids of a list, page after page.
fn walk(service: &Running, token: &str, first: String) -> (Vec<i64>, Value) {
    let mut seen = Vec::new();
    let mut next = Some(first);
    let mut count = Value::Null;
    while let Some(path) = next {
        let page = service.get_as(token, &path).expect(200);
        if seen.is_empty() {
            count = page["count"].clone();
        }
        seen.extend(ids(&page));
        next = page["next"]
            .as_str()
            .map(|url| url[service.origin.len()..].to_owned());
    }
    (seen, count)
}

#[test]
fn seed_001_every_combination_of_filters_and_orders_is_the_list_made_in_memory() {
    let mut longest = 0;
    for seed in [1, 2] {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let service = Running::empty();
        let (token, me) = service.register("me@example.org");
        assert_eq!(me, 1);
        let now = service_kit::clock::now();
        let world = world(&mut random, now);
        store(&service, &world, now);
        for _ in 0..REQUESTS {
            let asked = ask(&mut random);
            let (path, query) = (asked.path, asked.query());
            let size = random.random_range(3..=50);
            let expected = asked.expected(&world, service_kit::clock::now());
            let numbered = format!("{path}?page_size={size}{query}");
            let (by_page, count) = walk(&service, &token, numbered.clone());
            let by_key = format!("{path}?page_size={size}&cursor={query}");
            let (by_cursor, uncounted) = walk(&service, &token, by_key);
            assert_eq!(by_page, expected, "{numbered}");
            assert_eq!(by_cursor, expected, "{numbered} by cursor");
            assert_eq!(count, expected.len(), "{numbered}");
            assert!(uncounted.is_null(), "{numbered}");
            longest = longest.max(expected.len());
        }
    }
    assert!(longest > 50, "several pages: {longest}");
}
