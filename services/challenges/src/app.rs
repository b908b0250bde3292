//! The whole service: its state, its paths, its description.

use std::time::Instant;

use axum::{
    Json, Router,
    extract::{FromRef, Request},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{Next, from_fn, map_response},
    response::Response,
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use service_kit::{
    config::{Config, ConfigError},
    database::Database,
    forwarded,
    image::{ImageOptions, Images},
    login::LoginLimiter,
    metrics::Metrics,
    openapi::{BearerToken, Problems},
    password::{Passwords, PasswordsError},
    routes::ApiRoutes,
    server::{self, Pages},
    storage::{Storage, media as stored},
    token::Tokens,
};
use speedwell_cache::Cache;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi as _;

use crate::{
    account,
    cached::Policies,
    challenge, checkin, friend, habit, hitch,
    media::{self, PHOTO_BYTES},
    notification, profile, stats,
    wording::{Words, as_plain_json, words},
};

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct State {
    pub(crate) database: Database,
    pub(crate) tokens: Tokens,
    pub(crate) cache: Cache,
    pub(crate) policies: Policies,
    pub(crate) passwords: Passwords,
    pub(crate) logins: std::sync::Arc<LoginLimiter>,
    pub(crate) storage: Storage,
    pub(crate) images: Images,
    origins: AllowOrigin,
    environment: String,
}

impl FromRef<State> for Tokens {
    fn from_ref(state: &State) -> Self {
        state.tokens.clone()
    }
}

/// Why the service cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A variable cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are no threads for pictures.
    #[error("the system gives no threads to work on pictures: {0}; raise its limit of processes")]
    Images(std::io::Error),
    /// Passwords cannot be hashed.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
}

impl State {
    /// The state over a migrated database. `lookup` reads `CACHE`, `ALLOWED_ORIGINS` and
    /// `ENVIRONMENT`.
    ///
    /// # Errors
    /// A variable cannot be used, or the system does not give what is needed.
    pub fn new(
        config: &Config,
        database: Database,
        cache: Cache,
        storage: Storage,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, StateError> {
        let images = ImageOptions {
            max_bytes: PHOTO_BYTES,
            ..ImageOptions::default()
        };
        Ok(Self {
            tokens: Tokens::from_config(config),
            policies: Policies::from_lookup(&lookup)?,
            passwords: Passwords::new()?,
            logins: LoginLimiter::new(config.login_limits).into(),
            images: Images::start(images).map_err(StateError::Images)?,
            origins: origins(lookup("ALLOWED_ORIGINS"))?,
            environment: lookup("ENVIRONMENT").unwrap_or_else(|| "development".to_owned()),
            database,
            cache,
            storage,
        })
    }
}

impl State {
    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}

/// Which pages of others may call: `*` or a list with commas; none unless it says so.
fn origins(text: Option<String>) -> Result<AllowOrigin, ConfigError> {
    let text = text.unwrap_or_default();
    if text.trim() == "*" {
        return Ok(AllowOrigin::any());
    }
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let mut list = Vec::new();
    for name in names {
        let is_origin = name.starts_with("http://") || name.starts_with("https://");
        match HeaderValue::from_str(name) {
            Ok(value) if is_origin => list.push(value),
            _ => {
                return Err(ConfigError {
                    variable: "ALLOWED_ORIGINS",
                    problem: format!("`{name}` is not an origin"),
                    remedy: "write them like https://app.example, with commas between".to_owned(),
                });
            }
        }
    }
    Ok(AllowOrigin::list(list))
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "challenges", description = "Habits that people keep together."),
    paths(
        account::register,
        account::login,
        account::verify,
        account::logout,
        account::me,
        profile::own,
        profile::own_stats,
        profile::change,
        profile::find,
        profile::other,
        habit::list,
        challenge::create,
        challenge::list,
        challenge::join,
        challenge::detail,
        challenge::change,
        challenge::members,
        challenge::progress,
        challenge::leave,
        checkin::create,
        checkin::list,
        checkin::one,
        checkin::change_caption,
        checkin::remove,
        checkin::today,
        friend::request,
        friend::respond,
        friend::list,
        friend::requests,
        friend::end,
        notification::list,
        notification::unread_count,
        notification::mark_read,
        notification::mark_all_read,
        notification::remove,
        notification::register_push,
        notification::remove_push,
        media::upload,
        media::remove,
        hitch::send,
        stats::history,
        stats::challenge,
        stats::leaderboard,
        stats::dashboard,
    ),
    modifiers(&BearerToken, &Problems, &Words)
)]
struct Description;

