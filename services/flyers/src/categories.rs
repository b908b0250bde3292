//! What flyers are about.

use std::sync::Arc;

use axum::{
    Json,
    extract::State as FromState,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use service_kit::{
    database::{Database, query},
    problem::Problem,
};

use crate::app::State;

pub(crate) const ACTIVE: &str = "
SELECT id, name, slug
FROM categories
WHERE is_active
ORDER BY display_order, id";

const ALL: &str = "
SELECT id, name, slug
FROM categories
ORDER BY id";

/// One category.
#[derive(Debug, Clone, Serialize, sqlx_macros::FromRow, utoipa::ToSchema)]
pub(crate) struct Category {
    id: i64,
    name: String,
    slug: String,
}

/// All categories.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct All {
    categories: Vec<Category>,
}

/// Names and ids, read once at start: migrations alone change them.
#[derive(Debug, Clone)]
pub(crate) struct Categories(Arc<[Category]>);

impl Categories {
    pub(crate) async fn load(database: &Database) -> Result<Self, sqlx::Error> {
        let all: Vec<Category> = query(ALL).fetch_all(database.read()).await?;
        Ok(Self(all.into()))
    }

    pub(crate) fn slug(&self, id: i64) -> Option<&str> {
        self.0
            .iter()
            .find(|category| category.id == id)
            .map(|category| category.slug.as_str())
    }

    /// Ids of slugs, each once.
    ///
    /// # Errors
    /// A message that names the slug nobody knows and those that there are.
    pub(crate) fn ids<'a>(&self, slugs: impl Iterator<Item = &'a str>) -> Result<Vec<i64>, String> {
        let mut ids = slugs
            .map(str::trim)
            .filter(|slug| !slug.is_empty())
            .map(|slug| {
                let found = self.0.iter().find(|category| category.slug == slug);
                found.map(|category| category.id).ok_or_else(|| {
                    let known: Vec<_> = self.0.iter().map(|one| one.slug.as_str()).collect();
                    format!(
                        "`{}` is unknown; there are {}",
                        shortened(slug),
                        known.join(", ")
                    )
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// All categories
///
/// Active ones in display order. May be kept for an hour.
#[utoipa::path(get, path = "/api/v1/categories/", responses(
    (status = 200, description = "All categories", body = All),
))]
pub(crate) async fn list(FromState(state): FromState<State>) -> Result<Response, Problem> {
    let categories: Vec<Category> = query(ACTIVE).fetch_all(state.database.read()).await?;
    let body = Json(All { categories });
    Ok(([(header::CACHE_CONTROL, "public, max-age=3600")], body).into_response())
}
