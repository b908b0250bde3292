//! Invented challenges and the habits that they ask for.

use std::collections::HashSet;

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::{habit, words};

/// How far a challenge has come, and whose it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Active; made by a listed user, with room for many more.
    Own,
    /// Active.
    Running,
    /// Over, with a good end.
    Completed,
    /// Over, with none.
    Failed,
    /// Not begun.
    Pending,
}

pub(super) struct Challenge {
    pub(super) id: Uuid,
    pub(super) kind: Kind,
    pub(super) name: String,
    description: Option<&'static str>,
    status: &'static str,
    pub(super) start: NaiveDate,
    pub(super) end: NaiveDate,
    max_members: i64,
    pub(super) checkin_type: &'static str,
    require_evidence: bool,
    pub(super) code: String,
    is_public: bool,
    pub(super) created: DateTime<Utc>,
    /// Place of the user who made it.
    pub(super) creator: usize,
    pub(super) habits: Vec<Asked>,
    /// Places of its members, those who left too.
    pub(super) members: Vec<usize>,
    /// How many are active.
    pub(super) active: i64,
}

/// A habit of a challenge.
pub(super) struct Asked {
    pub(super) id: Uuid,
    /// Its place among the habits of the system.
    pub(super) habit: usize,
    pub(super) check_ins: i64,
}

/// What a challenge is made of besides chance.
pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) creator: usize,
    /// Whether a listed user takes part, who is to check in by caption or photo.
    pub(super) is_listed: bool,
    /// Members that are active, at least those who are known by now.
    pub(super) active: i64,
}

impl Challenge {
    pub(super) fn new(dice: &mut Dice, codes: &mut Codes, wanted: &Wanted) -> Self {
        let kind = wanted.kind;
        let (start, end) = days(dice, kind);
        let created = created(dice, start);
        let habits = habits(dice, created);
        Self {
            id: dice.uuid(created),
            kind,
            name: name(dice, habits[0].habit, (end - start).num_days()),
            description: dice.maybe(60, |dice| dice.pick(words::DESCRIPTIONS)),
            status: status(dice, kind),
            start,
            end,
            max_members: max_members(dice, wanted),
            checkin_type: checkin_type(dice, wanted.is_listed),
            require_evidence: dice.percent(80),
            code: codes.new_code(dice),
            is_public: dice.percent(25),
            created,
            creator: wanted.creator,
            habits,
            members: Vec::new(),
            active: 0,
        }
    }

    /// Whether check-ins are taken today.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.kind, Kind::Own | Kind::Running)
    }

    /// The beginning of the first day.
    pub(super) fn begins(&self) -> DateTime<Utc> {
        self.start.and_time(NaiveTime::MIN).and_utc()
    }

    /// The end of the last day.
    pub(super) fn ends(&self) -> DateTime<Utc> {
        (self.end + Days::new(1)).and_time(NaiveTime::MIN).and_utc()
    }

    pub(super) fn cells(&self, creator: Uuid) -> Cells {
        let together = if self.members.len() > 1 {
            "group"
        } else {
            "individual"
        };
        vec![
            ("id", self.id.into()),
            ("name", (&self.name).into()),
            ("description", self.description.into()),
            ("type", together.into()),
            ("status", self.status.into()),
            ("start_date", self.start.into()),
            ("end_date", self.end.into()),
            ("max_members", self.max_members.into()),
            ("checkin_type", self.checkin_type.into()),
            ("require_evidence", self.require_evidence.into()),
            ("invite_code", (&self.code).into()),
            ("is_public", self.is_public.into()),
            ("member_count", self.active.into()),
            ("created_at", self.created.into()),
            ("updated_at", self.created.into()),
            ("created_by", creator.into()),
        ]
    }
}

impl Asked {
    pub(super) fn cells(&self, challenge: Uuid, order: i64) -> Cells {
        vec![
            ("id", self.id.into()),
            ("challenge_id", challenge.into()),
            ("habit_id", habit::id(self.habit).into()),
            ("display_order", order.into()),
            ("total_checkins", self.check_ins.into()),
        ]
    }
}

/// First and last day. A challenge of today goes on for two months at least; none is longer than a
/// year.
fn days(dice: &mut Dice, kind: Kind) -> (NaiveDate, NaiveDate) {
    let today = dice.now().date_naive();
    let before = |days: i64| today - TimeDelta::days(days);
    match kind {
        Kind::Own | Kind::Running => {
            let since = dice.number(45..=280);
            let left = dice.number(60..=(360 - since).min(150));
            (before(since), before(-left))
        }
        Kind::Completed | Kind::Failed => {
            let over = dice.number(3..=180);
            let length = dice.number(21..=90);
            (before(over + length), before(over))
        }
        Kind::Pending => {
            let begins = dice.number(2..=20);
            let length = dice.number(14..=90);
            (before(-begins), before(-begins - length))
        }
    }
}

/// Up to ten days before the first day, and not in the future.
fn created(dice: &mut Dice, start: NaiveDate) -> DateTime<Utc> {
    let latest = start.min(dice.now().date_naive() - Days::new(1));
    let day = latest - TimeDelta::days(dice.number(0..=10));
    day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(dice.number(21_600..=79_200))
}

fn habits(dice: &mut Dice, created: DateTime<Utc>) -> Vec<Asked> {
    let amount = 1 + dice.weighted(&[25, 35, 25, 15]);
    let places = dice.distinct(amount, habit::NAMES.len());
    let asked = |place: i64| Asked {
        id: dice.uuid(created),
        habit: place as usize - 1,
        check_ins: 0,
    };
    places.into_iter().map(asked).collect()
}

fn name(dice: &mut Dice, habit: usize, days: i64) -> String {
    let habit = habit::NAMES[habit];
    match dice.weighted(&[40, 30, 30]) {
        0 => format!("{}: {habit}", dice.pick(words::WHEN)),
        1 => format!("{habit} with {}", dice.pick(words::GROUPS)),
        _ => format!("{days} days of {habit}"),
    }
}

fn status(dice: &mut Dice, kind: Kind) -> &'static str {
    match kind {
        Kind::Own | Kind::Running => "active",
        Kind::Completed => "completed",
        Kind::Failed if dice.percent(30) => "archived",
        Kind::Failed => "failed",
        Kind::Pending => "pending",
    }
}

fn max_members(dice: &mut Dice, wanted: &Wanted) -> i64 {
    /// The most that there may be.
    const MOST: i64 = 50;
    if wanted.kind == Kind::Own {
        return MOST;
    }
    let enough: Vec<i64> = [10, 20, 30, MOST]
        .into_iter()
        .filter(|most| *most >= wanted.active)
        .collect();
    dice.pick(&enough)
}

fn checkin_type(dice: &mut Dice, is_listed: bool) -> &'static str {
    let weights: &[i64] = if is_listed {
        &[60, 40]
    } else {
        &[50, 40, 6, 4]
    };
    ["any", "photo", "caption", "video"][dice.weighted(weights)]
}

/// The invite codes that are given out.
#[derive(Default)]
pub(super) struct Codes(HashSet<String>);

impl Codes {
    /// Six signs that cannot be mistaken for one another.
    fn new_code(&mut self, dice: &mut Dice) -> String {
        const SIGNS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        loop {
            let code: String = (0..6).map(|_| char::from(dice.pick(SIGNS))).collect();
            if self.0.insert(code.clone()) {
                return code;
            }
        }
    }
}
