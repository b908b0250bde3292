//! What people are told about what has happened.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::{
    amounts::{Amounts, FULL_NOTICES, LISTED},
    challenge::{Challenge, Kind},
    friends::Status,
    habit,
    member::Member,
    person::Person,
    world::World,
};

/// A notification.
pub(super) struct Notice {
    pub(super) id: Uuid,
    /// Place of the user who is told.
    pub(super) user: usize,
    what: What,
    at: DateTime<Utc>,
    pub(super) read: Option<DateTime<Utc>>,
}

/// What has happened. Numbers are places in the world.
#[derive(Clone, Copy)]
enum What {
    FriendRequest { friendship: usize },
    FriendAccepted { friendship: usize },
    Invited { by: usize, challenge: usize },
    Started { challenge: usize },
    Completed { challenge: usize },
    Hitch { hitch: usize },
    Milestone { challenge: usize, days: i64 },
    Joined { member: usize },
    Left { member: usize },
}

/// A fact that somebody is told.
type Told = (usize, DateTime<Utc>, What);

/// All of them in the order of time.
pub(super) fn make(world: &mut World, amounts: &Amounts) -> Vec<Notice> {
    let told = facts(world);
    let others = told.iter().filter(|(user, ..)| *user >= LISTED).count() as i64;
    let mut made = Vec::new();
    let mut count = vec![0; LISTED];
    for told in told {
        let (user, ..) = told;
        let wanted = match count.get_mut(user) {
            Some(count) => {
                *count += 1;
                true
            }
            None => world.dice.number(0..=others) < amounts.notices,
        };
        if wanted {
            made.push(notice(&mut world.dice, told));
        }
    }
    for (user, count) in count.into_iter().enumerate() {
        let more = FULL_NOTICES.saturating_sub(count) + world.dice.below(6);
        invite(world, user, more, &mut made);
    }
    leave_unread(&mut made);
    made.sort_unstable_by_key(|notice| notice.id);
    made
}

fn facts(world: &World) -> Vec<Told> {
    let now = world.dice.now();
    let mut told = Vec::new();
    friendships(world, &mut told);
    for (place, hitch) in world.hitches.iter().enumerate() {
        told.push((hitch.target, hitch.at, What::Hitch { hitch: place }));
    }
    for (place, member) in world.groups.members.iter().enumerate() {
        let challenge = &world.groups.challenges[member.challenge];
        membership(member, challenge, place, &mut told);
    }
    told.retain(|(_, at, _)| *at <= now);
    told
}

fn friendships(world: &World, told: &mut Vec<Told>) {
    for (friendship, known) in world.friends.all.iter().enumerate() {
        match known.status {
            Status::Pending => {
                let what = What::FriendRequest { friendship };
                told.push((known.addressee, known.created, what));
            }
            Status::Accepted => {
                let what = What::FriendAccepted { friendship };
                told.push((known.requester, known.updated, what));
            }
            Status::Rejected | Status::Blocked => {}
        }
    }
}

/// What a member is told, and the creator about the member.
fn membership(member: &Member, challenge: &Challenge, place: usize, told: &mut Vec<Told>) {
    const MORNING: TimeDelta = TimeDelta::hours(6);
    let number = member.challenge;
    if !member.is_creator() {
        let what = What::Joined { member: place };
        told.push((challenge.creator, member.joined, what));
    }
    if let Some(left) = member.left {
        told.push((challenge.creator, left, What::Left { member: place }));
        return;
    }
    let begins = challenge.begins() + MORNING;
    if member.joined < begins {
        told.push((member.user, begins, What::Started { challenge: number }));
    }
    if challenge.kind == Kind::Completed {
        let over = challenge.ends() + MORNING;
        told.push((member.user, over, What::Completed { challenge: number }));
    }
    if let Some((days, at)) = member.milestone() {
        let what = What::Milestone {
            challenge: number,
            days,
        };
        told.push((member.user, at, what));
    }
}

/// Half of what is new is unread, and one in twenty of what is old.
fn notice(dice: &mut Dice, (user, at, what): Told) -> Notice {
    let now = dice.now();
    let unread = match what {
        What::FriendRequest { .. } => 80,
        _ if now - at < TimeDelta::days(14) => 50,
        _ => 5,
    };
    let read = (!dice.percent(unread)).then(|| dice.between(at, now.min(at + TimeDelta::days(3))));
    Notice {
        id: dice.uuid(at),
        user,
        what,
        at,
        read,
    }
}

/// Adds so many invitations by friends to challenges of theirs.
fn invite(world: &mut World, user: usize, more: usize, made: &mut Vec<Notice>) {
    let invitations = invitations(world, user);
    if invitations.is_empty() {
        return;
    }
    let now = world.dice.now();
    for _ in 0..more {
        let (by, challenge) = world.dice.pick(&invitations);
        let at = world
            .dice
            .between(now - TimeDelta::days(30), now - TimeDelta::hours(2));
        let told = (user, at, What::Invited { by, challenge });
        made.push(notice(&mut world.dice, told));
    }
}

/// Challenges of friends in which a user has never been.
fn invitations(world: &World, user: usize) -> Vec<(usize, usize)> {
    let mut invitations = Vec::new();
    for friend in &world.friends.of_listed[user] {
        let theirs = world.groups.of(*friend);
        let open = theirs.filter(|(member, challenge)| {
            challenge.is_active() && member.is_active() && !world.groups.has(member.challenge, user)
        });
        invitations.extend(open.map(|(member, _)| (*friend, member.challenge)));
    }
    invitations
}

