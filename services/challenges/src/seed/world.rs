//! What has been invented, before it is written.

use chrono::{DateTime, SubsecRound as _, Utc};
use service_kit::{seed::Dice, uuid::Uuid};

use super::{
    amounts::Amounts,
    challenge::Kind,
    checkin::{self, CheckIn},
    friends::Friends,
    groups::Groups,
    hitches::{self, Hitch},
    notices::{self, Notice},
    person::Person,
};

/// All rows. They refer to each other by their places.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) people: Vec<Person>,
    pub(super) groups: Groups,
    pub(super) check_ins: Vec<CheckIn>,
    pub(super) friends: Friends,
    pub(super) hitches: Vec<Hitch>,
    pub(super) notices: Vec<Notice>,
}

impl World {
    pub(super) fn new(scale: u32, seed: u64, now: DateTime<Utc>) -> Self {
        // Whole seconds: both databases write them alike.
        let mut dice = Dice::new(seed, now.trunc_subsecs(0));
        let amounts = Amounts::of(scale);
        let people = (0..amounts.users).map(|place| Person::new(&mut dice, place, amounts.users));
        let mut people: Vec<Person> = people.collect();
        let mut groups = Groups::make(&mut dice, &amounts);
        count_completed(&mut people, &groups);
        let check_ins = checkin::make(&mut dice, &amounts, &mut people, &mut groups);
        let friends = Friends::make(&mut dice, &amounts);
        let hitches = hitches::make(&mut dice, &mut groups);
        let mut world = Self {
            dice,
            people,
            groups,
            check_ins,
            friends,
            hitches,
            notices: Vec::new(),
        };
        world.notices = notices::make(&mut world, &amounts);
        world
    }

    /// The id of the user with this place.
    pub(super) fn user(&self, place: usize) -> Uuid {
        self.people[place].id
    }

    /// The id of the challenge with this place.
    pub(super) fn challenge(&self, place: usize) -> Uuid {
        self.groups.challenges[place].id
    }
}

/// Whoever is still a member when a challenge ends well has completed it.
fn count_completed(people: &mut [Person], groups: &Groups) {
    for member in groups.members.iter().filter(|member| member.is_active()) {
        if groups.challenges[member.challenge].kind == Kind::Completed {
            people[member.user].completed += 1;
        }
    }
}
