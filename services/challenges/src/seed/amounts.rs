//! How many rows there are.

/// Users whom the file of users names. They are full users whatever the scale.
pub(super) const LISTED: usize = 200;
/// Check-ins of a full user, on average.
const FULL_CHECK_INS: i64 = 200;
/// Notifications of a full user, at least.
pub(super) const FULL_NOTICES: usize = 28;
/// Thousandths of a membership of a full user, on average.
const FULL_MEMBERSHIPS: i64 = 9500;

/// How many rows of a table there are for so many users.
struct Growth {
    /// Of 1000 users; fewer users have as many each.
    at_1k: i64,
    /// Of 10 000.
    at_10k: i64,
    /// Of 100 000. More users have as many each.
    at_100k: i64,
}

const CHECK_INS: Growth = Growth {
    at_1k: 1000 * FULL_CHECK_INS,
    at_10k: 250_000,
    at_100k: 400_000,
};
const MEMBERSHIPS: Growth = Growth {
    at_1k: FULL_MEMBERSHIPS,
    at_10k: 45_000,
    at_100k: 150_000,
};
const FRIENDSHIPS: Growth = Growth {
    at_1k: 13_000,
    at_10k: 50_000,
    at_100k: 150_000,
};
const NOTICES: Growth = Growth {
    at_1k: 25_000,
    at_10k: 60_000,
    at_100k: 150_000,
};

impl Growth {
    /// In between on a straight line.
    fn at(&self, users: i64) -> i64 {
        match users {
            ..1000 => self.at_1k * users / 1000,
            1000..10_000 => self.at_1k + (self.at_10k - self.at_1k) * (users - 1000) / 9000,
            10_000..100_000 => {
                self.at_10k + (self.at_100k - self.at_10k) * (users - 10_000) / 90_000
            }
            _ => self.at_100k * (users / 1000) / 100,
        }
    }
}

/// What is wanted of whom.
#[derive(Clone, Copy)]
pub(super) struct Amounts {
    pub(super) users: usize,
    /// Thousandths of a membership of each user that is not listed.
    pub(super) memberships: i64,
    /// Check-ins of all users that are not listed.
    pub(super) check_ins: i64,
    /// All friendships, those that wait too.
    pub(super) friendships: usize,
    /// Notifications of all users that are not listed.
    pub(super) notices: i64,
}

impl Amounts {
    pub(super) fn of(scale: u32) -> Self {
        let listed = LISTED as i64;
        let users = i64::from(scale).max(listed);
        let others = (users - listed).max(1);
        let memberships = MEMBERSHIPS.at(users) * 1000 - FULL_MEMBERSHIPS * listed;
        Self {
            users: users as usize,
            memberships: (memberships / others).max(0),
            check_ins: (CHECK_INS.at(users) - FULL_CHECK_INS * listed).max(0),
            friendships: FRIENDSHIPS.at(users) as usize,
            notices: (NOTICES.at(users) - 30 * listed).max(0),
        }
    }
}

/// What a full user still wants of check-ins, for each membership.
pub(super) fn full_check_ins(memberships: usize) -> i64 {
    FULL_CHECK_INS / (memberships.max(1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_users_do_less_each_but_more_together() {
        let at = [200, 1000, 2000, 10_000, 100_000].map(|users| CHECK_INS.at(users));
        assert_eq!(at, [40_000, 200_000, 205_555, 250_000, 400_000]);
        assert_eq!(MEMBERSHIPS.at(1000), 9500);
        assert_eq!(Amounts::of(1000).memberships, 9500);
        assert_eq!(Amounts::of(0).users, LISTED);
    }
}
