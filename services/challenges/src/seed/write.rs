//! From invented rows to the database.

use service_kit::{
    database::Transaction,
    seed::{Aside, Tables, insert},
    uuid::Uuid,
};

use super::world::World;

/// Habits stay; those that users have made go with them.
pub(super) const TABLES: Tables = Tables {
    users: "accounts",
    emptied: &[
        "media",
        "notifications",
        "hitch_log",
        "check_ins",
        "challenge_members",
        "challenge_habits",
        "challenges",
        "friendships",
    ],
    deleted: &["user_profiles", "accounts"],
};

/// What is built once at the end instead of row by row.
pub(super) const ASIDE: Aside = Aside {
    sqlite: &[
        "challenge_members_joined",
        "challenge_members_user",
        "check_ins_day",
        "friendships_addressee",
        "friendships_pair",
        "friendships_requester",
        "idx_challenge_members_user_status",
        "idx_challenges_status_created",
        "idx_checkins_user_date",
        "idx_notifications_user_unread",
        "notifications_user",
        "people_search_delete",
        "people_search_insert",
        "people_search_update",
    ],
    postgres: &[
        "challenge_members_joined",
        "challenge_members_user",
        "check_ins_day",
        "friendships_addressee",
        "friendships_pair",
        "friendships_requester",
        "idx_challenge_members_user_status",
        "idx_challenges_status_created",
        "idx_checkins_user_date",
        "idx_notifications_user_unread",
        "notifications_user",
        "user_profiles_created",
        "user_profiles_search",
    ],
    catch_up: Some("INSERT INTO people_search (people_search) VALUES ('rebuild')"),
};

pub(super) async fn people(
    tx: &mut Transaction,
    world: &World,
    password_hash: &str,
) -> Result<(), sqlx::Error> {
    let people = world.people.iter();
    let accounts = people.clone().map(|person| person.account(password_hash));
    insert(tx, "accounts", accounts).await?;
    insert(tx, "user_profiles", people.map(|person| person.profile())).await
}

pub(super) async fn challenges(tx: &mut Transaction, world: &World) -> Result<(), sqlx::Error> {
    let groups = &world.groups;
    let challenges = sorted(&groups.challenges, |challenge| challenge.id).into_iter();
    let rows = challenges.map(|challenge| challenge.cells(world.user(challenge.creator)));
    insert(tx, "challenges", rows).await?;
    let habits = groups.challenges.iter().flat_map(|challenge| {
        let habits = challenge.habits.iter().zip(0_i64..);
        habits.map(|(asked, order)| (challenge.id, asked, order))
    });
    let mut habits: Vec<_> = habits.collect();
    habits.sort_unstable_by_key(|(_, asked, _)| asked.id);
    let rows = habits
        .into_iter()
        .map(|(challenge, asked, order)| asked.cells(challenge, order));
    insert(tx, "challenge_habits", rows).await?;
    let members = sorted(&groups.members, |member| member.id).into_iter();
    let rows = members.map(|member| {
        let challenge = world.challenge(member.challenge);
        member.cells(challenge, world.user(member.user))
    });
    insert(tx, "challenge_members", rows).await
}

/// In the order of their ids, so that they are put at the end of that index.
fn sorted<T>(rows: &[T], id: impl Fn(&T) -> Uuid) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_unstable_by_key(|row| id(row));
    rows
}

pub(super) async fn check_ins(tx: &mut Transaction, world: &World) -> Result<(), sqlx::Error> {
    let rows = world.check_ins.iter().map(|check_in| {
        let member = &world.groups.members[check_in.member];
        let challenge = world.challenge(member.challenge);
        check_in.cells(challenge, world.user(member.user))
    });
    insert(tx, "check_ins", rows).await
}

pub(super) async fn friends(tx: &mut Transaction, world: &World) -> Result<(), sqlx::Error> {
    let friendships = world.friends.all.iter();
    let rows = friendships.map(|friendship| friendship.cells(|place| world.user(place)));
    insert(tx, "friendships", rows).await
}

pub(super) async fn told(tx: &mut Transaction, world: &World) -> Result<(), sqlx::Error> {
    let hitches = world.hitches.iter().map(|hitch| {
        let challenge = world.challenge(hitch.challenge);
        hitch.cells(challenge, |place| world.user(place))
    });
    insert(tx, "hitch_log", hitches).await?;
    let notices = world.notices.iter().map(|notice| notice.cells(world));
    insert(tx, "notifications", notices).await
}
