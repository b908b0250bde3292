//! From an address to a place on the map.

mod gazetteer;
mod nominatim;
mod pace;
mod remote;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use service_kit::config::ConfigError;

pub use gazetteer::Gazetteer;
pub(crate) use gazetteer::{PLACES, Place};

use crate::{
    geo::Point,
    geocoder::{
        nominatim::{Nominatim, PUBLIC_HOST, PUBLIC_INTERVAL},
        remote::{Remote, Settings},
    },
};

/// Why an address has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeocodeError {
    /// There is no such address: the caller should correct it.
    #[error("the address is not known")]
    NotFound,
    /// Nobody can be asked now: the caller should try again.
    #[error("addresses cannot be looked up at the moment")]
    Unavailable,
}

/// What a lookup comes to.
pub type Lookup<'a> = Pin<Box<dyn Future<Output = Result<Point, GeocodeError>> + Send + 'a>>;

/// Finds the place of an address.
pub trait Geocoder: Send + Sync {
    /// The place, to six decimals of a degree.
    fn locate<'a>(&'a self, address: &'a str) -> Lookup<'a>;
}

/// Longest time limit of a lookup, in seconds: nobody waits longer for a form.
const LONGEST_S: u64 = 60;

/// The geocoder that the environment names: `GEOCODER` is `gazetteer` (the default) or
/// `nominatim`; `NOMINATIM_URL` is where that one is, `GEOCODER_TIMEOUT_S` how long one
/// lookup may take in all.
///
/// # Errors
/// The first variable that cannot be used, with what to do about it.
pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Arc<dyn Geocoder>, ConfigError> {
    let get = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
    match get("GEOCODER").as_deref().map(str::trim) {
        None | Some("gazetteer") => Ok(Arc::new(Gazetteer)),
        Some("nominatim") => {
            let url = url(get("NOMINATIM_URL"))?;
            let settings = Settings {
                interval: interval(&url),
                ..Settings::within(timeout(get("GEOCODER_TIMEOUT_S"))?)
            };
            tracing::info!(%url, "addresses are looked up with Nominatim");
            let nominatim = Nominatim::new(url).map_err(|error| ConfigError {
                variable: "GEOCODER",
                problem: format!("the HTTPS client cannot start: {error}"),
                remedy: "install the certificates of the system (Debian: ca-certificates), or use gazetteer"
                    .to_owned(),
            })?;
            Ok(Arc::new(Remote::new(nominatim, settings)))
        }
        Some(other) => Err(ConfigError {
            variable: "GEOCODER",
            problem: format!("`{other}` is unknown"),
            remedy: "use gazetteer or nominatim".to_owned(),
        }),
    }
}

/// Eight seconds unless told otherwise: less than a request may take, with two tries in it.
fn timeout(value: Option<String>) -> Result<Duration, ConfigError> {
    let Some(text) = value else {
        return Ok(Duration::from_secs(8));
    };
    match text.trim().parse() {
        Ok(seconds @ 1..=LONGEST_S) => Ok(Duration::from_secs(seconds)),
        _ => Err(ConfigError {
            variable: "GEOCODER_TIMEOUT_S",
            problem: format!("`{text}` is not a number in range"),
            remedy: format!("give a whole number from 1 to {LONGEST_S}"),
        }),
    }
}

/// Time between requests: whoever runs a server of their own decides about its load.
fn interval(url: &reqwest::Url) -> Duration {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    if host == PUBLIC_HOST {
        PUBLIC_INTERVAL
    } else {
        Duration::ZERO
    }
}

fn url(value: Option<String>) -> Result<reqwest::Url, ConfigError> {
    let error = |problem: &str| ConfigError {
        variable: "NOMINATIM_URL",
        problem: problem.to_owned(),
        remedy: format!("write it like https://{PUBLIC_HOST} or http://127.0.0.1:8088/nominatim"),
    };
    let text = value.unwrap_or_else(|| format!("https://{PUBLIC_HOST}"));
    let url: reqwest::Url = text.trim().parse().map_err(|_| error("it is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error("it is not an http or https URL"));
    }
    // What stands there would be in every log line that names the URL.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error("it has a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(error("it has a query or a fragment"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Arc<dyn Geocoder>, ConfigError> {
        from_env(|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    }

    #[tokio::test]
    async fn nothing_set_needs_no_network() {
        for pairs in [&[][..], &[("GEOCODER", " ")], &[("GEOCODER", "gazetteer")]] {
            let geocoder = with(pairs).unwrap();
            let zurich = geocoder.locate("8001 Zürich").await.unwrap();
            assert_eq!((zurich.lat, zurich.lng), (47.3769, 8.5417));
        }
    }

    #[test]
    fn only_the_public_server_is_spared() {
        let interval_of = |text: Option<&str>| interval(&url(text.map(str::to_owned)).unwrap());
        for public in [
            None,
            Some("https://nominatim.openstreetmap.org/"),
            Some("http://NOMINATIM.OpenStreetMap.org.:80/x"),
        ] {
            assert_eq!(interval_of(public), Duration::from_secs(1), "{public:?}");
        }
        assert_eq!(interval_of(Some("http://127.0.0.1:8088")), Duration::ZERO);
    }

    #[test]
    fn errors_name_the_variable_and_what_to_do() {
        for (variable, value) in [
            ("GEOCODER", "google"),
            ("NOMINATIM_URL", "nominatim.example.org"),
            ("NOMINATIM_URL", "ftp://example.org"),
            ("NOMINATIM_URL", "https://user:hunter2@example.org"),
            ("NOMINATIM_URL", "https://example.org/?key=hunter2"),
            ("GEOCODER_TIMEOUT_S", "0"),
            ("GEOCODER_TIMEOUT_S", "61"),
            ("GEOCODER_TIMEOUT_S", "5s"),
        ] {
            let error = with(&[(variable, value), ("GEOCODER", "nominatim")])
                .err()
                .unwrap();
            assert_eq!(error.variable, variable, "{value}");
            assert!(!error.remedy.is_empty() && !error.to_string().contains("hunter2"));
        }
    }
}
