//! Routes with one planted fault each. Every handler says what is wrong and how it would be right.

mod caching;
mod lists;
mod n_plus_one;
mod pages;
mod plans;
mod repeated;
mod search;
mod writes;

use axum::Router;

use crate::{Database, cached::Cached};

/// All routes of this folder.
pub(crate) fn routes(cached: Cached) -> Router<Database> {
    Router::new()
        .merge(n_plus_one::routes())
        .merge(repeated::routes())
        .merge(plans::routes())
        .merge(lists::routes())
        .merge(pages::routes())
        .merge(search::routes())
        .merge(writes::routes())
        .merge(caching::routes().with_state(cached))
}