/// Three of each listed user at least.
fn leave_unread(made: &mut [Notice]) {
    let mut missing = vec![3_usize; LISTED];
    for notice in made.iter().filter(|notice| notice.read.is_none()) {
        if let Some(missing) = missing.get_mut(notice.user) {
            *missing = missing.saturating_sub(1);
        }
    }
    for notice in made.iter_mut().rev().filter(|notice| notice.read.is_some()) {
        if let Some(missing) = missing.get_mut(notice.user)
            && *missing > 0
        {
            *missing -= 1;
            notice.read = None;
        }
    }
}

/// What a notification says.
struct Said {
    kind: &'static str,
    title: &'static str,
    body: String,
    data: serde_json::Value,
    action: String,
}

impl Notice {
    pub(super) fn cells(&self, world: &World) -> Cells {
        let said = self.what.say(world);
        vec![
            ("id", self.id.into()),
            ("user_id", world.people[self.user].id.into()),
            ("type", said.kind.into()),
            ("title", said.title.into()),
            ("body", said.body.into()),
            ("data", said.data.into()),
            ("action_url", said.action.into()),
            ("is_read", self.read.is_some().into()),
            ("read_at", self.read.into()),
            ("created_at", self.at.into()),
        ]
    }
}

impl What {
    fn say(self, world: &World) -> Said {
        match self {
            Self::FriendRequest { friendship } => {
                let friendship = &world.friends.all[friendship];
                let by = &world.people[friendship.requester];
                let body = format!("{} sent you a friend request", by.display_name);
                about_friends(
                    "friend_request",
                    "New Friend Request",
                    body,
                    friendship.id,
                    by,
                )
            }
            Self::FriendAccepted { friendship } => {
                let friendship = &world.friends.all[friendship];
                let by = &world.people[friendship.addressee];
                let body = format!("{} accepted your friend request", by.display_name);
                about_friends(
                    "friend_accepted",
                    "Friend Request Accepted",
                    body,
                    friendship.id,
                    by,
                )
            }
            Self::Invited { by, challenge } => {
                let by = &world.people[by];
                let challenge = &world.groups.challenges[challenge];
                let body = format!("{} invites you to '{}'", by.display_name, challenge.name);
                about_member("challenge_invite", "Challenge Invite", body, challenge, by)
            }
            Self::Started { challenge } => {
                let challenge = &world.groups.challenges[challenge];
                let body = format!("'{}' has started", challenge.name);
                about("challenge_started", "Challenge Started", body, challenge)
            }
            Self::Completed { challenge } => {
                let challenge = &world.groups.challenges[challenge];
                let body = format!("You completed '{}'", challenge.name);
                about(
                    "challenge_completed",
                    "Challenge Completed",
                    body,
                    challenge,
                )
            }
            Self::Hitch { hitch } => reminder(world, hitch),
            Self::Milestone { challenge, days } => {
                let challenge = &world.groups.challenges[challenge];
                let body = format!("{days} days in a row in '{}'", challenge.name);
                about("streak_milestone", "Streak Milestone", body, challenge)
            }
            Self::Joined { member } => {
                let (by, challenge) = of_member(world, member);
                let body = format!(
                    "{} joined your challenge '{}'",
                    by.display_name, challenge.name
                );
                about_member("member_joined", "New Member!", body, challenge, by)
            }
            Self::Left { member } => {
                let (by, challenge) = of_member(world, member);
                let body = format!(
                    "{} left your challenge '{}'",
                    by.display_name, challenge.name
                );
                about_member("member_left", "Member Left", body, challenge, by)
            }
        }
    }
}

fn of_member(world: &World, member: usize) -> (&Person, &Challenge) {
    let member = &world.groups.members[member];
    (
        &world.people[member.user],
        &world.groups.challenges[member.challenge],
    )
}

fn about_friends(
    kind: &'static str,
    title: &'static str,
    body: String,
    friendship: Uuid,
    by: &Person,
) -> Said {
    Said {
        kind,
        title,
        body,
        data: json!({ "friendship_id": friendship, "user_id": by.id }),
        action: "/friends".to_owned(),
    }
}

fn about(kind: &'static str, title: &'static str, body: String, challenge: &Challenge) -> Said {
    Said {
        kind,
        title,
        body,
        data: json!({ "challenge_id": challenge.id }),
        action: format!("/challenges/{}", challenge.id),
    }
}

fn about_member(
    kind: &'static str,
    title: &'static str,
    body: String,
    challenge: &Challenge,
    by: &Person,
) -> Said {
    Said {
        data: json!({ "challenge_id": challenge.id, "user_id": by.id }),
        ..about(kind, title, body, challenge)
    }
}

fn reminder(world: &World, hitch: usize) -> Said {
    let hitch = &world.hitches[hitch];
    let by = &world.people[hitch.sender];
    let challenge = &world.groups.challenges[hitch.challenge];
    let habit = habit::NAMES[hitch.habit];
    let body = format!(
        "{} reminds you to check in '{habit}' in '{}'",
        by.display_name, challenge.name
    );
    let data = json!({
        "challenge_id": challenge.id,
        "habit_id": habit::id(hitch.habit),
        "sender_id": by.id,
        "habit_name": habit,
    });
    let title = "Reminder: Check-in needed! 🔔";
    Said {
        data,
        ..about("hitch_reminder", title, body, challenge)
    }
}
