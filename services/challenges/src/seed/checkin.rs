//! Invented check-ins, and what they earn.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::{
    amounts::{Amounts, LISTED, full_check_ins},
    challenge::{Challenge, Kind},
    groups::Groups,
    habit,
    member::Member,
    person::Person,
    words,
};

pub(super) struct CheckIn {
    pub(super) id: Uuid,
    /// Place of the membership.
    pub(super) member: usize,
    /// Place of the habit among those of the system.
    habit: usize,
    pub(super) at: DateTime<Utc>,
    points: i64,
    photo: Option<i64>,
    video: Option<i64>,
    caption: Option<&'static str>,
}

/// All of them in the order of time, counted wherever they count.
pub(super) fn make(
    dice: &mut Dice,
    amounts: &Amounts,
    people: &mut [Person],
    groups: &mut Groups,
) -> Vec<CheckIn> {
    let mut made = Vec::new();
    let mut budget = Budget::of(amounts, groups);
    for user in 0..people.len() {
        budget.next_user(user, groups);
        for place in 0..groups.of_user[user].len() {
            let member = groups.of_user[user][place];
            if takes_part(&groups.members[member], groups) {
                let wish = budget.wish(dice);
                let before = made.len();
                of_member(dice, groups, member, wish, &mut made);
                budget.spent(made.len() - before);
            }
        }
    }
    made.sort_unstable_by_key(|check_in: &CheckIn| check_in.id);
    for check_in in &made {
        let user = groups.members[check_in.member].user;
        people[user].count(check_in.at, check_in.points);
    }
    made
}

fn takes_part(member: &Member, groups: &Groups) -> bool {
    groups.challenges[member.challenge].kind != Kind::Pending
}

/// What is left to be done, and by how many memberships: of one listed user, or of all others.
struct Budget {
    listed: bool,
    check_ins: i64,
    memberships: i64,
    of_others: (i64, i64),
}

impl Budget {
    fn of(amounts: &Amounts, groups: &Groups) -> Self {
        let others = groups.members.iter();
        let others = others.filter(|member| member.user >= LISTED && takes_part(member, groups));
        Self {
            listed: true,
            check_ins: 0,
            memberships: 0,
            of_others: (amounts.check_ins, others.count() as i64),
        }
    }

    /// Listed users come first, each with a budget of their own.
    fn next_user(&mut self, user: usize, groups: &Groups) {
        if user < LISTED {
            let members = groups.of(user);
            let taking = members.filter(|(_, challenge)| challenge.kind != Kind::Pending);
            self.memberships = taking.count() as i64;
            self.check_ins = full_check_ins(1);
        } else if self.listed {
            self.listed = false;
            (self.check_ins, self.memberships) = self.of_others;
        }
    }

    /// For the next membership.
    fn wish(&self, dice: &mut Dice) -> usize {
        let average = (self.check_ins / self.memberships.max(1)).max(0);
        let wish = if self.listed {
            average
        } else {
            dice.number(average / 2..=average * 3 / 2 + 1)
        };
        wish as usize
    }

    fn spent(&mut self, check_ins: usize) {
        self.check_ins -= check_ins as i64;
        self.memberships -= 1;
    }
}

/// Adds about so many check-ins of one member, if there are enough days.
fn of_member(
    dice: &mut Dice,
    groups: &mut Groups,
    number: usize,
    wish: usize,
    made: &mut Vec<CheckIn>,
) {
    let member = &mut groups.members[number];
    let challenge = &mut groups.challenges[member.challenge];
    for (at, place) in moments(dice, challenge, member, wish) {
        let asked = &mut challenge.habits[place];
        asked.check_ins += 1;
        let habit = asked.habit;
        let points = member.count(at);
        let (photo, video, caption) = evidence(dice, challenge.checkin_type);
        made.push(CheckIn {
            id: dice.uuid(at),
            member: number,
            habit,
            at,
            points,
            photo,
            video,
            caption,
        });
    }
}

