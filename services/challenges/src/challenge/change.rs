//! Changing a challenge. When it begins or is completed, its members are told.

use axum::{Json, extract::State as FromState};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use service_kit::{
    body::Body,
    clock::now,
    database::{Text, Transaction, query},
    fields::{bound_any, check, required, within},
    problem::{Fields, Problem},
    text,
    uuid::Uuid,
};
use speedwell_cache::Write;

use super::{
    detail::{ChallengeDetail, detail_of},
    record::{LONGEST_DESCRIPTION, LONGEST_NAME, MOST_MEMBERS, STATUSES, unknown},
};
use crate::{
    app::State,
    cached,
    caller::Caller,
    day::AskedZone,
    notification::{Kind, Note, tell},
    path::PathId,
};

/// What to change; null and what is left out stay.
#[derive(Default, Deserialize, utoipa::ToSchema)]
pub(crate) struct ChallengeChange {
    #[schema(max_length = 200, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    name: Option<String>,
    #[schema(max_length = 2000, pattern = r"^[^\x00]*$")]
    description: Option<String>,
    #[schema(pattern = "^(pending|active|completed|failed|archived)$")]
    status: Option<String>,
    /// Not fewer than there are.
    #[schema(minimum = 1, maximum = 50)]
    max_members: Option<i64>,
    is_public: Option<bool>,
}

/// `$1` challenge, `$2` caller. The challenge is locked: of two changes of its status each
/// finds what the other left.
pub(crate) const FIND: Text = text!(
    "
SELECT c.name, c.status, c.member_count,
    (SELECT m.role FROM challenge_members AS m WHERE m.challenge_id = c.id AND m.user_id = $2 AND m.status = 'active')
FROM challenges AS c
WHERE c.id = $1"
    { "" | "
FOR NO KEY UPDATE" });

pub(crate) const CHANGE: &str = "
UPDATE challenges
SET name = coalesce($2, name),
    description = coalesce($3, description),
    status = coalesce($4, status),
    max_members = coalesce($5, max_members),
    is_public = coalesce($6, is_public),
    updated_at = $7
WHERE id = $1";

/// Those who take part, in the order of their ids: others lock them in the same one.
pub(crate) const TAKING_PART: Text = text!(
    "
SELECT p.id
FROM challenge_members AS m
JOIN user_profiles AS p ON p.id = m.user_id
WHERE m.challenge_id = $1
  AND m.status = 'active'
ORDER BY p.id"
    { "" | "
FOR NO KEY UPDATE OF p" });

/// `$1` who, `$2` 1 or -1.
pub(crate) const COUNT_COMPLETED: Text = text!(
    "
UPDATE user_profiles
SET total_challenges_completed = total_challenges_completed + $2
WHERE id "
    { "IN (SELECT value FROM json_each($1))" | "= ANY($1)" }
    "
  AND total_challenges_completed + $2 >= 0");

/// Change a challenge
///
/// Its creator and its administrators may.
#[utoipa::path(patch, path = "/api/v1/challenges/{id}/", tag = "challenges", security(("bearer" = [])), params(
    ("id" = Uuid, Path, description = "The challenge"),
), request_body = ChallengeChange, responses(
    (status = 200, description = "The challenge as it is now", body = ChallengeDetail),
    (status = 400, description = "There is nothing to change, or there are more members already"),
    (status = 403, description = "The caller is neither its creator nor an administrator"),
    (status = 404, description = "There is no such challenge"),
))]
#[tracing::instrument(name = "challenges.change", skip_all)]
pub(crate) async fn change(
    FromState(state): FromState<State>,
    caller: Caller,
    PathId(id): PathId,
    zone: AskedZone,
    Body(asked): Body<ChallengeChange>,
) -> Result<Json<ChallengeDetail>, Problem> {
    let change = Change::read(asked)?;
    let database = state.database.clone();
    let write = move |write: Write| async move {
        let mut tx = database.begin().await?;
        let counted = change.carry_out(&mut tx, id, caller).await?;
        tx.commit().await?;
        cached::also_members_of(&write, &database, id, counted).await;
        Ok(())
    };
    cached::write(&state.cache, [cached::lists(caller.id)], write).await?;
    Ok(Json(detail_of(&state, caller, id, zone).await?))
}

struct Change {
    name: Option<String>,
    description: Option<String>,
    status: Option<&'static str>,
    max_members: Option<i64>,
    is_public: Option<bool>,
}

impl Change {
    fn read(asked: ChallengeChange) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let name = asked.name;
        let name = name.map(|name| required("name", Some(name), LONGEST_NAME, &mut fields));
        let description = asked.description.as_deref();
        bound_any("description", description, LONGEST_DESCRIPTION, &mut fields);
        let status = asked
            .status
            .and_then(|status| status_named(&status, &mut fields));
        let max_members = asked.max_members.map(|most| {
            within(
                "max_members",
                Some(most),
                most,
                1..=MOST_MEMBERS,
                &mut fields,
            )
        });
        check(fields)?;
        let change = Self {
            name,
            description: asked.description,
            status,
            max_members,
            is_public: asked.is_public,
        };
        match change.is_empty() {
            true => Err(Problem::refused("No fields to update")),
            false => Ok(change),
        }
    }

    fn is_empty(&self) -> bool {
        self.name.is_none()
            && self.description.is_none()
            && self.status.is_none()
            && self.max_members.is_none()
            && self.is_public.is_none()
    }

    /// Says whether numbers of its members changed.
    async fn carry_out(
        &self,
        tx: &mut Transaction,
        id: Uuid,
        caller: Caller,
    ) -> Result<bool, Problem> {
        let now = now();
        let found: Option<(String, String, i64, Option<String>)> = query(FIND)
            .bind(id)
            .bind(caller.id)
            .fetch_optional(&mut *tx)
            .await?;
        let (name, status, members, role) = found.ok_or_else(unknown)?;
        if !matches!(role.as_deref(), Some("creator" | "admin")) {
            return Err(Problem::forbidden(
                "Only the creator or an admin can change the challenge",
            ));
        }
        if self.max_members.is_some_and(|most| most < members) {
            let why = format!("The challenge has {members} members already");
            return Err(Problem::refused(why));
        }
        query(CHANGE)
            .bind(id)
            .bind(self.name.as_deref())
            .bind(self.description.as_deref())
            .bind(self.status)
            .bind(self.max_members)
            .bind(self.is_public)
            .bind(now)
            .execute(&mut *tx)
            .await?;
        let name = self.name.as_deref().unwrap_or(&name);
        match self.status {
            Some(new) if new != status => follow(tx, id, (&status, new), name, caller, now).await,
            _ => Ok(false),
        }
    }
}

fn status_named(text: &str, fields: &mut Fields) -> Option<&'static str> {
    let status = STATUSES.into_iter().find(|status| *status == text);
    if status.is_none() {
        let message = format!("must be one of {}", STATUSES.join(", "));
        fields.insert("status".to_owned(), message);
    }
    status
}

