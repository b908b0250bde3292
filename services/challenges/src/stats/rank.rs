//! The members of a challenge with their numbers and ranks, as they are now.

use std::cmp::Reverse;

use service_kit::{
    clock::now,
    database::{Database, query},
    uuid::Uuid,
};

use crate::{
    challenge::{Access, completion},
    membership::{MEMBERS, MOST_SHOWN, MemberRow},
};

/// A member with what counts.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    pub(super) user_id: Uuid,
    pub(super) display_name: String,
    pub(super) avatar_url: Option<String>,
    pub(super) is_active: bool,
    pub(super) points: i64,
    pub(super) streak: i64,
    pub(super) checkins: i64,
    /// In per cent.
    pub(super) completion: f64,
    /// By points, then by streak; who has the same of both has the same rank.
    pub(super) rank: usize,
}

/// Members of a challenge by points, the best first. Who has left or was sent away counts, who
/// waits does not.
pub(super) async fn ranked(
    database: &Database,
    access: &Access,
) -> Result<Vec<Ranked>, sqlx::Error> {
    let challenge = &access.challenge;
    let rows: Vec<MemberRow> = query(MEMBERS)
        .bind(challenge.challenge_id)
        .bind(MOST_SHOWN)
        .fetch_all(database.read())
        .await?;
    let (now, habits) = (now(), access.habits.len() as i64);
    let took_part = rows.into_iter().filter(|row| row.status != "pending");
    let mut members: Vec<_> = took_part
        .map(|row| {
            let stats = row.stats(now);
            let completion = completion(stats.total_checkins, challenge.duration_days, habits);
            Ranked {
                user_id: row.user_id,
                display_name: row.display_name,
                avatar_url: row.avatar_url,
                is_active: row.status == "active",
                points: stats.points_earned,
                streak: stats.current_streak,
                checkins: stats.total_checkins,
                completion,
                rank: 0,
            }
        })
        .collect();
    rank(&mut members);
    Ok(members)
}

/// Puts members in order and gives them ranks, with gaps after equal ones. Those who are equal
/// stay in the order of their joining.
fn rank(members: &mut [Ranked]) {
    let key = |member: &Ranked| Reverse((member.points, member.streak));
    members.sort_by_key(key);
    for place in 0..members.len() {
        let same = place > 0 && key(&members[place - 1]) == key(&members[place]);
        members[place].rank = match same {
            true => members[place - 1].rank,
            false => place + 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_members_share_a_rank_and_leave_a_gap() {
        let member = |points, streak| Ranked {
            user_id: Uuid::new(),
            display_name: String::new(),
            avatar_url: None,
            is_active: true,
            points,
            streak,
            checkins: 0,
            completion: 0.0,
            rank: 0,
        };
        let mut members = [
            member(10, 1),
            member(30, 1),
            member(30, 2),
            member(30, 1),
            member(0, 9),
        ];
        rank(&mut members);
        let ranks: Vec<_> = members.iter().map(|one| (one.points, one.rank)).collect();
        assert_eq!(ranks, [(30, 1), (30, 2), (30, 2), (10, 4), (0, 5)]);
    }
}
