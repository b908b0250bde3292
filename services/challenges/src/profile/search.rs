//! Finding people by name or address.

use axum::{Json, extract::State as FromState};
use serde::Serialize;
use service_kit::{
    database::{Dialect, Text, query},
    fields::within,
    partial::{pattern, phrase},
    problem::{Fields, Problem},
    query::Params,
    text,
    uuid::Uuid,
};
use sqlx_macros::FromRow;

use super::searched;
use crate::{app::State, caller::Caller, wording::check_query};

/// Somebody who was found.
#[derive(Debug, FromRow, Serialize, utoipa::ToSchema)]
pub(crate) struct Found {
    id: Uuid,
    display_name: String,
    avatar_url: Option<String>,
    is_friend: bool,
    /// pending, accepted, rejected or blocked.
    friendship_status: Option<String>,
    /// Nothing: clients look for it.
    #[sqlx(default)]
    active_challenge_id: Option<Uuid>,
}

const SHORTEST: usize = 2;
const LONGEST: usize = 50;

/// `$1` what is asked of the index, `$2` caller, `$3` how many. Those who came first come first.
pub(crate) const FIND: Text = text!(
    "
SELECT p.id, p.display_name, p.avatar_url,
    coalesce(f.status = 'accepted', FALSE) AS is_friend,
    f.status AS friendship_status
FROM "
    { "people_search AS s
CROSS JOIN user_profiles AS p ON p.number = s.rowid
LEFT JOIN friendships AS f ON min(f.requester_id, f.addressee_id) = min(p.id, $2)
    AND max(f.requester_id, f.addressee_id) = max(p.id, $2)
WHERE s.people_search MATCH $1
  AND p.id <> $2
ORDER BY s.rowid"
    | "user_profiles AS p
LEFT JOIN friendships AS f ON least(f.requester_id, f.addressee_id) = least(p.id, $2)
    AND greatest(f.requester_id, f.addressee_id) = greatest(p.id, $2)
WHERE p.search_text LIKE $1 ESCAPE '\\'
  AND p.id <> $2
ORDER BY p.created_at, p.id" }
    "
LIMIT $3");

/// Find people
///
/// By a part of their name or address; two letters find the beginnings of words.
#[utoipa::path(get, path = "/api/v1/users/search/", tag = "users", security(("bearer" = [])), params(
    ("q" = String, Query, min_length = 2, max_length = 50, pattern = r"^[^\x00]*$", description = "Part of the name or the address"),
    ("limit" = Option<i64>, Query, minimum = 1, maximum = 50, description = "People to show; 20"),
), responses((status = 200, description = "The people, without the caller", body = Vec<Found>)))]
#[tracing::instrument(name = "users.search", skip_all)]
pub(crate) async fn find(
    FromState(state): FromState<State>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<Found>>, Problem> {
    let mut fields = Fields::new();
    let limit = params.integer("limit", &mut fields);
    let limit = within("limit", limit, 20, 1..=50, &mut fields);
    let text = params.get("q").unwrap_or_default();
    let length = text.chars().count();
    let message = match length {
        0 => Some("is required".to_owned()),
        _ if text.contains('\0') => Some("must not contain NUL".to_owned()),
        SHORTEST..=LONGEST => None,
        _ => Some(format!("must have {SHORTEST} to {LONGEST} characters")),
    };
    fields.extend(message.map(|message| ("q".to_owned(), message)));
    check_query(fields)?;
    let found = query(FIND)
        .bind(asked(text, state.database.dialect()))
        .bind(caller.id)
        .bind(limit)
        // How many there are depends on the text.
        .once();
    Ok(Json(found.fetch_all(state.database.read()).await?))
}

/// What the index is asked for. It knows three characters in a row: a shorter text is one with the
/// space before a word.
fn asked(text: &str, dialect: Dialect) -> String {
    let mut part = searched(text);
    if part.chars().count() <= SHORTEST {
        part.insert(0, ' ');
    }
    match dialect {
        Dialect::Sqlite => phrase(&part),
        Dialect::Postgres => pattern(&part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_letters_begin_a_word() {
        assert_eq!(asked("Jo", Dialect::Sqlite), "\" jo\"");
        assert_eq!(asked("Jo", Dialect::Postgres), "% jo%");
        assert_eq!(asked("jo.e", Dialect::Postgres), "%jo e%");
    }
}