/// What follows from another status: completed challenges are counted once, and members are told.
async fn follow(
    tx: &mut Transaction,
    id: Uuid,
    (old, new): (&str, &str),
    name: &str,
    caller: Caller,
    now: DateTime<Utc>,
) -> Result<bool, Problem> {
    let more = i64::from(new == "completed") - i64::from(old == "completed");
    let note = match new {
        "active" if old == "pending" => Some((
            Kind::ChallengeStarted,
            "Challenge started!",
            format!("'{name}' has started"),
        )),
        "completed" => Some((
            Kind::ChallengeCompleted,
            "Challenge completed!",
            format!("'{name}' is completed"),
        )),
        _ => None,
    };
    if more == 0 && note.is_none() {
        return Ok(false);
    }
    let members: Vec<(Uuid,)> = query(TAKING_PART).bind(id).fetch_all(&mut *tx).await?;
    let members: Vec<Uuid> = members.into_iter().map(|(member,)| member).collect();
    if more != 0 {
        let count = query(COUNT_COMPLETED).bind(members.clone()).bind(more);
        count.execute(&mut *tx).await?;
    }
    if let Some((kind, title, body)) = note {
        let others = members.into_iter().filter(|member| *member != caller.id);
        let note = |member| {
            Note::new(member, kind)
                .says(title, body.clone())
                .leads_to(format!("/challenges/{id}"))
                .with("challenge_id", id)
        };
        tell(tx, others.map(note).collect(), now).await?;
    }
    Ok(more != 0)
}
