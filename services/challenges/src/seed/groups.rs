//! Who takes part in which challenges.

use service_kit::seed::Dice;

use super::{
    amounts::{Amounts, LISTED},
    challenge::{Challenge, Codes, Kind, Wanted},
    member::{Member, Status},
};

/// Tries to find somebody a challenge that he is not in.
const TRIES: usize = 50;

/// Challenges and their members.
pub(super) struct Groups {
    pub(super) challenges: Vec<Challenge>,
    pub(super) members: Vec<Member>,
    /// For each user, the places of memberships.
    pub(super) of_user: Vec<Vec<usize>>,
    codes: Codes,
    /// For each user, how many challenges are theirs.
    made: Vec<usize>,
}

/// How many challenges of each kind a user takes part in.
struct Slots {
    running: usize,
    completed: usize,
    failed: usize,
    pending: usize,
    left: usize,
}

impl Groups {
    pub(super) fn make(dice: &mut Dice, amounts: &Amounts) -> Self {
        let mut groups = Self {
            challenges: Vec::new(),
            members: Vec::new(),
            of_user: vec![Vec::new(); amounts.users],
            codes: Codes::default(),
            made: vec![0; amounts.users],
        };
        groups.own(dice);
        let slots: Vec<Slots> = (0..amounts.users)
            .map(|user| Slots::of(dice, user, amounts))
            .collect();
        let of = |slot: fn(&Slots) -> usize| slots.iter().map(slot).collect::<Vec<_>>();
        groups.rounds(dice, Kind::Running, &of(|slots| slots.running));
        groups.rounds(dice, Kind::Completed, &of(|slots| slots.completed));
        groups.rounds(dice, Kind::Failed, &of(|slots| slots.failed));
        groups.rounds(dice, Kind::Pending, &of(|slots| slots.pending));
        groups.leave(dice, &of(|slots| slots.left));
        groups
    }

    /// One for each listed user, with a few others.
    fn own(&mut self, dice: &mut Dice) {
        let users = self.of_user.len();
        for creator in 0..LISTED {
            let others = 1 + dice.below(4);
            let mut group = vec![creator];
            let drawn = dice.distinct(others + 1, users).into_iter();
            let drawn = drawn.map(|number| number as usize - 1);
            group.extend(drawn.filter(|user| *user != creator).take(others));
            self.group(dice, Kind::Own, creator, &group);
        }
    }

    /// In each round a user takes part once, so that nobody is in a challenge twice.
    fn rounds(&mut self, dice: &mut Dice, kind: Kind, slots: &[usize]) {
        let rounds = slots.iter().copied().max().unwrap_or(0);
        for round in 0..rounds {
            let mut users: Vec<usize> = (0..slots.len())
                .filter(|user| slots[*user] > round)
                .collect();
            dice.shuffle(&mut users);
            let mut rest = users.as_slice();
            while !rest.is_empty() {
                let (group, others) = rest.split_at(size(dice, rest.len()));
                if let Some(creator) = self.creator(group) {
                    self.group(dice, kind, creator, group);
                }
                rest = others;
            }
        }
    }

    /// One who is not listed, if there is one, with as few challenges as possible: listed users
    /// need some that others have made.
    fn creator(&self, group: &[usize]) -> Option<usize> {
        let users = group.iter().copied();
        users.min_by_key(|user| (*user < LISTED, self.made[*user]))
    }

    fn group(&mut self, dice: &mut Dice, kind: Kind, creator: usize, group: &[usize]) {
        let wanted = Wanted {
            kind,
            creator,
            is_listed: group.iter().any(|user| *user < LISTED),
            active: group.len() as i64,
        };
        let challenge = Challenge::new(dice, &mut self.codes, &wanted);
        self.made[creator] += 1;
        self.challenges.push(challenge);
        let place = self.challenges.len() - 1;
        for user in group {
            self.add(dice, place, *user, Status::Active);
        }
    }

    fn add(&mut self, dice: &mut Dice, place: usize, user: usize, status: Status) {
        let challenge = &mut self.challenges[place];
        let member = Member::new(dice, (place, challenge), user, status);
        let number = self.members.len();
        challenge.members.push(number);
        challenge.active += i64::from(member.is_active());
        self.of_user[user].push(number);
        self.members.push(member);
    }

    /// Those who have left a running challenge, or were thrown out of it.
    fn leave(&mut self, dice: &mut Dice, slots: &[usize]) {
        let running: Vec<usize> = (0..self.challenges.len())
            .filter(|place| self.challenges[*place].kind == Kind::Running)
            .collect();
        for (user, times) in slots.iter().enumerate() {
            for _ in 0..*times {
                let mut tries = (0..TRIES).map(|_| dice.pick(&running));
                let Some(place) = tries.find(|place| !self.has(*place, user)) else {
                    continue;
                };
                let status = if user >= LISTED && dice.percent(5) {
                    Status::Kicked
                } else {
                    Status::Left
                };
                self.add(dice, place, user, status);
            }
        }
    }

    /// Whether a user is or was in a challenge.
    pub(super) fn has(&self, challenge: usize, user: usize) -> bool {
        let members = self.challenges[challenge].members.iter();
        members
            .copied()
            .any(|member| self.members[member].user == user)
    }

    /// The memberships of a user with their challenges.
    pub(super) fn of(&self, user: usize) -> impl Iterator<Item = (&Member, &Challenge)> {
        self.of_user[user].iter().map(|number| {
            let member = &self.members[*number];
            (member, &self.challenges[member.challenge])
        })
    }
}

impl Slots {
    fn of(dice: &mut Dice, user: usize, amounts: &Amounts) -> Self {
        if user < LISTED {
            return Self {
                running: 5 + dice.below(2),
                completed: 1 + dice.below(2),
                failed: dice.below(2),
                pending: dice.below(2),
                left: 1,
            };
        }
        let thousandths = amounts.memberships * dice.number(400..=1600) / 1000;
        Self {
            running: amount(dice, thousandths * 56 / 100),
            completed: amount(dice, thousandths * 23 / 100),
            failed: amount(dice, thousandths * 5 / 100),
            pending: amount(dice, thousandths * 4 / 100),
            left: amount(dice, thousandths * 12 / 100),
        }
    }
}

/// A whole number that is so many thousandths on average.
fn amount(dice: &mut Dice, thousandths: i64) -> usize {
    let more = dice.number(0..=999) < thousandths % 1000;
    (thousandths / 1000) as usize + usize::from(more)
}

/// The size of the next group. None is too small, where there are enough; none above 50.
fn size(dice: &mut Dice, left: usize) -> usize {
    const FEWEST: usize = 4;
    let wanted = match dice.weighted(&[40, 35, 25]) {
        0 => FEWEST + dice.below(7),
        1 => 10 + dice.below(11),
        _ => 20 + dice.below(21),
    };
    if left < wanted + FEWEST { left } else { wanted }
}
