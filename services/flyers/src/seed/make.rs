//! The invented rows, one after the other from one stream of random numbers.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha8Rng;

use super::{gallery, words};
use crate::{
    geo::Point,
    geocoder::{PLACES, Place},
    search::searchable,
};

const CENTRE: Point = Point {
    lat: 47.3769,
    lng: 8.5417,
};
/// The most flyers that one user has.
const MOST_FLYERS: usize = 200;
const FEWEST_USERS: u32 = 200;
/// Kilometres of one degree of latitude.
const KM_PER_DEGREE: f64 = 111.195;

pub(super) struct Maker {
    random: ChaCha8Rng,
    now: DateTime<Utc>,
    scale: u32,
    users: u32,
    /// Creators of the flyers, in the order of the flyers.
    creators: Vec<i64>,
}

pub(super) struct User {
    pub(super) id: i64,
    pub(super) email: String,
    pub(super) username: String,
    pub(super) name: String,
    pub(super) bio: Option<&'static str>,
    pub(super) picture: Option<String>,
    pub(super) place: Point,
    pub(super) created: DateTime<Utc>,
}

pub(super) struct Flyer {
    pub(super) id: i64,
    pub(super) creator: i64,
    pub(super) title: String,
    pub(super) caption: String,
    pub(super) info: [&'static str; 2],
    pub(super) address: String,
    pub(super) place: Point,
    pub(super) publication: DateTime<Utc>,
    pub(super) expiration: DateTime<Utc>,
    pub(super) is_active: bool,
    pub(super) search_text: String,
    pub(super) created: DateTime<Utc>,
    pub(super) images: Vec<String>,
    pub(super) categories: Vec<i64>,
}

/// The address of the seeded user with this id.
pub(super) fn email(id: i64) -> String {
    format!("user{id}@example.org")
}

impl Maker {
    pub(super) fn new(scale: u32, seed: u64, now: DateTime<Utc>) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let users = (scale / 10).max(FEWEST_USERS);
        let creators = creators(&mut random, scale, users);
        Self {
            random,
            now,
            scale,
            users,
            creators,
        }
    }

    pub(super) fn users(&self) -> i64 {
        i64::from(self.users)
    }

    pub(super) fn scale(&self) -> u32 {
        self.scale
    }

    pub(super) fn user(&mut self, id: i64) -> User {
        let first = self.pick(words::FIRST);
        let last = self.pick(words::LAST);
        let picture = self
            .random
            .random_bool(0.7)
            .then(|| gallery::avatar_sample(self.random.next_u32()));
        let bio = self
            .random
            .random_bool(0.4)
            .then(|| self.pick(words::SENTENCES));
        User {
            id,
            email: email(id),
            username: format!("{}{id}", first.to_lowercase()),
            name: format!("{first} {last}"),
            bio,
            picture,
            place: self.place(),
            created: self.now - TimeDelta::seconds(self.random.random_range(200..900) * 86_400),
        }
    }

    /// The flyers from the oldest to the newest: ids and times of creation rise together.
    pub(super) fn flyer(&mut self, number: u32) -> Flyer {
        let created = self.created(number);
        let (publication, expiration, is_active) = self.validity(created);
        let place = self.place();
        let title = self.title();
        let caption = self.caption();
        let info = [self.pick(words::INFOS), self.pick(words::INFOS)];
        let id = i64::from(number) + 1;
        Flyer {
            id,
            creator: self.creators[number as usize],
            info,
            address: self.address(place),
            place,
            publication,
            expiration,
            is_active,
            search_text: searchable(&title, &caption),
            title,
            caption,
            created,
            images: self.images(),
            categories: self.categories(),
        }
    }

    /// A live flyer of a user to be deleted, older than all others: it is on no first page.
    pub(super) fn doomed(&mut self, user: i64, gallery: &gallery::Gallery) -> Flyer {
        let created = self.now - TimeDelta::days(181) - TimeDelta::seconds(user);
        let place = self.place();
        let title = format!("Abbruchparty {user}");
        let caption = words::SENTENCES[0].to_owned();
        Flyer {
            id: i64::from(self.scale) + user,
            creator: user,
            info: [words::INFOS[0], words::INFOS[3]],
            address: self.address(place),
            place,
            publication: created,
            expiration: self.now + TimeDelta::days(60),
            is_active: true,
            search_text: searchable(&title, &caption),
            title,
            caption,
            created,
            images: gallery.paths(|| self.uuid()),
            categories: vec![6],
        }
    }

    /// A thousand users who like a flyer that is made to be deleted. Those who own such flyers
    /// themselves are spared where there are enough others, so that their own lists stay as
    /// they are; where there are fewer users, all but the creator.
    pub(super) fn fans_of(
        &mut self,
        creator: i64,
        owners: i64,
    ) -> impl Iterator<Item = i64> + use<> {
        const FANS: i64 = 1000;
        let users = self.users();
        let others = if users - owners >= FANS { owners } else { 0 };
        let there = users - others;
        let first = self.id_up_to(there);
        let fans = (0..there.min(FANS)).map(move |n| others + 1 + (first + n) % there);
        fans.filter(move |user| *user != creator)
    }

    /// A random one of `1..=bound`.
    pub(super) fn id_up_to(&mut self, bound: i64) -> i64 {
        self.random.random_range(1..=bound)
    }

