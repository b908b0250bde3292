//! Invented reminders from member to member.

use chrono::{DateTime, TimeDelta, Utc};
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::{
    amounts::LISTED,
    challenge::{Challenge, Kind},
    groups::Groups,
    habit,
};

pub(super) struct Hitch {
    pub(super) id: Uuid,
    pub(super) challenge: usize,
    /// Place of the habit among those of the system.
    pub(super) habit: usize,
    /// Places of the users.
    pub(super) sender: usize,
    pub(super) target: usize,
    pub(super) at: DateTime<Utc>,
}

/// All of them in the order of time. Listed users have sent none, so that they can; one in ten
/// of the others once for each challenge.
pub(super) fn make(dice: &mut Dice, groups: &mut Groups) -> Vec<Hitch> {
    let mut made = Vec::new();
    for number in 0..groups.members.len() {
        let member = &groups.members[number];
        let challenge = &groups.challenges[member.challenge];
        let may = member.user >= LISTED && member.is_active() && challenge.kind == Kind::Running;
        if may && dice.percent(10) {
            let hitches = of_member(dice, groups, number);
            if !hitches.is_empty() {
                groups.members[number].hitches -= 1;
                made.extend(hitches);
            }
        }
    }
    made.sort_unstable_by_key(|hitch: &Hitch| hitch.id);
    made
}

/// One call, for one or two members.
fn of_member(dice: &mut Dice, groups: &Groups, number: usize) -> Vec<Hitch> {
    let sender = &groups.members[number];
    let challenge = &groups.challenges[sender.challenge];
    let latest = dice.now() - TimeDelta::days(1);
    let at = dice.between(sender.joined.max(latest - TimeDelta::days(60)), latest);
    let habit = challenge.habits[dice.below(challenge.habits.len())].habit;
    let mut targets = targets(groups, challenge, number, at);
    dice.shuffle(&mut targets);
    targets.truncate(1 + dice.below(2));
    let hitch = |target: usize| Hitch {
        id: dice.uuid(at),
        challenge: sender.challenge,
        habit,
        sender: sender.user,
        target,
        at,
    };
    targets.into_iter().map(hitch).collect()
}

/// Others who were members then, and are.
fn targets(groups: &Groups, challenge: &Challenge, sender: usize, at: DateTime<Utc>) -> Vec<usize> {
    let others = challenge.members.iter().filter(|other| **other != sender);
    let others = others.map(|other| &groups.members[*other]);
    others
        .filter(|other| other.is_active() && other.joined < at)
        .map(|other| other.user)
        .collect()
}

impl Hitch {
    pub(super) fn cells(&self, challenge: Uuid, id_of: impl Fn(usize) -> Uuid) -> Cells {
        vec![
            ("id", self.id.into()),
            ("challenge_id", challenge.into()),
            ("habit_id", habit::id(self.habit).into()),
            ("sender_id", id_of(self.sender).into()),
            ("target_id", id_of(self.target).into()),
            ("created_at", self.at.into()),
            ("hitch_date", self.at.date_naive().into()),
        ]
    }
}