/// The service.
pub fn build(config: &Config, state: &State) -> Router {
    let api = routes().finish(state.clone(), config.request_timeout);
    let api = api
        .route("/", get(|| async { Json(links()) }))
        .merge(stored(state.storage.clone(), "/media"));
    let cache = state.cache.clone();
    let description = Description::openapi();
    let pages = Pages {
        metrics: Metrics::new(&state.database).also(move || cache.prometheus()),
        words: Some(words),
        health: json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
            "environment": state.environment,
            "app_name": "challenges",
        }),
        ..Pages::new(&state.database, &description)
    };
    let app = server::complete_with(api, &state.database, pages)
        .layer(map_response(as_plain_json))
        .layer(cors(&state.origins))
        .layer(from_fn(say_time));
    forwarded::trust(app, config.trusted_proxies.clone())
}

fn cors(origins: &AllowOrigin) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.clone())
        .allow_methods([Method::GET, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("x-timezone"),
        ])
        .expose_headers([PROCESS_TIME])
}

const PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");

/// Says in seconds how long the answer took.
async fn say_time(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut response = next.run(request).await;
    let seconds = format!("{:.6}", started.elapsed().as_secs_f64());
    if let Ok(seconds) = HeaderValue::from_str(&seconds) {
        response.headers_mut().insert(PROCESS_TIME, seconds);
    }
    response
}

/// Where to go from here.
fn links() -> Value {
    json!({
        "app_name": "challenges",
        "version": env!("CARGO_PKG_VERSION"),
        "docs": "/docs",
        "openapi": "/openapi.json",
        "health": "/health",
        "auth": "/api/v1/auth",
        "users": "/api/v1/users",
        "habits": "/api/v1/habits",
        "challenges": "/api/v1/challenges",
        "checkins": "/api/v1/checkins",
        "friends": "/api/v1/friends",
        "notifications": "/api/v1/notifications",
        "stats": "/api/v1/stats",
    })
}

fn routes() -> ApiRoutes<State> {
    let routes = ApiRoutes::default()
        .route("/", get(|| async { Json(links()) }))
        .route("/auth/register/", post(account::register))
        .route("/auth/login/", post(account::login))
        .route("/auth/verify/", post(account::verify))
        .route("/auth/logout/", post(account::logout))
        .route("/auth/me/", get(account::me))
        .route("/users/me/", get(profile::own).patch(profile::change))
        .route("/users/me/stats/", get(profile::own_stats))
        .route("/users/search/", get(profile::find))
        .route("/users/{id}/", get(profile::other))
        .route("/habits/", get(habit::list))
        .route("/media/upload/", post(media::upload).layer(larger()))
        .route("/media/", delete(media::remove))
        .route("/hitch/", post(hitch::send));
    social(of_challenges(routes))
}

/// A form with a picture is longer than other bodies.
fn larger() -> axum::extract::DefaultBodyLimit {
    axum::extract::DefaultBodyLimit::max(PHOTO_BYTES + (1 << 20))
}

fn of_challenges(routes: ApiRoutes<State>) -> ApiRoutes<State> {
    routes
        .route("/challenges/", get(challenge::list).post(challenge::create))
        .route("/challenges/join/", post(challenge::join))
        .route(
            "/challenges/{id}/",
            get(challenge::detail).patch(challenge::change),
        )
        .route("/challenges/{id}/members/", get(challenge::members))
        .route("/challenges/{id}/progress/", get(challenge::progress))
        .route("/challenges/{id}/leave/", post(challenge::leave))
        .route("/checkins/", get(checkin::list).post(checkin::create))
        .route(
            "/checkins/{id}/",
            get(checkin::one)
                .patch(checkin::change_caption)
                .delete(checkin::remove),
        )
        .route("/checkins/challenges/{id}/today/", get(checkin::today))
        .route("/stats/history/", get(stats::history))
        .route("/stats/challenges/{id}/", get(stats::challenge))
        // As the reference called it.
        .route("/stats/stats/{id}/", get(stats::challenge))
        .route("/stats/leaderboard/{id}/", get(stats::leaderboard))
        .route("/stats/dashboard/", get(stats::dashboard))
}

fn social(routes: ApiRoutes<State>) -> ApiRoutes<State> {
    routes
        .route("/friends/", get(friend::list))
        .route("/friends/request/", post(friend::request))
        .route("/friends/requests/", get(friend::requests))
        .route("/friends/requests/{id}/respond/", post(friend::respond))
        .route("/friends/{user_id}/", delete(friend::end))
        .route("/notifications/", get(notification::list))
        .route(
            "/notifications/unread/count/",
            get(notification::unread_count),
        )
        .route("/notifications/mark-read/", post(notification::mark_read))
        .route(
            "/notifications/mark-all-read/",
            post(notification::mark_all_read),
        )
        .route(
            "/notifications/register-push-token/",
            post(notification::register_push),
        )
        .route(
            "/notifications/push-token/",
            delete(notification::remove_push),
        )
        .route("/notifications/{id}/", delete(notification::remove))
}
