//! The file of users: who they are and what is theirs, for tests and measurements.

use service_kit::{
    seed::{SeedError, bearer},
    token::Tokens,
    uuid::Uuid,
};

use super::{
    amounts::LISTED,
    challenge::{Challenge, Kind},
    habit,
    member::Member,
    world::World,
};

const HEADER: &str = "user_id,token,email,challenge_id,habit_id,challenge_2,habit_2,\
                      own_challenge_id,own_habit_id,join_code,join_challenge_id,friend_id,\
                      stranger_id,comember_id,comember_challenge_id,comember_habit_id,checkin_id,\
                      notification_id\n";

/// One line for each listed user. Ids, codes and tokens need no quotes.
pub(super) fn text(world: &World, tokens: Option<&Tokens>) -> Result<String, SeedError> {
    let check_ins = first_check_ins(world);
    let notices = newest_unread(world);
    let mut text = HEADER.to_owned();
    for user in 0..LISTED {
        let person = &world.people[user];
        let mut fields = vec![
            person.id.to_string(),
            bearer(tokens, person.id, &person.email)?,
            person.email.clone(),
        ];
        fields.extend(challenges(world, user));
        let friend = world.friends.of_listed[user].first().copied();
        fields.push(text_of(friend.map(|friend| world.user(friend))));
        let stranger = world.friends.strangers[user];
        fields.push(text_of(stranger.map(|stranger| world.user(stranger))));
        fields.extend(comember(world, user));
        fields.push(text_of(check_ins[user]));
        fields.push(text_of(notices[user]));
        text += &fields.join(",");
        text.push('\n');
    }
    Ok(text)
}

fn text_of(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

/// Two challenges that others have made, the user's own, and one to join.
fn challenges(world: &World, user: usize) -> [String; 8] {
    let mut others = of_others(world, user).map(|(_, challenge)| challenge);
    let [challenge, habit] = with_habit(others.next());
    let [second, second_habit] = with_habit(others.next());
    let mut of_user = world.groups.of(user);
    let own =
        of_user.find(|(member, challenge)| member.is_creator() && challenge.kind == Kind::Own);
    let [own, own_habit] = with_habit(own.map(|(_, challenge)| challenge));
    let open = to_join(world, user);
    let code = open.map(|open| open.code.clone()).unwrap_or_default();
    let open = text_of(open.map(|open| open.id));
    [
        challenge,
        habit,
        second,
        second_habit,
        own,
        own_habit,
        code,
        open,
    ]
}

/// Where a user is an active member and may check in, those first in which somebody can be
/// reminded who is not listed.
fn of_others(world: &World, user: usize) -> impl Iterator<Item = (&Member, &Challenge)> {
    let mut all: Vec<_> = world
        .groups
        .of(user)
        .filter(|(member, challenge)| {
            member.is_active() && !member.is_creator() && challenge.kind == Kind::Running
        })
        .collect();
    all.sort_by_key(|(_, challenge)| {
        idle(world, challenge, user).is_none_or(|comember| comember.user < LISTED)
    });
    all.into_iter()
}

/// Another active member who has not checked in today, if possible one who is not listed.
fn idle<'w>(world: &'w World, challenge: &'w Challenge, user: usize) -> Option<&'w Member> {
    let today = world.dice.now().date_naive();
    let members = challenge.members.iter();
    let members = members.map(|member| &world.groups.members[*member]);
    members
        .filter(|member| member.user != user && member.is_active())
        .filter(|member| member.streak.now.day() != Some(today))
        .min_by_key(|member| member.user < LISTED)
}

fn with_habit(challenge: Option<&Challenge>) -> [String; 2] {
    let habit = challenge.map(|challenge| habit::id(challenge.habits[0].habit));
    [
        text_of(challenge.map(|challenge| challenge.id)),
        text_of(habit),
    ]
}

/// The own challenge of the next listed user that this one has nothing to do with.
fn to_join(world: &World, user: usize) -> Option<&Challenge> {
    // Those come first, one for each listed user.
    let mut next = (1..LISTED).map(|step| (user + step) % LISTED);
    let place = next.find(|place| !world.groups.has(*place, user))?;
    Some(&world.groups.challenges[place])
}

/// Who can be reminded, where and of what.
fn comember(world: &World, user: usize) -> [String; 3] {
    let Some((_, challenge)) = of_others(world, user).next() else {
        return Default::default();
    };
    let comember = idle(world, challenge, user);
    let [challenge, habit] = with_habit(Some(challenge));
    [
        text_of(comember.map(|comember| world.user(comember.user))),
        challenge,
        habit,
    ]
}

/// The first check-in of each listed user.
fn first_check_ins(world: &World) -> Vec<Option<Uuid>> {
    let mut first = vec![None; LISTED];
    for check_in in &world.check_ins {
        let user = world.groups.members[check_in.member].user;
        if let Some(first) = first.get_mut(user) {
            first.get_or_insert(check_in.id);
        }
    }
    first
}

/// The newest unread notification of each listed user.
fn newest_unread(world: &World) -> Vec<Option<Uuid>> {
    let mut newest = vec![None; LISTED];
    for notice in world.notices.iter().filter(|notice| notice.read.is_none()) {
        if let Some(newest) = newest.get_mut(notice.user) {
            *newest = Some(notice.id);
        }
    }
    newest
}
