//! Many at once: nothing is counted twice, and the last place goes to one.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use chrono::NaiveDate;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use service_kit::{database::query, uuid::Uuid};

use crate::running::{Running, habit, text, user};

/// How many of so many requests at once get this status; the others get 400.
fn at_once(count: u8, status: u16, request: impl Fn(u8) -> u16 + Sync) -> usize {
    let won = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..count {
            let (won, request) = (&won, &request);
            scope.spawn(move || match request(number) {
                answered if answered == status => {
                    won.fetch_add(1, Ordering::Relaxed);
                }
                answered => assert_eq!(answered, 400),
            });
        }
    });
    won.into_inner()
}

#[test]
fn of_fifty_who_join_for_the_last_place_one_gets_it() {
    let service = Running::new();
    for number in 100..150 {
        service.add(user(number), &format!("joiner{number}"));
    }
    let challenge = service.challenge(1, &[1]);
    let path = format!("/challenges/{}/", text(&challenge["id"]));
    service
        .patch_by(1, &path, &json!({ "max_members": 2 }))
        .expect(200);
    let joined = at_once(50, 200, |number| {
        service.join(100 + number, &challenge).status
    });
    assert_eq!(joined, 1);
    let detail = service.get_by(1, &path).expect(200);
    assert_eq!(
        (
            &detail["member_count"],
            detail["members"].as_array().unwrap().len()
        ),
        (&json!(2), 2)
    );
}

#[test]
fn of_simultaneous_joins_check_ins_and_leaves_of_one_user_one_counts() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    assert_eq!(at_once(8, 200, |_| service.join(2, &challenge).status), 1);
    assert_eq!(
        at_once(8, 201, |_| service.check_in(2, &challenge, 1).status),
        1
    );
    let stats = service.get_by(2, "/users/me/stats/").expect(200);
    assert_eq!(
        (&stats["total_check_ins"], &stats["points"]),
        (&json!(1), &json!(10))
    );
    let leave = format!("/challenges/{}/leave/", text(&challenge["id"]));
    assert_eq!(
        at_once(8, 200, |_| service.post_by(2, &leave, &json!({})).status),
        1
    );
    let detail = service
        .get_by(1, &format!("/challenges/{}/", text(&challenge["id"])))
        .expect(200);
    assert_eq!(detail["member_count"], 1);
}

#[test]
fn of_two_who_ask_each_other_at_once_one_asks() {
    let service = Running::new();
    let ask = |one: u8, other: u8| {
        service
            .post_by(
                one,
                "/friends/request/",
                &json!({ "addressee_id": user(other) }),
            )
            .status
    };
    let asked = at_once(8, 201, |number| match number % 2 {
        0 => ask(1, 2),
        _ => ask(2, 1),
    });
    assert_eq!(asked, 1);
    let rows: i64 = service.value("SELECT count(*) FROM friendships");
    assert_eq!(rows, 1);
}

#[test]
fn hitches_are_not_spent_twice() {
    let service = Running::new();
    let challenge = service.challenge(1, &[1]);
    for number in 2..=6 {
        service.join(number, &challenge).expect(200);
    }
    let hitch = |target: u8| {
        let body = json!({
            "challenge_id": challenge["id"], "habit_id": habit(1), "target_user_ids": [user(target)],
        });
        service.post_by(1, "/hitch/", &body).status
    };
    assert_eq!(at_once(5, 200, |number| hitch(2 + number)), 2);
    let left: i64 =
        service.value("SELECT hitch_count FROM challenge_members WHERE role = 'creator'");
    let sent: i64 =
        service.value("SELECT count(*) FROM notifications WHERE type = 'hitch_reminder'");
    assert_eq!((left, sent), (0, 2));
}

/// What a user does next.
fn act(
    service: &Running,
    random: &mut StdRng,
    number: u8,
    challenges: &[Value],
    made: &mut Vec<Value>,
) {
    let challenge = challenges.choose(random).unwrap();
    let answer = match random.random_range(0..10) {
        0 | 1 => service.join(number, challenge),
        2 => {
            let leave = format!("/challenges/{}/leave/", text(&challenge["id"]));
            service.post_by(number, &leave, &json!({}))
        }
        3 if !made.is_empty() => {
            let one = made.swap_remove(random.random_range(0..made.len()));
            service.delete_by(number, &format!("/checkins/{}/", text(&one)))
        }
        4 => {
            let status = ["completed", "active", "active"].choose(random).unwrap();
            let path = format!("/challenges/{}/", text(&challenge["id"]));
            service.patch_by(number, &path, &json!({ "status": status }))
        }
        5 => service.get_by(number, "/challenges/"),
        _ => {
            let answer = service.check_in(number, challenge, random.random_range(1..=2));
            if answer.status == 201 {
                made.push(answer.json()["checkin"]["id"].clone());
            }
            answer
        }
    };
    assert!(answer.status < 500, "{}", answer.text);
}

