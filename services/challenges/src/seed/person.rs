//! Invented accounts and the profiles that others see.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::{streak::Streak, words};
use crate::profile::search_text;

/// When the first account was made, and the last one: before everything else.
const OLDEST: TimeDelta = TimeDelta::days(900);
const NEWEST: TimeDelta = TimeDelta::days(420);

pub(super) struct Person {
    pub(super) id: Uuid,
    pub(super) email: String,
    pub(super) display_name: String,
    full_name: Option<String>,
    avatar: Option<i64>,
    bio: Option<&'static str>,
    created: DateTime<Utc>,
    seen: DateTime<Utc>,
    /// Over all challenges.
    pub(super) streak: Streak,
    pub(super) check_ins: i64,
    pub(super) points: i64,
    /// Challenges that were completed.
    pub(super) completed: i64,
}

impl Person {
    /// The person with this place among so many, in the order of their accounts.
    pub(super) fn new(dice: &mut Dice, place: usize, count: usize) -> Self {
        let (first, last) = (dice.pick(words::FIRST), dice.pick(words::LAST));
        let created = dice
            .spread(place as i64, count as i64, OLDEST, NEWEST)
            .trunc_subsecs(0);
        let now = dice.now();
        Self {
            id: dice.uuid(created),
            email: format!("user{}@example.org", place + 1),
            display_name: dice
                .maybe(70, |_| format!("{first} {last}"))
                .unwrap_or_else(|| first.to_owned()),
            full_name: dice.maybe(60, |_| format!("{first} {last}")),
            avatar: dice.maybe(50, |dice| dice.number(1..=60)),
            bio: dice.maybe(40, |dice| dice.pick(words::BIOS)),
            created,
            seen: dice.between(now - TimeDelta::days(20), now),
            streak: Streak::default(),
            check_ins: 0,
            points: 0,
            completed: 0,
        }
    }

    /// Notes a check-in, later than all before.
    pub(super) fn count(&mut self, at: DateTime<Utc>, points: i64) {
        self.streak.count(at);
        self.check_ins += 1;
        self.points += points;
    }

    pub(super) fn account(&self, password_hash: &str) -> Cells {
        vec![
            ("id", self.id.into()),
            ("email", (&self.email).into()),
            ("password_hash", password_hash.into()),
            ("created_at", self.created.into()),
        ]
    }

    pub(super) fn profile(&self) -> Cells {
        let avatar = self
            .avatar
            .map(|number| format!("https://images.example/people/{number:02}.jpg"));
        let updated = self.streak.now.at().unwrap_or(self.created);
        let searched = search_text(&self.display_name, &self.email);
        let mut cells = vec![
            ("id", self.id.into()),
            ("email", (&self.email).into()),
            ("full_name", self.full_name.clone().into()),
            ("display_name", (&self.display_name).into()),
            ("avatar_url", avatar.into()),
            ("bio", self.bio.into()),
            ("total_check_ins", self.check_ins.into()),
            ("total_challenges_completed", self.completed.into()),
            ("points", self.points.into()),
            ("created_at", self.created.into()),
            ("updated_at", updated.into()),
            ("last_seen_at", self.seen.max(updated).into()),
            ("search_text", searched.into()),
        ];
        cells.extend(self.streak.cells());
        cells
    }
}
