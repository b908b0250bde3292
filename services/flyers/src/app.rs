//! The whole service: its state, its paths, its description.

use std::sync::Arc;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use service_kit::{
    config::Config, database::Database, forwarded, image::Images, login::LoginLimiter,
    password::Passwords, routes::ApiRoutes, server, storage::Storage, token::Tokens,
};
use utoipa::OpenApi as _;

use crate::{
    accounts,
    categories::{self, Categories},
    feed, flyer,
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
}

/// The service cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The categories cannot be read.
    #[error("cannot read the categories: {0}; run `flyers migrate`")]
    Database(#[from] sqlx::Error),
    /// No random numbers for password salts.
    #[error("the system gives no random numbers for passwords")]
    Passwords,
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
        flyer::create,
        flyer::detail,
        users::user,
        users::profile,
        users::flyers_of_user,
        users::own_flyers,
        categories::list,
    ),
    components(schemas(service_kit::problem::ProblemBody)),
    modifiers(&BearerToken)
)]
struct Description;

struct BearerToken;

impl utoipa::Modify for BearerToken {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = api.components.get_or_insert_with(Default::default);
        components.add_security_scheme(
            "bearer",
            SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)),
        );
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
    } = surroundings;
    let state = State {
        tokens: Tokens::new(&config.jwt_secret, config.token_lifetime),
        passwords: Passwords::new().map_err(|_| BuildError::Passwords)?,
        logins: Arc::new(LoginLimiter::new(config.login_limits)),
        categories: Categories::load(&database).await?,
        geocoder,
        storage: storage.clone(),
        images,
        database: database.clone(),
    };
    let api = ApiRoutes::default()
        .route("/auth/register/", post(accounts::register))
        .route("/auth/login/", post(accounts::login))
        .route("/flyers/feed/", get(feed::main_feed))
        .route("/flyers/", get(feed::main_feed).post(flyer::create))
        .route("/flyers/{id}/", get(flyer::detail))
        .route("/users/me/flyers/", get(users::own_flyers))
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
