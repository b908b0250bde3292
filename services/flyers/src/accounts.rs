//! Making an account and signing in.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::query,
    email,
    forwarded::ClientAddress,
    problem::{Fields, Problem},
};

use crate::app::State;

const INSERT_USER: &str = "
INSERT INTO users (email, username, password_hash, created_at, updated_at)
VALUES ($1, $2, $3, $4, $4)
RETURNING id";

const INSERT_PROFILE: &str = "
INSERT INTO profiles (user_id, name, created_at, updated_at)
VALUES ($1, $2, $3, $3)
RETURNING id";

const INSERT_PRIVACY: &str = "
INSERT INTO privacy_settings (user_id, allow_email_contact, created_at, updated_at)
VALUES ($1, TRUE, $2, $2)";

pub(crate) const FIND_LOGIN: &str = "
SELECT u.id, u.password_hash, p.id AS profile_id
FROM users AS u
JOIN profiles AS p ON p.user_id = u.id
WHERE u.email = $1";

const NAME_LONGEST: usize = 50;
/// What [`is_name`] demands.
pub(crate) const NAME_RULE: &str = "must have 1 to 50 characters, no < or >, no control characters";
/// In characters. Argon2 takes any length; a megabyte of password is an attack on the hasher.
const PASSWORD_LONGEST: usize = 256;

/// A new account.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Register {
    /// Compared without regard to case.
    #[schema(
        required,
        nullable = false,
        max_length = 254,
        pattern = r#"^[^\s\x00-\x1f\x7f-\x9f<>()\[\],;:\\"@]{1,16}@([^\s\x00-\x1f\x7f-\x9f<>()\[\],;:\\"@.]+\.)+[^\s\x00-\x1f\x7f-\x9f<>()\[\],;:\\"@.]+$"#
    )]
    email: Option<String>,
    /// With upper case, lower case and a digit.
    #[schema(required, nullable = false, min_length = 8, max_length = 256)]
    password: Option<String>,
    /// Shown to others; the part of the address before the @ when it is left out.
    #[schema(
        max_length = 50,
        pattern = r"^[^<>\x00-\x1f\x7f-\x9f]*[^<>\s\x00-\x1f\x7f-\x9f][^<>\x00-\x1f\x7f-\x9f]*$"
    )]
    name: Option<String>,
}

/// An address and its password.
#[derive(Deserialize, utoipa::ToSchema)]
pub(crate) struct Login {
    #[schema(
        required,
        nullable = false,
        max_length = 256,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"
    )]
    email: Option<String>,
    #[schema(
        required,
        nullable = false,
        max_length = 256,
        pattern = r"^[^\x00]*[^\s\x00][^\x00]*$"
    )]
    password: Option<String>,
}

/// Proof of who you are.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SignedIn {
    /// Send it as a bearer token.
    token: String,
    user_id: i64,
    profile_id: i64,
}

/// Make an account
///
/// User, profile and privacy settings are made together or not at all.
#[utoipa::path(post, path = "/api/v1/auth/register/", request_body = Register, responses(
    (status = 201, description = "The account and a token", body = SignedIn),
    (status = 400, description = "An input is wrong"),
    (status = 409, description = "The address has an account"),
))]
pub(crate) async fn register(
    FromState(state): FromState<State>,
    Body(new): Body<Register>,
) -> Result<(StatusCode, Json<SignedIn>), Problem> {
    let now = now();
    let Applicant {
        email,
        password,
        name,
    } = check(new)?;
    let hash = state.passwords.hash(&password).await?;
    let (user_id, profile_id) = insert(&state, &email, &name, &hash, now).await?;
    let token = state.tokens.issue(user_id, &email)?;
    Ok((
        StatusCode::CREATED,
        Json(SignedIn {
            token,
            user_id,
            profile_id,
        }),
    ))
}

/// Sign in
///
/// A wrong password and an unknown address get the same answer, after the same time.
/// After too many of them the account, or the client, has to wait.
#[utoipa::path(post, path = "/api/v1/auth/login/", request_body = Login, responses(
    (status = 200, description = "A token", body = SignedIn),
    (status = 400, description = "A field is missing"),
    (status = 401, description = "Address or password is wrong"),
    (status = 429, description = "Too many failed attempts"),
))]
pub(crate) async fn login(
    FromState(state): FromState<State>,
    ClientAddress(client): ClientAddress,
    Body(login): Body<Login>,
) -> Result<Json<SignedIn>, Problem> {
    let (email, password) = required(login)?;
    let attempt = state.logins.begin(&email, client)?;
    let found: Option<(i64, String, i64)> = query(FIND_LOGIN)
        .bind(&email)
        .fetch_optional(state.database.read())
        .await?;
    let hash = found.as_ref().map(|(_, hash, _)| hash.as_str());
    let right = state.passwords.verify(&password, hash).await?;
    attempt.settle(right)?;
    match found {
        Some((user_id, _, profile_id)) if right => {
            let token = state.tokens.issue(user_id, &email)?;
            Ok(Json(SignedIn {
                token,
                user_id,
                profile_id,
            }))
        }
        _ => Err(Problem::unauthorized("e-mail or password is wrong")),
    }
}