#[test]
fn after_a_random_time_all_counters_are_what_a_recount_gives() {
    let service = Running::new();
    let challenges: Vec<Value> = (1..=4)
        .map(|number| service.challenge(number, &[1, 2]))
        .collect();
    let seed: u64 = std::env::var("SPEEDWELL_SEED")
        .map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    #[allow(clippy::print_stdout)]
    {
        println!("SPEEDWELL_SEED={seed}");
    }
    for round in 0..4 {
        thread::scope(|scope| {
            for number in 1..=6 {
                let (service, challenges) = (&service, &challenges);
                scope.spawn(move || {
                    let mut random = StdRng::seed_from_u64(seed ^ u64::from(number) << 32 ^ round);
                    let mut made = Vec::new();
                    for _ in 0..40 {
                        act(service, &mut random, number, challenges, &mut made);
                    }
                });
            }
        });
        recount(&service);
        service.days_pass(1 + u32::from(round == 2));
    }
}

/// Compares every counter with the rows that it counts.
fn recount(service: &Running) {
    for (what, text) in [
        (
            "members",
            "SELECT count(*) FROM challenges AS c WHERE c.member_count <> (SELECT count(*) FROM challenge_members AS m WHERE m.challenge_id = c.id AND m.status = 'active')",
        ),
        (
            "check-ins of members",
            "SELECT count(*) FROM challenge_members AS m WHERE m.total_checkins <> (SELECT count(*) FROM check_ins AS k WHERE k.challenge_id = m.challenge_id AND k.user_id = m.user_id)",
        ),
        (
            "points of members",
            "SELECT count(*) FROM challenge_members AS m WHERE m.points_earned <> (SELECT coalesce(sum(k.points), 0) FROM check_ins AS k WHERE k.challenge_id = m.challenge_id AND k.user_id = m.user_id)",
        ),
        (
            "check-ins of habits",
            "SELECT count(*) FROM challenge_habits AS h WHERE h.total_checkins <> (SELECT count(*) FROM check_ins AS k WHERE k.challenge_id = h.challenge_id AND k.habit_id = h.habit_id)",
        ),
        (
            "check-ins of profiles",
            "SELECT count(*) FROM user_profiles AS p WHERE p.total_check_ins <> (SELECT count(*) FROM check_ins AS k WHERE k.user_id = p.id)",
        ),
        (
            "points of profiles",
            "SELECT count(*) FROM user_profiles AS p WHERE p.points <> (SELECT coalesce(sum(k.points), 0) FROM check_ins AS k WHERE k.user_id = p.id)",
        ),
    ] {
        let wrong: i64 = service.value(text);
        assert_eq!(wrong, 0, "{what}");
    }
    let days: Vec<(Uuid, Uuid, NaiveDate)> = service.rows(query(
        "SELECT DISTINCT k.challenge_id, k.user_id, k.checkin_date FROM check_ins AS k ORDER BY 3",
    ));
    let mut of_members: BTreeMap<(Uuid, Uuid), Vec<NaiveDate>> = BTreeMap::new();
    let mut of_profiles: BTreeMap<Uuid, Vec<NaiveDate>> = BTreeMap::new();
    for (challenge, user, day) in days {
        of_members.entry((challenge, user)).or_default().push(day);
        of_profiles.entry(user).or_default().push(day);
    }
    let members: Vec<(Uuid, Uuid, i64, i64, Option<NaiveDate>)> = service.rows(query("SELECT m.challenge_id, m.user_id, m.current_streak, m.longest_streak, m.last_checkin_date FROM challenge_members AS m"));
    for (challenge, user, current, longest, last) in members {
        let days = of_members
            .get(&(challenge, user))
            .cloned()
            .unwrap_or_default();
        assert_eq!(
            (current, longest, last),
            counted(&days),
            "{challenge} {user}"
        );
    }
    let profiles: Vec<(Uuid, i64, i64, Option<NaiveDate>)> = service.rows(query("SELECT p.id, p.current_streak, p.longest_streak, p.last_checkin_date FROM user_profiles AS p"));
    for (user, current, longest, last) in profiles {
        let mut days = of_profiles.get(&user).cloned().unwrap_or_default();
        days.dedup();
        assert_eq!((current, longest, last), counted(&days), "{user}");
    }
}

/// The streak that ends with the last of these days, the longest one, the last day.
fn counted(days: &[NaiveDate]) -> (i64, i64, Option<NaiveDate>) {
    let (mut current, mut longest, mut last) = (0, 0, None);
    for day in days {
        current = if last == day.pred_opt() {
            current + 1
        } else {
            1
        };
        longest = longest.max(current);
        last = Some(*day);
    }
    (current, longest, last)
}
