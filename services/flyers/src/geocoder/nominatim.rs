//! Nominatim's search (<https://nominatim.org/release-docs/latest/api/Search/>): one
//! request for one address.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Client, Response, StatusCode, Url, header, redirect::Policy};
use serde::Deserialize;

use crate::{
    geo::Point,
    geocoder::remote::{Ask, AskError},
};

/// The server of the OpenStreetMap Foundation.
pub(crate) const PUBLIC_HOST: &str = "nominatim.openstreetmap.org";
/// At most one request a second
/// (<https://operations.osmfoundation.org/policies/nominatim/>).
pub(crate) const PUBLIC_INTERVAL: Duration = Duration::from_secs(1);

/// Papers m01-e01-t03; the public server refuses the names of libraries.
const USER_AGENT: &str = "PockitFlyer/1.0";
/// One hit has about 600 bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A client of one server.
#[derive(Debug)]
pub(crate) struct Nominatim {
    client: Client,
    search: Url,
}

/// The part of a hit that is needed. Nominatim writes degrees as texts.
#[derive(Deserialize)]
struct Hit {
    lat: String,
    lon: String,
}

impl Nominatim {
    /// A client of the server with this address.
    ///
    /// # Errors
    /// The system has no certificates to check a server by.
    pub(crate) fn new(mut url: Url) -> Result<Self, reqwest::Error> {
        // Fails only when a provider is installed already: then that one serves.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(USER_AGENT)
            // An answer from elsewhere is not the answer of the server that was chosen.
            .redirect(Policy::none())
            .build()?;
        let folder = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{folder}/search"));
        Ok(Self {
            client,
            search: url,
        })
    }
}

impl Ask for Nominatim {
    async fn ask(&self, address: &str) -> Result<Option<Point>, AskError> {
        let query = [("q", address), ("format", "jsonv2"), ("limit", "1")];
        let request = self.client.get(self.search.clone()).query(&query);
        // The URL holds the address, and that is nobody's business in a log.
        let broken = |error: reqwest::Error| AskError::passing(reason(error.without_url()));
        let mut response = request.send().await.map_err(broken)?;
        refuse_failures(&response)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST_ANSWER {
                return Err(AskError::lasting("the answer is too long".to_owned()));
            }
        }
        read(&body).map_err(AskError::lasting)
    }
}

impl AskError {
    /// Another try may go better.
    fn passing(reason: String) -> Self {
        Self {
            reason,
            again: true,
            retry_after: None,
        }
    }

    /// Another try gets the same.
    fn lasting(reason: String) -> Self {
        Self {
            again: false,
            ..Self::passing(reason)
        }
    }
}

fn refuse_failures(response: &Response) -> Result<(), AskError> {
    let status = response.status();
    if status == StatusCode::OK {
        return Ok(());
    }
    let reason = format!("the server answers {status}");
    if status.is_redirection() {
        let remedy = "set NOMINATIM_URL to where it leads";
        return Err(AskError::lasting(format!("{reason}; {remedy}")));
    }
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return Err(AskError::lasting(reason));
    }
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| wait(value.to_str().ok()?, Utc::now()));
    Err(AskError {
        retry_after,
        ..AskError::passing(reason)
    })
}

/// `Retry-After` is a number of seconds or a date (RFC 9110, 10.2.3).
fn wait(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

/// The first hit. The reason of a fault never repeats the answer.
fn read(body: &[u8]) -> Result<Option<Point>, String> {
    let hits: Vec<Hit> = serde_json::from_slice(body)
        .map_err(|error| format!("the answer is not a list of places: {:?}", error.classify()))?;
    let Some(hit) = hits.first() else {
        return Ok(None);
    };
    let place = hit.lat.parse().ok().zip(hit.lon.parse().ok());
    match place.and_then(|(lat, lng)| Point::new(lat, lng)) {
        Some(place) => Ok(Some(Point {
            lat: six_decimals(place.lat),
            lng: six_decimals(place.lng),
        })),
        None => Err("the answer has a place that is not on the globe".to_owned()),
    }
}

/// A tenth of a metre: what the database keeps.
fn six_decimals(degrees: f64) -> f64 {
    (degrees * 1e6).round() / 1e6
}

/// The innermost cause says what happened; the outer ones say that something did.
fn reason(error: reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("{error}: {cause}")
}

#[cfg(test)]
mod tests;
