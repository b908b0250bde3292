//! Making an account, signing in, and asking who one is.

use axum::{Json, extract::State as FromState, http::StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    body::Body,
    clock::now,
    database::{Database, query},
    email,
    fields::{bound_any, check, required},
    forwarded::ClientAddress,
    problem::{Fields, Problem},
    uuid::Uuid,
};

use crate::{
    app::State,
    cached,
    caller::{Caller, gone},
    day::Zone,
    done::Done,
    profile::{self, LONGEST_DISPLAY_NAME, LONGEST_FULL_NAME, Me, search_text},
};

pub(crate) const INSERT_ACCOUNT: &str = "
INSERT INTO accounts (id, email, password_hash, created_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (email) DO NOTHING";

pub(crate) const INSERT_PROFILE: &str = "
INSERT INTO user_profiles (id, email, full_name, display_name, timezone, search_text, created_at, updated_at, last_seen_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7)";

pub(crate) const FIND_LOGIN: &str = "
SELECT a.id, a.password_hash
FROM accounts AS a
WHERE a.email = $1";

pub(crate) const SEEN: &str = "
UPDATE user_profiles
SET last_seen_at = $2
WHERE id = $1";

/// In characters. Argon2 takes any length; a megabyte of password is an attack on the hasher.
const LONGEST_PASSWORD: usize = 256;
const SHORTEST_PASSWORD: usize = 8;

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
    #[schema(required, nullable = false, min_length = 8, max_length = 256)]
    password: Option<String>,
    /// Shown to others; the part of the address before the @ when it is left out.
    #[schema(max_length = 50, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    display_name: Option<String>,
    #[schema(max_length = 100, pattern = r"^[^\x00]*[^\s\x00][^\x00]*$")]
    full_name: Option<String>,
    /// Of the IANA database; days begin and end by it.
    #[schema(pattern = "^(UTC|Europe/Zurich|Asia/Tokyo)$")]
    timezone: Option<String>,
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

/// Proof of who one is.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SignedIn {
    /// Send it as a bearer token.
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    user: Me,
}

/// Whose token it is.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Verified {
    valid: bool,
    user_id: Uuid,
    email: String,
}

/// Make an account
///
/// Account and profile are made together or not at all.
#[utoipa::path(post, path = "/api/v1/auth/register/", tag = "auth", request_body = Register, responses(
    (status = 201, description = "The account and a token", body = SignedIn),
    (status = 400, description = "The address has an account"),
))]
#[tracing::instrument(name = "auth.register", skip_all)]
pub(crate) async fn register(
    FromState(state): FromState<State>,
    Body(new): Body<Register>,
) -> Result<(StatusCode, Json<SignedIn>), Problem> {
    let applicant = Applicant::read(new)?;
    let hash = state.passwords.hash(&applicant.password).await?;
    let (id, email) = (Uuid::new(), applicant.email.clone());
    let database = state.database.clone();
    let write = move |_| async move { insert(&database, id, &applicant, &hash, now()).await };
    cached::write(&state.cache, [cached::user(id)], write).await?;
    let signed_in = sign_in(&state, id, &email).await?;
    Ok((StatusCode::CREATED, Json(signed_in)))
}

/// Sign in
///
/// A wrong password and an unknown address get the same answer, after the same time.
/// After too many of them the account, or the client, has to wait.
#[utoipa::path(post, path = "/api/v1/auth/login/", tag = "auth", request_body = Login, responses(
    (status = 200, description = "A token", body = SignedIn),
    (status = 401, description = "Address or password is wrong"),
    (status = 429, description = "Too many failed attempts"),
))]
#[tracing::instrument(name = "auth.login", skip_all)]
pub(crate) async fn login(
    FromState(state): FromState<State>,
    ClientAddress(client): ClientAddress,
    Body(login): Body<Login>,
) -> Result<Json<SignedIn>, Problem> {
    let mut fields = Fields::new();
    let email = required("email", login.email, LONGEST_PASSWORD, &mut fields);
    let password = login.password.unwrap_or_default();
    if password.is_empty() {
        fields.insert("password".to_owned(), "is required".to_owned());
    }
    bound_any("password", Some(&password), LONGEST_PASSWORD, &mut fields);
    check(fields)?;
    let email = email::folded(&email);
    let attempt = state.logins.begin(&email, client)?;
    let found: Option<(Uuid, String)> = query(FIND_LOGIN)
        .bind(&email)
        .fetch_optional(state.database.read())
        .await?;
    let hash = found.as_ref().map(|(_, hash)| hash.as_str());
    let right = state.passwords.verify(&password, hash).await?;
    attempt.settle(right)?;
    let (id, _) = found
        .filter(|_| right)
        .ok_or_else(|| Problem::unauthorized("Invalid email or password"))?;
    let database = state.database.clone();
    let seen = move |_| async move {
        let seen = query(SEEN).bind(id).bind(now());
        seen.execute(database.write()).await?;
        Ok(())
    };
    cached::write(&state.cache, [cached::user(id)], seen).await?;
    Ok(Json(sign_in(&state, id, &email).await?))
}

