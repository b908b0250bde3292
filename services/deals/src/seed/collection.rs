//! Invented collections of listings, and the links to them.

use chrono::{DateTime, TimeDelta, Utc};
use service_kit::seed::{Cells, Dice};

use super::{
    links, words,
    world::{Known, LISTED},
};
use crate::search::search_text;

const OLDEST: TimeDelta = TimeDelta::days(120);

/// The collections that the file of users names, and all others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Hundred,
    HundredFifty,
    Other,
}

/// A collection that is to be made.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) user: i64,
    pub(super) kind: Kind,
    items: usize,
    visibility: &'static str,
}

pub(super) struct Collection {
    pub(super) id: i64,
    pub(super) wanted: Wanted,
    name: String,
    description: Option<&'static str>,
    created: DateTime<Utc>,
    pub(super) link: Option<Link>,
    pub(super) items: Vec<Item>,
}

/// A link to a collection.
pub(super) struct Link {
    pub(super) token: String,
    views: i64,
    crawlers: i64,
    expires: Option<DateTime<Utc>>,
    created: DateTime<Utc>,
}

pub(super) struct Item {
    listing: i64,
    added: DateTime<Utc>,
    status: &'static str,
    notes: Option<&'static str>,
}

/// What all users are to have, in the order of creation.
pub(super) fn wanted(dice: &mut Dice, users: i64, scale: u32) -> Vec<Wanted> {
    let mut all = Vec::new();
    for user in 1..=LISTED.min(users) {
        let visibility = if user % 2 == 1 { "public" } else { "private" };
        for (kind, items) in [(Kind::Hundred, 100), (Kind::HundredFifty, 150)] {
            all.push(Wanted {
                user,
                kind,
                items,
                visibility,
            });
        }
        if user % 10 == 0 && scale >= 500 {
            let visibility = if user % 20 == 0 { "public" } else { "private" };
            all.push(Wanted {
                user,
                kind: Kind::Other,
                items: 500,
                visibility,
            });
        }
    }
    for user in 1..=users {
        for _ in 0..dice.number(0..=4) {
            all.push(Wanted {
                user,
                kind: Kind::Other,
                // 1 to 40.
                items: dice.number(1..=40) as usize,
                visibility: ["private", "public", "unlisted"][dice.weighted(&[50, 30, 20])],
            });
        }
    }
    dice.shuffle(&mut all);
    all
}

/// The collection of this number out of so many.
pub(super) fn collection(
    dice: &mut Dice,
    known: &[Known],
    wanted: Wanted,
    number: i64,
    count: i64,
) -> Collection {
    let created = dice.spread(number, count, OLDEST, TimeDelta::hours(3));
    let name = format!(
        "{} {}",
        dice.pick(words::PURPOSES),
        dice.pick(words::COLLECTIONS)
    );
    let description = dice.maybe(70, |dice| dice.pick(words::DESCRIPTIONS));
    let seen = wanted.visibility != "private";
    Collection {
        id: number + 1,
        wanted,
        name,
        description,
        created,
        link: seen.then(|| link(dice, created, wanted.kind)),
        items: items(dice, known, wanted.items, created),
    }
}

/// 10 % have expired, 10 % will; those to collections of a hundred items stay.
fn link(dice: &mut Dice, collection: DateTime<Utc>, kind: Kind) -> Link {
    let now = dice.now();
    let created = dice.between(collection, now - TimeDelta::hours(2));
    let views = links::views(dice);
    let expires = match dice.number(0..=99) {
        _ if kind == Kind::Hundred => None,
        0..10 => Some(dice.between(created + TimeDelta::hours(1), now)),
        10..20 => Some(now + TimeDelta::days(dice.number(1..=180))),
        _ => None,
    };
    Link {
        token: links::token(dice),
        views,
        crawlers: dice.number(0..=views / 4),
        expires,
        created,
    }
}

/// Different listings in the order in which they were added: none before it was there.
fn items(dice: &mut Dice, known: &[Known], items: usize, created: DateTime<Utc>) -> Vec<Item> {
    let now = dice.now();
    let listings = dice.distinct(items, known.len());
    let mut items = Vec::with_capacity(listings.len());
    for (listing, place) in listings.into_iter().zip(0..) {
        // Ids count from 1.
        let there = known[listing as usize - 1].created.max(created);
        items.push(Item {
            listing,
            added: (there + TimeDelta::minutes(place)).min(now),
            status: ["undecided", "shortlisted", "rejected", "bought"]
                [dice.weighted(&[60, 20, 15, 5])],
            notes: dice.maybe(20, |dice| dice.pick(words::ITEM_NOTES)),
        });
    }
    items.sort_by_key(|item| item.added);
    items
}

impl Collection {
    pub(super) fn cells(&self) -> Cells {
        let changed = self.items.last().map(|item| item.added);
        vec![
            ("id", self.id.into()),
            ("user_id", self.wanted.user.into()),
            ("name", (&self.name).into()),
            ("description", self.description.into()),
            ("visibility", self.wanted.visibility.into()),
            (
                "share_views",
                self.link.as_ref().map_or(0, |link| link.views).into(),
            ),
            (
                "search_text",
                search_text(&self.name, self.description).into(),
            ),
            ("created_at", self.created.into()),
            ("updated_at", changed.unwrap_or(self.created).into()),
        ]
    }

    pub(super) fn item_cells(&self) -> impl Iterator<Item = Cells> {
        self.items.iter().zip(0_i64..).map(|(item, position)| {
            vec![
                ("collection_id", self.id.into()),
                ("listing_id", item.listing.into()),
                ("status", item.status.into()),
                ("notes", item.notes.into()),
                ("position", position.into()),
                ("added_at", item.added.into()),
                ("created_at", item.added.into()),
                ("updated_at", item.added.into()),
            ]
        })
    }

    pub(super) fn link_cells(&self) -> Option<Cells> {
        let link = self.link.as_ref()?;
        Some(vec![
            ("collection_id", self.id.into()),
            ("token", (&link.token).into()),
            ("view_count", link.views.into()),
            ("crawler_views", link.crawlers.into()),
            ("expires_at", link.expires.into()),
            ("created_at", link.created.into()),
            ("updated_at", link.created.into()),
        ])
    }
}
