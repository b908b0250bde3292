//! The page behind a link to a listing: from the cache or with one statement, counted each time.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State as FromState,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::{
    clock::now,
    database::{Database, query},
    id::Segments,
    page::Link as Url,
    problem::Problem,
};
use sqlx_macros::FromRow;

use super::{crawler::is_crawler, html};
use crate::{
    app::State,
    cached,
    listing::{JOINS, ListingSummary, SUMMARY, SummaryRow},
    token,
    views::Link,
};

/// A link and what it shows: all of it but the number of views.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SharePage {
    id: i64,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    /// As the database had them when the page was read.
    views: i64,
    crawler_views: i64,
    pub(super) listing: ListingSummary,
}

#[derive(FromRow)]
struct ShareRow {
    share_id: i64,
    share_created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    view_count: i64,
    crawler_views: i64,
    #[sqlx(flatten)]
    listing: SummaryRow,
}

/// What a link shows.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ShareAnswer {
    share_token: String,
    listing_id: i64,
    view_count: i64,
    is_expired: bool,
    share: ShareRead,
    listing: ListingSummary,
    og: OpenGraph,
}

/// The link itself.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ShareRead {
    token: String,
    listing_id: i64,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    view_count: i64,
}

/// What a preview of the link shows (<https://ogp.me>).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct OpenGraph {
    pub(super) title: String,
    pub(super) description: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) url: String,
    pub(super) image: Option<String>,
}

/// A listing by link
///
/// JSON, or a page with OpenGraph tags for who asks for HTML. Every GET counts as a view.
#[utoipa::path(get, path = "/api/v1/deals/{listing_id}/{token}/", tag = "shares", params(
    ("listing_id" = i64, Path, description = "The listing"),
    ("token" = String, Path, description = "The token of the link"),
), responses(
    (status = 200, description = "What the link shows", content(
        (ShareAnswer = "application/json"),
        (String = "text/html"),
    )),
    (status = 404, description = "There is no such link, or it has ended"),
))]
#[tracing::instrument(name = "shares.get_public_shared_deal", skip_all, fields(cache_hit))]
pub(crate) async fn page(
    FromState(state): FromState<State>,
    method: Method,
    path: Segments<2>,
    url: Url,
    headers: HeaderMap,
) -> Response {
    let wants_html = prefers_html(&headers);
    let found = show(&state, &method, &path, &url, &headers, wants_html).await;
    let mut response = match found {
        Ok(response) => response,
        Err(problem) if wants_html && problem.status() == StatusCode::NOT_FOUND => {
            let page = html::nothing("This link shows nothing any more");
            (StatusCode::NOT_FOUND, html_headers(), page.into_string()).into_response()
        }
        Err(problem) => problem.into_response(),
    };
    response
        .headers_mut()
        .append(header::VARY, HeaderValue::from_static("Accept"));
    response
}

async fn show(
    state: &State,
    method: &Method,
    path: &Segments<2>,
    url: &Url,
    headers: &HeaderMap,
    wants_html: bool,
) -> Result<Response, Problem> {
    let Segments([_, token]) = path;
    let listing = path.number(0).ok_or_else(unknown)?;
    let share = find(state, listing, token).await?;
    let views = match *method {
        Method::GET => {
            let views =
                state
                    .views
                    .count(Link::Listing(share.id), share.views, is_crawler(headers));
            tracing::trace!(
                target: speedwell_trace::ATTRIBUTE,
                view_incremented = true, listing_id = listing, share_token = token::shown(token),
            );
            views
        }
        _ => share.views,
    };
    let og = share.open_graph(url, token);
    if wants_html {
        return Ok((html_headers(), html::page(&share, &og, views).into_string()).into_response());
    }
    let answer = ShareAnswer {
        share_token: token.clone(),
        listing_id: listing,
        view_count: views,
        is_expired: false,
        share: ShareRead {
            token: token.clone(),
            listing_id: listing,
            created_at: share.created_at,
            expires_at: share.expires_at,
            view_count: views,
        },
        listing: share.listing.clone(),
        og,
    };
    Ok(Json(answer).into_response())
}

fn html_headers() -> [(header::HeaderName, HeaderValue); 3] {
    [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:",
            ),
        ),
    ]
}

/// `$1` token, `$2` listing.
static READ: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "SELECT h.id AS share_id, h.created_at AS share_created_at, h.expires_at, h.view_count, h.crawler_views, {SUMMARY}
FROM listing_share AS h
JOIN listing AS l ON l.id = h.listing_id{JOINS}
WHERE h.share_token = $1
  AND h.listing_id = $2"
    )
});

async fn read(
    database: &Database,
    listing: i64,
    token: &str,
) -> Result<Option<SharePage>, sqlx::Error> {
    let row: Option<ShareRow> = query(READ.as_str())
        .bind(token)
        .bind(listing)
        .fetch_optional(database.read())
        .await?;
    Ok(row.map(|row| SharePage {
        id: row.share_id,
        created_at: row.share_created_at,
        expires_at: row.expires_at,
        views: row.view_count,
        crawler_views: row.crawler_views,
        listing: row.listing.into(),
    }))
}

