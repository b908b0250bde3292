//! Who takes part in a challenge, and what it has brought them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::{
    challenge::{Challenge, Kind},
    streak::Streak,
};

/// Reminders that a member may send.
pub(super) const HITCHES: i64 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Active,
    Left,
    Kicked,
}

pub(super) struct Member {
    pub(super) id: Uuid,
    /// Places of the challenge and of the user.
    pub(super) challenge: usize,
    pub(super) user: usize,
    role: &'static str,
    pub(super) status: Status,
    pub(super) joined: DateTime<Utc>,
    pub(super) left: Option<DateTime<Utc>>,
    pub(super) hitches: i64,
    pub(super) streak: Streak,
    pub(super) check_ins: i64,
    points: i64,
}

impl Member {
    /// A user in the challenge with this place.
    pub(super) fn new(
        dice: &mut Dice,
        (place, challenge): (usize, &Challenge),
        user: usize,
        status: Status,
    ) -> Self {
        let is_creator = challenge.creator == user;
        let joined = if is_creator {
            challenge.created
        } else {
            joined(dice, challenge)
        };
        let left = (status != Status::Active).then(|| {
            let now = dice.now();
            dice.between(joined + TimeDelta::days(5), now - TimeDelta::days(1))
        });
        Self {
            id: dice.uuid(joined),
            challenge: place,
            user,
            role: role(dice, is_creator),
            status,
            joined,
            left,
            hitches: HITCHES,
            streak: Streak::default(),
            check_ins: 0,
            points: 0,
        }
    }

    /// Notes a check-in, later than all before. Gives the points that it earns.
    pub(super) fn count(&mut self, at: DateTime<Utc>) -> i64 {
        let points = if self.streak.count(at) { 20 } else { 10 };
        self.check_ins += 1;
        self.points += points;
        points
    }

    pub(super) fn is_active(&self) -> bool {
        self.status == Status::Active
    }

    pub(super) fn is_creator(&self) -> bool {
        self.role == "creator"
    }

    /// From which day to which there may be check-ins before today.
    pub(super) fn days(&self, challenge: &Challenge, today: NaiveDate) -> (NaiveDate, NaiveDate) {
        let joined = self.joined.date_naive() + TimeDelta::days(1);
        let yesterday = today - TimeDelta::days(1);
        let left = self.left.map(|left| left.date_naive() - TimeDelta::days(1));
        let last = challenge.end.min(yesterday);
        (challenge.start.max(joined), left.unwrap_or(last).min(last))
    }

    /// The seventh day of a streak that goes on.
    pub(super) fn milestone(&self) -> Option<(i64, DateTime<Utc>)> {
        const DAYS: i64 = 7;
        let more = self.streak.now.current - DAYS;
        let at = self.streak.now.at()?;
        (more >= 0).then(|| (DAYS, at - TimeDelta::days(more)))
    }

    pub(super) fn cells(&self, challenge: Uuid, user: Uuid) -> Cells {
        let status = match self.status {
            Status::Active => "active",
            Status::Left => "left",
            Status::Kicked => "kicked",
        };
        let mut cells = vec![
            ("id", self.id.into()),
            ("challenge_id", challenge.into()),
            ("user_id", user.into()),
            ("role", self.role.into()),
            ("status", status.into()),
            ("total_checkins", self.check_ins.into()),
            ("points_earned", self.points.into()),
            ("hitch_count", self.hitches.into()),
            ("joined_at", self.joined.into()),
            ("left_at", self.left.into()),
            ("last_checkin_at", self.streak.now.at().into()),
            ("prior_checkin_at", self.streak.prior.at().into()),
        ];
        cells.extend(self.streak.cells());
        cells
    }
}

/// In the first third of the time that has passed, or of the challenge.
fn joined(dice: &mut Dice, challenge: &Challenge) -> DateTime<Utc> {
    let end = match challenge.kind {
        Kind::Completed | Kind::Failed => (challenge.end - challenge.start).num_days() / 4,
        _ => (dice.now() - challenge.created).num_days() / 3,
    };
    let latest = challenge.created + TimeDelta::days(end);
    let hour = TimeDelta::hours(1);
    dice.between(
        challenge.created + TimeDelta::minutes(1),
        latest.max(challenge.created + hour),
    )
}

fn role(dice: &mut Dice, is_creator: bool) -> &'static str {
    match dice.number(0..=99) {
        _ if is_creator => "creator",
        0..4 => "admin",
        _ => "member",
    }
}
