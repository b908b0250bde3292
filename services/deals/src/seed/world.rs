//! What has been invented so far, and must be known for what comes next.

use chrono::{DateTime, TimeDelta, Utc};
use service_kit::seed::{Cells, Dice};

use super::{parts::Parts, words};

/// Users whom the file of users names.
pub(super) const LISTED: i64 = 200;

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) parts: Parts,
    pub(super) scale: u32,
    /// By id, from 1.
    people: Vec<Person>,
    /// By id, from 1: in the order of time.
    pub(super) known: Vec<Known>,
    /// The first users, by id.
    pub(super) listed: Vec<Listed>,
}

struct Person {
    username: String,
    display_name: Option<String>,
    email: Option<String>,
    created: DateTime<Utc>,
}

/// A listing as others refer to it.
pub(super) struct Known {
    pub(super) title: String,
    pub(super) created: DateTime<Utc>,
}

/// What the file of users says about one of them.
#[derive(Clone, Default)]
pub(super) struct Listed {
    pub(super) hundred: i64,
    pub(super) hundred_fifty: i64,
    /// The link to the collection of a hundred items, if it is public.
    pub(super) hundred_token: Option<String>,
    /// A listing, and the user's link to it.
    pub(super) link: Option<(i64, String)>,
    /// A deal that was received and not looked at.
    pub(super) inbox: Option<String>,
}

impl World {
    /// With parts and people.
    pub(super) fn new(scale: u32, seed: u64, now: DateTime<Utc>) -> Self {
        let mut dice = Dice::new(seed, now);
        let parts = Parts::make(&mut dice);
        let users = i64::from(scale / 20).max(LISTED);
        let people = (1..=users).map(|id| person(&mut dice, id)).collect();
        Self {
            dice,
            parts,
            scale,
            people,
            known: Vec::new(),
            // One for each of the first users.
            listed: vec![Listed::default(); LISTED as usize],
        }
    }

    pub(super) fn users(&self) -> i64 {
        // Made from a number that fits.
        self.people.len() as i64
    }

    /// What a user is called by others.
    pub(super) fn name(&self, id: i64) -> &str {
        let person = &self.people[id as usize - 1];
        person.display_name.as_ref().unwrap_or(&person.username)
    }

    pub(super) fn title(&self, listing: i64) -> &str {
        &self.known[listing as usize - 1].title
    }

    /// A listing that was there at that time. There are listings.
    pub(super) fn listing_before(&mut self, time: DateTime<Utc>) -> i64 {
        let there = self.known.partition_point(|known| known.created <= time);
        self.dice.number(1..=there.max(1) as i64)
    }

    /// The rows of the users.
    pub(super) fn users_cells(&self) -> Vec<Cells> {
        let cells = |(person, id): (&Person, i64)| -> Cells {
            vec![
                ("id", id.into()),
                ("username", (&person.username).into()),
                ("email", person.email.clone().into()),
                ("display_name", person.display_name.clone().into()),
                ("created_at", person.created.into()),
                ("updated_at", person.created.into()),
            ]
        };
        self.people.iter().zip(1..).map(cells).collect()
    }
}

/// The address of the seeded user with this id.
pub(super) fn email(id: i64) -> String {
    format!("user{id}@example.org")
}

/// One in five has no name to show, one in twenty no address; those in the file have one.
fn person(dice: &mut Dice, id: i64) -> Person {
    let first = dice.pick(words::FIRST);
    let last = dice.pick(words::LAST);
    let age = TimeDelta::seconds(dice.number(200 * 86_400..=900 * 86_400));
    let silent = dice.percent(5) && id > LISTED;
    Person {
        username: format!("{}{id}", first.to_lowercase()),
        display_name: dice.maybe(80, |_| format!("{first} {last}")),
        email: (!silent).then(|| email(id)),
        created: dice.now() - age,
    }
}