    /// A moment of the last 60 days.
    pub(super) fn recently(&mut self) -> DateTime<Utc> {
        self.now - TimeDelta::seconds(self.random.random_range(0..60 * 86_400))
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())]
    }

    /// Spread over 180 days with some noise inside each flyer's share.
    fn created(&mut self, number: u32) -> DateTime<Utc> {
        let share = 180 * 86_400 * 1_000_000 / i64::from(self.scale.max(1));
        let age =
            share * i64::from(self.scale - number) - self.random.random_range(0..share.max(1));
        self.now - TimeDelta::microseconds(age)
    }

    /// Publication, expiration, active flag: 67 % live, 20 % expired but marked active,
    /// 10 % expired and swept, 3 % scheduled.
    fn validity(&mut self, created: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>, bool) {
        let future = TimeDelta::seconds(self.random.random_range(86_400..60 * 86_400));
        let soon = TimeDelta::seconds(self.random.random_range(86_400..20 * 86_400));
        match self.random.random_range(0..100) {
            0..67 => (created, self.now + future, true),
            state @ 67..97 => {
                let lived = (self.now - created) / 100 * self.random.random_range(10..100);
                let lived = lived.max(TimeDelta::microseconds(1));
                (created, created + lived, state < 87)
            }
            _ => (self.now + soon, self.now + soon + future, true),
        }
    }

    /// 0.1 to 50 km from the centre in any direction.
    fn place(&mut self) -> Point {
        let km = self.random.random_range(0.1..50.0);
        let bearing: f64 = self.random.random_range(0.0..std::f64::consts::TAU);
        let six = |degrees: f64| (degrees * 1e6).round() / 1e6;
        let lat = CENTRE.lat + km * bearing.cos() / KM_PER_DEGREE;
        let lng = CENTRE.lng + km * bearing.sin() / (KM_PER_DEGREE * CENTRE.lat.to_radians().cos());
        Point {
            lat: six(lat),
            lng: six(lng),
        }
    }

    fn title(&mut self) -> String {
        let thing = self.pick(words::THINGS);
        match self.random.random_range(0..4) {
            0 => thing.to_owned(),
            1 => format!("{} {thing}", self.pick(words::KINDS)),
            2 => format!("{thing} {}", self.pick(words::ENDINGS)),
            _ => format!(
                "{} {thing} {}",
                self.pick(words::KINDS),
                self.pick(words::ENDINGS)
            ),
        }
    }

    /// One to six sentences; one caption in a thousand has a word of its own.
    fn caption(&mut self) -> String {
        let sentences = self.random.random_range(1..=6);
        let mut caption = String::new();
        for _ in 0..sentences {
            caption += self.pick(words::SENTENCES);
            caption.push(' ');
        }
        if self.random.random_range(0..1000) == 0 {
            caption += "Mit Alphornbläsern. ";
        }
        caption.truncate(caption.trim_end().len());
        caption
    }

    fn address(&mut self, place: Point) -> String {
        let town = nearest(place);
        let street = self.pick(words::STREETS);
        format!(
            "{street} {}, {} {}",
            self.random.random_range(1..=120),
            town.zip,
            town.name
        )
    }

    /// One to five different ones.
    fn images(&mut self) -> Vec<String> {
        let count = self.random.random_range(1..=5);
        let first = self.random.random_range(0..1000);
        (first..first + count).map(gallery::flyer_sample).collect()
    }

    /// One to three. The first categories are common, the last is rare.
    fn categories(&mut self) -> Vec<i64> {
        const SHARES: [i64; 20] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6];
        let count = self.random.random_range(1..=3);
        let mut chosen: Vec<i64> = (0..count)
            .map(|_| {
                if self.random.random_range(0..500) == 0 {
                    7
                } else {
                    self.pick(&SHARES)
                }
            })
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn uuid(&mut self) -> String {
        let bits = u128::from(self.random.next_u64()) << 64 | u128::from(self.random.next_u64());
        let hex = format!("{bits:032x}");
        // Version 4, variant 1: the two fixed digits of a random UUID.
        format!(
            "{}-{}-4{}-8{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        )
    }
}

/// Zipf's law: the user of rank r has in proportion to 1/r, at most [`MOST_FLYERS`].
/// What is cut off goes to everybody alike. Ranks are mixed over the ids.
fn creators(random: &mut ChaCha8Rng, scale: u32, users: u32) -> Vec<i64> {
    use rand::seq::SliceRandom as _;
    let mut ids: Vec<i64> = (1..=i64::from(users)).collect();
    ids.shuffle(random);
    let total: f64 = (1..=users).map(|rank| 1.0 / f64::from(rank)).sum();
    let mut creators = Vec::with_capacity(scale as usize);
    for (rank, id) in (1..=users).zip(&ids) {
        // A share is a small positive number: nothing is lost in the cast.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let share = (f64::from(scale) / (total * f64::from(rank))).round() as usize;
        let left = (scale as usize).saturating_sub(creators.len());
        creators.extend(std::iter::repeat_n(*id, share.min(MOST_FLYERS).min(left)));
    }
    while creators.len() < scale as usize {
        creators.extend(ids.choose(random));
    }
    creators.shuffle(random);
    creators
}

fn nearest(point: Point) -> &'static Place {
    // Flat geometry is good enough to name the next town, and fast.
    let far = |place: &Place| {
        let at = place.point();
        let (north, east) = (at.lat - point.lat, (at.lng - point.lng) * 0.677);
        north * north + east * east
    };
    PLACES
        .iter()
        .min_by(|a, b| far(a).total_cmp(&far(b)))
        .unwrap_or(&PLACES[0])
}
