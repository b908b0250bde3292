//! Reminding others.

use serde_json::{Value, json};

use crate::running::{Answer, Running, habit, text, user, wrong};

fn hitch(
    service: &Running,
    number: u8,
    challenge: &Value,
    habit_number: u8,
    targets: &[u8],
) -> Answer {
    let targets: Vec<_> = targets.iter().map(|target| user(*target)).collect();
    let body = json!({
        "challenge_id": challenge["id"], "habit_id": habit(habit_number), "target_user_ids": targets,
    });
    service.post_by(number, "/hitch/", &body)
}

fn code(answer: &Answer, status: u16) -> String {
    text(&answer.expect(status)["detail"]["error"]).to_owned()
}

fn with_members() -> (Running, Value) {
    let service = Running::new();
    let challenge = service.challenge(1, &[1, 2]);
    for number in 2..=5 {
        service.join(number, &challenge).expect(200);
    }
    (service, challenge)
}

#[test]
fn a_call_costs_one_hitch_and_reminds_those_who_have_not_kept_the_habit() {
    let (service, challenge) = with_members();
    service.check_in(2, &challenge, 1).expect(201);
    let sent = hitch(&service, 1, &challenge, 1, &[2, 3, 4, 4, 6]).expect(200);
    assert_eq!(
        (&sent["hitches_sent"], &sent["remaining_hitches"]),
        (&json!(2), &json!(1))
    );
    let told = service.get_by(3, "/notifications/").expect(200);
    assert_eq!(told["items"][0]["title"], "Reminder: Check-in needed! 🔔");
    assert_eq!(
        told["items"][0]["body"],
        "user1 reminds you of 'Morning Exercise' in 'Early birds'"
    );
    assert_eq!(told["items"][0]["data"]["habit_name"], "Morning Exercise");
    assert_eq!(service.get_by(2, "/notifications/").expect(200)["total"], 0);
    let again = hitch(&service, 1, &challenge, 1, &[2, 3, 4]);
    assert_eq!(code(&again, 400), "no_valid_targets");
    let other = hitch(&service, 1, &challenge, 2, &[3]).expect(200);
    assert_eq!(other["remaining_hitches"], 0);
    assert_eq!(
        code(&hitch(&service, 1, &challenge, 2, &[4]), 400),
        "no_hitches_remaining"
    );
    let detail = service
        .get_by(1, &format!("/challenges/{}/", text(&challenge["id"])))
        .expect(200);
    assert_eq!(detail["my_stats"]["hitch_count"], 0);
}

#[test]
fn who_may_not_hitch_is_told_why() {
    let (service, challenge) = with_members();
    assert_eq!(
        code(&hitch(&service, 1, &challenge, 1, &[1, 2]), 400),
        "invalid_target"
    );
    assert_eq!(
        code(&hitch(&service, 6, &challenge, 1, &[1]), 403),
        "not_a_member"
    );
    assert_eq!(
        code(&hitch(&service, 1, &challenge, 3, &[2]), 404),
        "habit_not_found"
    );
    let nothing = json!({ "id": user(0) });
    assert_eq!(
        code(&hitch(&service, 1, &nothing, 1, &[2]), 404),
        "challenge_not_found"
    );
    let leave = format!("/challenges/{}/leave/", text(&challenge["id"]));
    service.post_by(2, &leave, &json!({})).expect(200);
    assert_eq!(
        code(&hitch(&service, 2, &challenge, 1, &[1]), 403),
        "not_a_member"
    );
    assert_eq!(
        code(&hitch(&service, 1, &challenge, 1, &[2]), 400),
        "no_valid_targets"
    );
    assert_eq!(
        wrong(&hitch(&service, 1, &challenge, 1, &[])),
        ["body.target_user_ids"]
    );
    assert_eq!(
        wrong(&hitch(&service, 1, &challenge, 1, &[2; 11])),
        ["body.target_user_ids"]
    );
    let spent: i64 = service.value("SELECT min(hitch_count) FROM challenge_members");
    assert_eq!(spent, 2);
}