fn required(login: Login) -> Result<(String, String), Problem> {
    let mut fields = Fields::new();
    let mut take = |field: &str, value: Option<String>| {
        let value = value.unwrap_or_default();
        let fault = if value.trim().is_empty() {
            "is required"
        } else if value.chars().count() > PASSWORD_LONGEST {
            "is too long"
        } else if value.contains('\0') {
            // PostgreSQL has no such text.
            "must not contain a NUL character"
        } else {
            return value;
        };
        fields.insert(field.to_owned(), fault.to_owned());
        value
    };
    let email = email::folded(&take("email", login.email));
    let password = take("password", login.password);
    if fields.is_empty() {
        Ok((email, password))
    } else {
        Err(Problem::validation(fields))
    }
}

/// A registration with nothing left to complain about.
struct Applicant {
    email: String,
    password: String,
    /// What to show to others.
    name: String,
}

/// Checks everything at once, so that a form can show all that is wrong.
fn check(new: Register) -> Result<Applicant, Problem> {
    let mut fields = Fields::new();
    let mut wrong = |field: &str, message: &str| {
        fields.insert(field.to_owned(), message.to_owned());
    };
    let email = email::folded(&new.email.unwrap_or_default());
    if !email::is_email(&email) {
        wrong("email", "is not an e-mail address");
    }
    let password = new.password.unwrap_or_default();
    if let Some(message) = weakness(&password) {
        wrong("password", message);
    }
    let name = match new.name {
        Some(name) if !is_name(name.trim()) => {
            wrong("name", NAME_RULE);
            name
        }
        Some(name) => name.trim().to_owned(),
        None => {
            let local = email.split('@').next().unwrap_or_default();
            local.chars().take(NAME_LONGEST).collect()
        }
    };
    if fields.is_empty() {
        Ok(Applicant {
            email,
            password,
            name,
        })
    } else {
        Err(Problem::validation(fields))
    }
}

/// A name that can be shown to others as it is.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_LONGEST).contains(&text.chars().count())
        && !text.contains(|c: char| c.is_control() || c == '<' || c == '>')
}

fn weakness(password: &str) -> Option<&'static str> {
    let has = |test: fn(char) -> bool| password.chars().any(test);
    if password.chars().count() > PASSWORD_LONGEST {
        Some("must have at most 256 characters")
    } else if password.chars().count() < 8 {
        Some("must have at least 8 characters")
    } else if !(has(char::is_uppercase) && has(char::is_lowercase) && has(char::is_numeric)) {
        Some("must have an upper-case letter, a lower-case letter and a digit")
    } else {
        None
    }
}

async fn insert(
    state: &State,
    email: &str,
    name: &str,
    hash: &str,
    now: DateTime<Utc>,
) -> Result<(i64, i64), Problem> {
    let mut transaction = state.database.begin().await?;
    let user_id: i64 = query(INSERT_USER)
        .bind(email)
        .bind(username(email))
        .bind(hash)
        .bind(now)
        .fetch_scalar(&mut transaction)
        .await
        .map_err(|error| match error.as_database_error() {
            Some(database) if database.is_unique_violation() => {
                Problem::conflict("email", "an account with this address exists, sign in")
            }
            _ => error.into(),
        })?;
    let profile_id: i64 = query(INSERT_PROFILE)
        .bind(user_id)
        .bind(name)
        .bind(now)
        .fetch_scalar(&mut transaction)
        .await?;
    query(INSERT_PRIVACY)
        .bind(user_id)
        .bind(now)
        .execute(&mut transaction)
        .await?;
    transaction.commit().await?;
    Ok((user_id, profile_id))
}

/// A name that nobody else has: 64 random bits make a clash less likely than a fault of
/// the machine, so the only unique index that a registration can meet is the address.
fn username(email: &str) -> String {
    let local = email.split('@').next().unwrap_or_default();
    let plain: String = local
        .chars()
        .filter(|c| c.is_alphanumeric())
        .take(30)
        .collect();
    format!("{plain}-{:016x}", rand::rng().next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        assert_eq!(weakness("Abcdefg1"), None);
        for bad in ["Abcdef1", "abcdefg1", "ABCDEFG1", "Abcdefgh"] {
            assert!(weakness(bad).is_some(), "{bad}");
        }
    }
}
