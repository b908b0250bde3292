//! Invented friendships, and requests that wait.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use service_kit::{
    seed::{Cells, Dice},
    uuid::Uuid,
};

use super::amounts::{Amounts, LISTED};

/// Tries to find somebody new.
const TRIES: usize = 2000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Accepted,
    Pending,
    Rejected,
    Blocked,
}

pub(super) struct Friendship {
    pub(super) id: Uuid,
    /// Places of the users: who asked, and whom.
    pub(super) requester: usize,
    pub(super) addressee: usize,
    pub(super) status: Status,
    pub(super) created: DateTime<Utc>,
    pub(super) updated: DateTime<Utc>,
}

pub(super) struct Friends {
    pub(super) all: Vec<Friendship>,
    /// For each listed user, their friends.
    pub(super) of_listed: Vec<Vec<usize>>,
    /// For each listed user, somebody they have nothing to do with; nobody else's stranger is them.
    pub(super) strangers: Vec<Option<usize>>,
    users: usize,
    /// Pairs that are friends, or must not be.
    pairs: HashSet<(usize, usize)>,
}

impl Friends {
    pub(super) fn make(dice: &mut Dice, amounts: &Amounts) -> Self {
        let mut friends = Self {
            all: Vec::new(),
            of_listed: vec![Vec::new(); LISTED],
            strangers: Vec::new(),
            users: amounts.users,
            pairs: HashSet::new(),
        };
        for user in 0..LISTED {
            let stranger = friends.stranger(dice, user);
            friends.strangers.push(stranger);
        }
        let wanted: Vec<usize> = (0..LISTED).map(|_| 14 + dice.below(11)).collect();
        friends.accepted(dice, &wanted);
        for user in 0..LISTED {
            friends.waiting(dice, user);
        }
        friends.others(dice, amounts.friendships);
        friends.all.sort_unstable_by_key(|friendship| friendship.id);
        friends
    }

    /// Not one of those who have a stranger themselves, where there are others.
    fn stranger(&mut self, dice: &mut Dice, user: usize) -> Option<usize> {
        let first = if self.users >= 2 * LISTED { LISTED } else { 0 };
        self.new_pair(dice, user, first)
    }

    /// Fills up the friends of listed users, who are friends of each other too.
    fn accepted(&mut self, dice: &mut Dice, wanted: &[usize]) {
        for (user, wanted) in wanted.iter().enumerate() {
            while self.of_listed[user].len() < *wanted {
                let Some(other) = self.new_pair(dice, user, 0) else {
                    break;
                };
                self.either_way(dice, (user, other), Status::Accepted);
            }
        }
    }

    /// Requests that a listed user has received, and that he has sent.
    fn waiting(&mut self, dice: &mut Dice, user: usize) {
        for _ in 0..3 {
            if let Some(other) = self.new_pair(dice, user, 0) {
                self.add(dice, (other, user), Status::Pending);
            }
            if let Some(other) = self.new_pair(dice, user, 0) {
                self.add(dice, (user, other), Status::Pending);
            }
        }
    }

    /// Until there are so many.
    fn others(&mut self, dice: &mut Dice, all: usize) {
        while self.all.len() < all {
            let user = dice.below(self.users);
            let Some(other) = self.new_pair(dice, user, 0) else {
                return;
            };
            let status = match dice.weighted(&[75, 20, 4, 1]) {
                0 => Status::Accepted,
                1 => Status::Pending,
                2 => Status::Rejected,
                _ => Status::Blocked,
            };
            self.either_way(dice, (user, other), status);
        }
    }

    /// Somebody from `first` on with whom nothing is between them yet.
    fn new_pair(&mut self, dice: &mut Dice, user: usize, first: usize) -> Option<usize> {
        for _ in 0..TRIES {
            let other = first + dice.below(self.users - first);
            if other != user && self.pairs.insert((user.min(other), user.max(other))) {
                return Some(other);
            }
        }
        None
    }

    fn either_way(&mut self, dice: &mut Dice, (one, other): (usize, usize), status: Status) {
        let pair = if dice.percent(50) {
            (one, other)
        } else {
            (other, one)
        };
        self.add(dice, pair, status);
    }

    fn add(&mut self, dice: &mut Dice, (requester, addressee): (usize, usize), status: Status) {
        let (now, pending) = (dice.now(), status == Status::Pending);
        let oldest = TimeDelta::days(if pending { 30 } else { 400 });
        let created = dice.between(now - oldest, now - TimeDelta::days(1));
        let updated = if pending {
            created
        } else {
            dice.between(created, now.min(created + TimeDelta::days(5)))
        };
        self.all.push(Friendship {
            id: dice.uuid(created),
            requester,
            addressee,
            status,
            created,
            updated,
        });
        if status == Status::Accepted {
            for (user, friend) in [(requester, addressee), (addressee, requester)] {
                if let Some(friends) = self.of_listed.get_mut(user) {
                    friends.push(friend);
                }
            }
        }
    }
}

impl Friendship {
    pub(super) fn cells(&self, id_of: impl Fn(usize) -> Uuid) -> Cells {
        let status = match self.status {
            Status::Accepted => "accepted",
            Status::Pending => "pending",
            Status::Rejected => "rejected",
            Status::Blocked => "blocked",
        };
        vec![
            ("id", self.id.into()),
            ("requester_id", id_of(self.requester).into()),
            ("addressee_id", id_of(self.addressee).into()),
            ("status", status.into()),
            ("created_at", self.created.into()),
            ("updated_at", self.updated.into()),
        ]
    }
}
