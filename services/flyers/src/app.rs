//! The whole service: its state, its paths, its description.

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get, post},
};
use service_kit::{
    config::Config,
    database::Database,
    forwarded,
    image::Images,
    login::LoginLimiter,
    openapi::{BearerToken, Problems},
    password::{Passwords, PasswordsError},
    routes::ApiRoutes,
    server,
    storage::Storage,
    token::Tokens,
};
use utoipa::OpenApi as _;

use crate::{
    accounts,
    categories::{self, Categories},
    favorites, feed, flyer, follows,
    geocoder::Geocoder,
    surroundings::Surroundings,
    users,
};

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct State {
    pub(crate) database: Database,
    pub(crate) tokens: Tokens,
    pub(crate) passwords: Passwords,
    pub(crate) logins: Arc<LoginLimiter>,
    pub(crate) categories: Categories,
    pub(crate) geocoder: Arc<dyn Geocoder>,
    pub(crate) storage: Storage,
    pub(crate) images: Images,
    pub(crate) radius: feed::DefaultRadius,
}

/// The service cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The categories cannot be read.
    #[error("cannot read the categories: {0}; run `flyers migrate`")]
    Database(#[from] sqlx::Error),
    /// Passwords cannot be hashed.
    #[error(transparent)]
    Passwords(#[from] PasswordsError),
}

impl FromRef<State> for Tokens {
    fn from_ref(state: &State) -> Self {
        state.tokens.clone()
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "flyers", description = "Flyers on a wall near you."),
    paths(
        accounts::register,
        accounts::login,
        feed::main_feed,
        feed::favorites,
        feed::following,
        favorites::add,
        favorites::remove,
        follows::add,
        follows::remove,
        follows::status,
        flyer::create,
        flyer::detail,
        flyer::change,
        flyer::replace,
        flyer::delete,
        users::user,
        users::profile,
        users::flyers_of_user,
        users::own_flyers,
        users::own_profile,
        users::change_profile,
        users::put_picture,
        users::remove_picture,
        users::privacy,
        users::change_privacy,
        categories::list,
    ),
    modifiers(&BearerToken, &SecondPath, &Problems)
)]
struct Description;

/// The feed is at `/flyers/`, too.
struct SecondPath;

impl utoipa::Modify for SecondPath {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let paths = &mut api.paths.paths;
        let feed = paths
            .get("/api/v1/flyers/feed/")
            .and_then(|item| item.get.clone());
        if let Some(second) = paths.get_mut("/api/v1/flyers/") {
            second.get = feed.map(|mut feed| {
                feed.operation_id = Some("flyers".to_owned());
                feed
            });
        }
    }
}

/// The service over a migrated database, in surroundings of the caller's choice.
///
/// # Errors
/// The categories cannot be read.
pub async fn build_with(
    config: &Config,
    database: Database,
    surroundings: Surroundings,
) -> Result<Router, BuildError> {
    let Surroundings {
        geocoder,
        storage,
        images,
        radius,
    } = surroundings;
    let state = State {
        tokens: Tokens::new(&config.jwt_secret, config.token_lifetime),
        passwords: Passwords::new()?,
        logins: Arc::new(LoginLimiter::new(config.login_limits)),
        categories: Categories::load(&database).await?,
        geocoder,
        storage: storage.clone(),
        images,
        radius,
        database: database.clone(),
    };
    let api = ApiRoutes::default()
        .route("/auth/register/", post(accounts::register))
        .route("/auth/login/", post(accounts::login))
        .route("/flyers/feed/", get(feed::main_feed))
        .route("/flyers/", get(feed::main_feed).post(flyer::create))
        .route("/favorites/", post(favorites::add))
        .route("/favorites/{flyer_id}/", delete(favorites::remove))
        .route("/favorites/feed/", get(feed::favorites))
        .route("/follows/", post(follows::add))
        .route("/follows/{user_id}/", delete(follows::remove))
        .route("/follows/status/", get(follows::status))
        .route("/following/feed/", get(feed::following))
        .route(
            "/flyers/{id}/",
            get(flyer::detail)
                .patch(flyer::change)
                .put(flyer::replace)
                .delete(flyer::delete),
        )
        .route("/users/me/flyers/", get(users::own_flyers))
        .route(
            "/users/me/profile/",
            get(users::own_profile).patch(users::change_profile),
        )
        .route(
            "/users/me/profile/picture/",
            post(users::put_picture).delete(users::remove_picture),
        )
        .route(
            "/users/me/privacy-settings/",
            get(users::privacy).patch(users::change_privacy),
        )
        .route("/users/{id}/", get(users::user))
        .route("/users/{id}/profile/", get(users::profile))
        .route("/users/{id}/flyers/", get(users::flyers_of_user))
        .route("/categories/", get(categories::list))
        .finish(state, config.request_timeout)
        .merge(crate::pictures::routes(storage))
        .merge(crate::web::routes());
    let app = server::complete(api, &database, &Description::openapi());
    Ok(forwarded::trust(app, config.trusted_proxies.clone()))
}