async fn sign_in(state: &State, id: Uuid, email: &str) -> Result<SignedIn, Problem> {
    let profile = profile::of(state, id).await?.ok_or_else(gone)?;
    Ok(SignedIn {
        access_token: state.tokens.issue(id, email)?,
        token_type: "bearer",
        expires_in: state.tokens.lifetime().as_secs(),
        user: profile.me(now()),
    })
}

/// Whether the token is good
#[utoipa::path(post, path = "/api/v1/auth/verify/", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, description = "It is", body = Verified),
))]
#[tracing::instrument(name = "auth.verify", skip_all, fields(cache_hit))]
pub(crate) async fn verify(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Verified>, Problem> {
    let profile = profile::of(&state, caller.id).await?.ok_or_else(gone)?;
    Ok(Json(Verified {
        valid: true,
        user_id: caller.id,
        email: profile.email.clone(),
    }))
}

/// Sign out
///
/// Nothing is kept of a token on this side: the client forgets it.
#[utoipa::path(post, path = "/api/v1/auth/logout/", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, description = "Done", body = Done),
))]
#[tracing::instrument(name = "auth.logout", skip_all)]
pub(crate) async fn logout(_: Caller) -> Json<Done> {
    Json(Done::new("Logged out successfully"))
}

/// Who one is
#[utoipa::path(get, path = "/api/v1/auth/me/", tag = "auth", security(("bearer" = [])), responses(
    (status = 200, description = "The caller", body = Me),
))]
#[tracing::instrument(name = "auth.me", skip_all, fields(cache_hit))]
pub(crate) async fn me(
    FromState(state): FromState<State>,
    caller: Caller,
) -> Result<Json<Me>, Problem> {
    let profile = profile::of(&state, caller.id).await?.ok_or_else(gone)?;
    Ok(Json(profile.me(now())))
}

/// A registration with nothing left to complain about.
struct Applicant {
    email: String,
    password: String,
    display_name: String,
    full_name: Option<String>,
    timezone: Option<&'static str>,
}

impl Applicant {
    /// Checks everything at once, so that a form can show all that is wrong.
    fn read(new: Register) -> Result<Self, Problem> {
        let mut fields = Fields::new();
        let email = email::folded(&new.email.unwrap_or_default());
        if !email::is_email(&email) {
            fields.insert("email".to_owned(), "is not an e-mail address".to_owned());
        }
        let password = new.password.unwrap_or_default();
        if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.chars().count()) {
            let message = format!("must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters");
            fields.insert("password".to_owned(), message);
        }
        let name = new.display_name.unwrap_or_else(|| {
            let local = email.split('@').next().unwrap_or_default();
            local.chars().take(LONGEST_DISPLAY_NAME).collect()
        });
        let display_name = required(
            "display_name",
            Some(name),
            LONGEST_DISPLAY_NAME,
            &mut fields,
        );
        let full_name = new
            .full_name
            .map(|name| required("full_name", Some(name), LONGEST_FULL_NAME, &mut fields));
        let timezone = new.timezone.and_then(|name| zone(&name, &mut fields));
        check(fields)?;
        Ok(Self {
            email,
            password,
            display_name,
            full_name,
            timezone,
        })
    }
}

/// The name of a zone as the database of zones spells it.
pub(crate) fn zone(name: &str, fields: &mut Fields) -> Option<&'static str> {
    let zone = Zone::named(name.trim());
    if zone.is_none() {
        let message = "is not an IANA time zone, such as Europe/Zurich";
        fields.insert("timezone".to_owned(), message.to_owned());
    }
    zone.map(Zone::name)
}

async fn insert(
    database: &Database,
    id: Uuid,
    applicant: &Applicant,
    hash: &str,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let mut tx = database.begin().await?;
    let made = query(INSERT_ACCOUNT)
        .bind(id)
        .bind(&applicant.email)
        .bind(hash)
        .bind(now)
        .execute(&mut tx)
        .await?;
    if made == 0 {
        return Err(Problem::refused(
            "An account with this email already exists",
        ));
    }
    query(INSERT_PROFILE)
        .bind(id)
        .bind(&applicant.email)
        .bind(applicant.full_name.as_deref())
        .bind(&applicant.display_name)
        .bind(applicant.timezone)
        .bind(search_text(&applicant.display_name, &applicant.email))
        .bind(now)
        .execute(&mut tx)
        .await?;
    tx.commit().await?;
    Ok(())
}