/// When which habits were done, from the first to the last time.
fn moments(
    dice: &mut Dice,
    challenge: &Challenge,
    member: &Member,
    wish: usize,
) -> Vec<(DateTime<Utc>, usize)> {
    let now = dice.now();
    let (first, last) = member.days(challenge, now.date_naive());
    let mut moments = Vec::with_capacity(wish + 3);
    // Listed users do theirs under load.
    if wish > 0
        && challenge.is_active()
        && member.is_active()
        && member.user >= LISTED
        && dice.percent(40)
    {
        let midnight = now.date_naive().and_time(NaiveTime::MIN).and_utc();
        for place in some_habits(dice, challenge) {
            moments.push((dice.between(midnight, now), place));
        }
    }
    let mut days = Days::back_from(dice, last);
    while moments.len() < wish {
        let day = days.next(dice);
        if day < first {
            break;
        }
        for place in some_habits(dice, challenge) {
            moments.push((by_day(dice, day), place));
        }
    }
    moments.sort_unstable();
    moments
}

/// Days with a check-in, from the last one back: some in a row, then a few without.
struct Days {
    next: NaiveDate,
    in_a_row: i64,
}

impl Days {
    /// Most people are still at it.
    fn back_from(dice: &mut Dice, last: NaiveDate) -> Self {
        let idle = dice.maybe(30, |dice| dice.number(1..=6)).unwrap_or(0);
        Self {
            next: last - TimeDelta::days(idle),
            in_a_row: dice.number(2..=12),
        }
    }

    fn next(&mut self, dice: &mut Dice) -> NaiveDate {
        if self.in_a_row == 0 {
            self.next -= TimeDelta::days(dice.number(1..=3));
            self.in_a_row = dice.number(2..=12);
        }
        let day = self.next;
        self.in_a_row -= 1;
        self.next -= TimeDelta::days(1);
        day
    }
}

/// Three of four, and one at least.
fn some_habits(dice: &mut Dice, challenge: &Challenge) -> Vec<usize> {
    let all = challenge.habits.len();
    let mut some: Vec<usize> = (0..all).filter(|_| dice.percent(75)).collect();
    if some.is_empty() {
        some.push(dice.below(all));
    }
    some
}

/// Between six and ten.
fn by_day(dice: &mut Dice, day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::seconds(dice.number(21_600..=79_199))
}

type Evidence = (Option<i64>, Option<i64>, Option<&'static str>);

/// Photo, video and caption, as a challenge asks for them.
fn evidence(dice: &mut Dice, checkin_type: &str) -> Evidence {
    let caption = dice.pick(words::CAPTIONS);
    let number = dice.number(1..=400);
    match checkin_type {
        "photo" => (Some(number), None, dice.maybe(50, |_| caption)),
        "video" => (None, Some(number), dice.maybe(50, |_| caption)),
        "caption" => (None, None, Some(caption)),
        _ if dice.percent(30) => (Some(number), None, dice.maybe(50, |_| caption)),
        _ => (None, None, Some(caption)),
    }
}

impl CheckIn {
    pub(super) fn cells(&self, challenge: Uuid, user: Uuid) -> Cells {
        let file = |kind: &str, number: i64, end: &str| {
            format!("https://images.example/{kind}/{number:03}.{end}")
        };
        let photo = self.photo.map(|number| file("checkins", number, "jpg"));
        let video = self.video.map(|number| file("clips", number, "mp4"));
        vec![
            ("id", self.id.into()),
            ("challenge_id", challenge.into()),
            ("habit_id", habit::id(self.habit).into()),
            ("user_id", user.into()),
            ("checkin_date", self.at.date_naive().into()),
            ("photo_url", photo.into()),
            ("video_url", video.into()),
            ("caption", self.caption.into()),
            ("points", self.points.into()),
            ("created_at", self.at.into()),
            ("updated_at", self.at.into()),
        ]
    }
}