fn key(listing: i64, token: &str) -> String {
    format!("share:listing:{listing}:{token}")
}

fn tags(listing: i64, token: &str) -> [String; 2] {
    [cached::listing(listing), cached::share(token)]
}

/// What a link shows now; its end is looked at each time.
pub(super) async fn find(
    state: &State,
    listing: i64,
    token: &str,
) -> Result<Arc<SharePage>, Problem> {
    if !token::is_possible(token) {
        return Err(unknown());
    }
    let (database, wanted) = (state.database.clone(), token.to_owned());
    let load = move || async move { read(&database, listing, &wanted).await };
    let (key, tags) = (key(listing, token), tags(listing, token));
    let share: Option<Arc<SharePage>> =
        cached::find(&state.cache, &key, &cached::SHARE, tags, load).await?;
    let share = share.ok_or_else(unknown)?;
    match share.expires_at.is_some_and(|end| end <= now()) {
        true => Err(Problem::not_found("Share has expired")),
        false => Ok(share),
    }
}

fn unknown() -> Problem {
    Problem::not_found("Share not found")
}

impl SharePage {
    /// What a preview says: title, then price, value and score as far as they are known.
    fn open_graph(&self, url: &Url, token: &str) -> OpenGraph {
        let listing = &self.listing;
        let facts = [
            listing.price_usd.map(|price| format!("${price:.2}")),
            listing
                .adjusted_price_usd
                .map(|value| format!("adjusted value ${value:.2}")),
            listing
                .scores
                .composite
                .map(|score| format!("score {score:.1}")),
            listing.cpu.as_ref().map(|cpu| cpu.name.clone()),
        ];
        let facts: Vec<_> = facts.into_iter().flatten().collect();
        OpenGraph {
            title: listing.title.clone(),
            description: match facts.is_empty() {
                true => "A deal that somebody shared with you".to_owned(),
                false => facts.join(" · "),
            },
            kind: "website",
            url: format!("{}/api/v1/deals/{}/{token}", url.origin(), listing.id),
            image: listing.thumbnail_url.clone(),
        }
    }
}

/// Whether HTML stands before JSON in what the reader takes. Programs that make previews often
/// take anything and can only read HTML.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let weight = |wanted: &str| {
        accept
            .split(',')
            .filter_map(|range| weight_of(range, wanted))
            .fold(None, f64_max)
    };
    match (weight("text/html"), weight("application/json")) {
        (Some(html), Some(json)) => html > json,
        (Some(html), None) => html > 0.0,
        (None, Some(_)) => false,
        (None, None) => is_crawler(headers),
    }
}

fn f64_max(greatest: Option<f64>, weight: f64) -> Option<f64> {
    Some(greatest.map_or(weight, |greatest| greatest.max(weight)))
}

/// The weight of a media range (RFC 9110, 12.5.1), if it is this type and no wildcard.
fn weight_of(range: &str, wanted: &str) -> Option<f64> {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next()?;
    if !kind.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
    Some(weight.unwrap_or(1.0))
}

const POPULAR: &str = "
SELECT h.listing_id, h.share_token
FROM listing_share AS h
ORDER BY h.view_count DESC, h.id DESC
LIMIT $1";

/// Links that are read before anybody asks.
const WARM: i64 = 200;
/// A Redis that has just started is trusted after 1.5 s; without one, nothing would be kept.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many at a time.
const AT_A_TIME: usize = 4;

/// Reads the links that were looked at most; says how many are cached now.
///
/// # Errors
/// The database fails.
pub async fn warm_up(state: &State) -> Result<u64, sqlx::Error> {
    if !state.cache.ready(PATIENCE).await {
        return Ok(0);
    }
    let popular: Vec<(i64, String)> = query(POPULAR)
        .bind(WARM)
        .fetch_all(state.database.read())
        .await?;
    let database = state.database.clone();
    let keys: Vec<_> = popular
        .iter()
        .map(|(listing, token)| (key(*listing, token), tags(*listing, token)))
        .collect();
    let load = move |key: String| {
        let database = database.clone();
        async move {
            let mut parts = key.splitn(4, ':').skip(2);
            let listing = parts.next().and_then(|listing| listing.parse().ok());
            let token = parts.next().unwrap_or_default();
            let share = read(&database, listing.unwrap_or_default(), token).await?;
            share.ok_or(sqlx::Error::RowNotFound)
        }
    };
    Ok(state
        .cache
        .warm_up(keys, &cached::SHARE, AT_A_TIME, load)
        .await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(accept: Option<&'static str>, agent: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        if let Some(accept) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        }
        prefers_html(&headers)
    }

    #[test]
    fn browsers_and_crawlers_get_a_page_and_programs_json() {
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        assert!(asks(Some(browser), "Firefox"));
        assert!(asks(Some("*/*"), "facebookexternalhit/1.1"));
        assert!(asks(None, "Twitterbot/1.0"));
        for accept in [
            None,
            Some("*/*"),
            Some("application/json"),
            Some("application/json, text/html;q=0.5"),
            Some("text/html;q=0"),
        ] {
            assert!(!asks(accept, "curl/8"), "{accept:?}");
        }
    }
}
