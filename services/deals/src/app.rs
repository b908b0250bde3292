//! The whole service: its state, its paths, its description.

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get, patch, post},
};
use service_kit::{
    config::{Config, ConfigError},
    database::Database,
    forwarded,
    metrics::Metrics,
    openapi::{BearerToken, Problems},
    routes::ApiRoutes,
    server::{self, Pages},
    token::Tokens,
};
use speedwell_cache::Cache;
use utoipa::OpenApi as _;

use crate::{
    alerts::Alerts,
    collection,
    envelope::{Words, words},
    listing, notification, share, user_share,
    views::Views,
};

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct State {
    pub(crate) database: Database,
    pub(crate) tokens: Tokens,
    pub(crate) cache: Cache,
    pub(crate) views: Views,
    pub(crate) hides_foreign: bool,
}

impl FromRef<State> for Tokens {
    fn from_ref(state: &State) -> Self {
        state.tokens.clone()
    }
}

impl State {
    /// The state over a migrated database. `lookup` reads `FOREIGN_COLLECTION`: what is answered
    /// to who asks for another user's collection, 403 (the default) or 404.
    ///
    /// # Errors
    /// `FOREIGN_COLLECTION` is neither.
    pub fn new(
        config: &Config,
        database: Database,
        cache: Cache,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let hides_foreign = match lookup("FOREIGN_COLLECTION").as_deref() {
            None | Some("403") => false,
            Some("404") => true,
            Some(other) => {
                return Err(ConfigError {
                    variable: "FOREIGN_COLLECTION",
                    problem: format!("`{other}` is not a status for it"),
                    remedy: "write 403, or 404 to hide that the collection exists".to_owned(),
                });
            }
        };
        Ok(Self {
            tokens: Tokens::from_config(config),
            views: Views::default(),
            database,
            cache,
            hides_foreign,
        })
    }

    /// Views that are counted and not stored yet.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "deals", description = "Collections of listings, and links to share them."),
    paths(
        collection::create,
        collection::list,
        collection::discover,
        collection::public,
        collection::shared,
        collection::view,
        collection::change,
        collection::remove,
        collection::show_to,
        collection::copy,
        collection::export,
        collection::add_item,
        collection::change_item,
        collection::remove_item,
        collection::new_link,
        collection::links,
        collection::end_link,
        listing::list,
        listing::page,
        listing::create,
        listing::detail,
        listing::replace,
        listing::change,
        listing::remove,
        share::create,
        share::list,
        share::revoke,
        share::page,
        user_share::send,
        user_share::inbox,
        user_share::sent,
        user_share::preview,
        user_share::import,
        notification::list,
        notification::unread_count,
        notification::read,
        notification::read_all,
        notification::remove,
        notification::clean_up,
    ),
    modifiers(&BearerToken, &OtherSpellings, &Problems, &Words)
)]
struct Description;

/// What the documentation calls otherwise than the code did: both are served.
struct OtherSpellings;

impl utoipa::Modify for OtherSpellings {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let paths = &mut api.paths.paths;
        if let Some(read) = paths.get_mut("/api/v1/notifications/{id}/read/") {
            read.post = read.patch.clone().map(|mut read| {
                read.operation_id = Some("read_by_post".to_owned());
                read
            });
        }
        if let Some(all) = paths.get("/api/v1/notifications/mark-all-read/").cloned() {
            let mut all = all;
            if let Some(post) = &mut all.post {
                post.operation_id = Some("read_all_by_other_name".to_owned());
            }
            paths.insert("/api/v1/notifications/read-all/".to_owned(), all);
        }
    }
}

/// The service. `alerts` must be told of requests by the tracing layer of the process.
pub fn build(config: &Config, state: &State, alerts: Alerts) -> Router {
    let api = with_naive(routes()).finish(state.clone(), config.request_timeout);
    let cache = state.cache.clone();
    let metrics = Metrics::new(&state.database)
        .also(move || cache.prometheus())
        .also(move || alerts.prometheus());
    let description = Description::openapi();
    let pages = Pages {
        metrics,
        words: Some(words),
        ..Pages::new(&state.database, &description)
    };
    let app = server::complete_with(api, &state.database, pages);
    forwarded::trust(app, config.trusted_proxies.clone())
}

#[cfg(not(feature = "naive"))]
fn with_naive(routes: ApiRoutes<State>) -> ApiRoutes<State> {
    routes
}

/// The same things, read as they must not be.
#[cfg(feature = "naive")]
fn with_naive(routes: ApiRoutes<State>) -> ApiRoutes<State> {
    use crate::naive;
    routes
        .route("/naive/collections/{id}/", get(naive::collection))
        .route("/naive/deals/{listing_id}/{token}/", get(naive::share))
}

fn routes() -> ApiRoutes<State> {
    ApiRoutes::under("/v1")
        .route(
            "/collections/",
            get(collection::list).post(collection::create),
        )
        .route("/collections/discover/", get(collection::discover))
        .route("/collections/public/{id}/", get(collection::public))
        .route("/collections/shared/{token}/", get(collection::shared))
        .route(
            "/collections/{id}/",
            get(collection::view)
                .patch(collection::change)
                .delete(collection::remove),
        )
        .route("/collections/{id}/visibility/", patch(collection::show_to))
        .route("/collections/{id}/copy/", post(collection::copy))
        .route("/collections/{id}/export/", get(collection::export))
        .route("/collections/{id}/items/", post(collection::add_item))
        .route(
            "/collections/{id}/items/{item_id}/",
            patch(collection::change_item).delete(collection::remove_item),
        )
        .route(
            "/collections/{id}/share-tokens/",
            get(collection::links).post(collection::new_link),
        )
        .route(
            "/collections/{id}/share-tokens/{token}/",
            delete(collection::end_link),
        )
        .route("/listings/", get(listing::list).post(listing::create))
        .route("/listings/paginated/", get(listing::page))
        .route(
            "/listings/{id}/",
            get(listing::detail)
                .put(listing::replace)
                .patch(listing::change)
                .delete(listing::remove),
        )
        .route(
            "/listings/{id}/share/",
            get(share::list).post(share::create),
        )
        .route("/listings/{id}/share/{token}/", delete(share::revoke))
        .route("/deals/{listing_id}/{token}/", get(share::page))
        .route(
            "/user-shares/",
            get(user_share::inbox).post(user_share::send),
        )
        .route("/user-shares/sent/", get(user_share::sent))
        .route("/user-shares/{token}/", get(user_share::preview))
        .route("/user-shares/{token}/import/", post(user_share::import))
        .route("/notifications/", get(notification::list))
        .route(
            "/notifications/unread-count/",
            get(notification::unread_count),
        )
        .route(
            "/notifications/{id}/read/",
            patch(notification::read).post(notification::read),
        )
        .route(
            "/notifications/mark-all-read/",
            post(notification::read_all),
        )
        .route("/notifications/read-all/", post(notification::read_all))
        .route("/notifications/{id}/", delete(notification::remove))
        .route("/notifications/cleanup/", post(notification::clean_up))
}
