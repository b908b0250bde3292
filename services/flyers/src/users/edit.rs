//! What users write about themselves.

use axum::{Json, extract::State as FromState};
use serde::{Deserialize, Deserializer};
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    page::Link,
    problem::{Fields, Problem},
    token::Caller,
};

use super::{
    gone,
    profile::{Profile, of_caller},
};
use crate::{accounts, app::State};

/// `$1` user, `$2` name or null for the one that there is, `$3` whether the text changes, `$4`
/// the text, `$5` now.
pub(crate) const UPDATE: &str = "
UPDATE profiles
SET name = COALESCE($2, name),
    bio = CASE WHEN $3 THEN $4 ELSE bio END,
    updated_at = $5
WHERE user_id = $1";

const BIO_LONGEST: usize = 500;

/// What to change. What is left out stays.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct ProfileChange {
    /// Shown to others: 1 to 50 characters, no `<` or `>`, no control characters.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        value_type = String,
        nullable = false,
        max_length = 50,
        pattern = r"^[^<>\x00-\x1f\x7f-\x9f]*[^<>\s\x00-\x1f\x7f-\x9f][^<>\x00-\x1f\x7f-\x9f]*$"
    )]
    name: Option<Option<String>>,
    /// About oneself: at most 500 characters of plain text, line breaks among them; null or
    /// nothing but spaces takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(
        value_type = Option<String>,
        max_length = 500,
        pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
    )]
    bio: Option<Option<String>>,
}

/// Tells null from a key that is left out.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// A change with nothing left to complain about.
#[derive(Debug, PartialEq, Eq)]
struct Checked {
    /// The new name.
    name: Option<String>,
    /// The new text, which may be none.
    bio: Option<Option<String>>,
}

/// Change your profile
#[utoipa::path(patch, path = "/api/v1/users/me/profile/", request_body = ProfileChange,
    security(("bearer" = [])), responses(
    (status = 200, description = "The profile as it is now", body = Profile),
    (status = 400, description = "An input is wrong"),
    (status = 401, description = "Sign in first"),
))]
pub(crate) async fn change_profile(
    FromState(state): FromState<State>,
    caller: Caller,
    link: Link,
    Body(change): Body<ProfileChange>,
) -> Result<Json<Profile>, Problem> {
    let Checked { name, bio } = check(change)?;
    let changed = query(UPDATE)
        .bind(caller.id)
        .bind(name)
        .bind(bio.is_some())
        .bind(bio.flatten())
        .bind(now())
        .execute(state.database.write())
        .await?;
    if changed == 0 {
        return Err(gone());
    }
    of_caller(&state, caller, &link).await
}

/// Checks everything at once, so that a form can show all that is wrong.
fn check(change: ProfileChange) -> Result<Checked, Problem> {
    let mut fields = Fields::new();
    let name = change
        .name
        .map(|name| name.unwrap_or_default().trim().to_owned());
    if name.as_deref().is_some_and(|name| !accounts::is_name(name)) {
        fields.insert("name".to_owned(), accounts::NAME_RULE.to_owned());
    }
    let bio = change.bio.map(|bio| {
        let bio = bio.unwrap_or_default().trim().to_owned();
        Some(bio).filter(|bio| !bio.is_empty())
    });
    if let Some(Some(bio)) = &bio
        && let Some(message) = fault_of_bio(bio)
    {
        fields.insert("bio".to_owned(), message.to_owned());
    }
    if fields.is_empty() {
        Ok(Checked { name, bio })
    } else {
        Err(Problem::validation(fields))
    }
}

fn fault_of_bio(bio: &str) -> Option<&'static str> {
    let is_break = |c: char| matches!(c, '\n' | '\r' | '\t');
    if bio.chars().count() > BIO_LONGEST {
        Some("must have at most 500 characters")
    } else if bio.contains(|c: char| c.is_control() && !is_break(c)) {
        Some("must have no control characters other than line breaks and tabs")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Checked, Vec<String>> {
        check(serde_json::from_str(json).unwrap())
            .map_err(|problem| problem.fields().keys().cloned().collect())
    }

    #[test]
    fn null_takes_a_text_away_and_a_missing_key_leaves_it() {
        let bio = |json| read(json).unwrap().bio;
        assert_eq!(bio("{}"), None);
        assert_eq!(bio(r#"{"bio": null}"#), Some(None));
        assert_eq!(bio(r#"{"bio": " \n "}"#), Some(None));
        assert_eq!(bio(r#"{"bio": " a\nb "}"#), Some(Some("a\nb".to_owned())));
    }

    #[test]
    fn all_faults_come_together() {
        assert_eq!(
            read(r#"{"name": null, "bio": "\u0000"}"#).unwrap_err(),
            ["bio", "name"]
        );
        let long = serde_json::json!({ "name": "n".repeat(51), "bio": "b".repeat(501) });
        assert_eq!(read(&long.to_string()).unwrap_err(), ["bio", "name"]);
        let full = serde_json::json!({ "name": "ü".repeat(50), "bio": "ü".repeat(500) });
        assert!(read(&full.to_string()).is_ok());
    }
}
