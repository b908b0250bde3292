//! The document's bytes: from a file, or from a running service.

use std::{fs, time::Duration};

use speedwell_load::{Connection, Session, Step, Template};

use crate::load::{Target, TargetError};

/// A document that takes longer than this is not going to come.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("cannot read `{path}`: {reason}; give a file or http://host:port/openapi.json")]
    File { path: String, reason: String },
    #[error("`{url}`: {reason}")]
    Url { url: String, reason: String },
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Reads `place`, which is an address if it looks like one.
pub(super) async fn fetch(place: &str) -> Result<Vec<u8>, FetchError> {
    if !place.contains("://") {
        return fs::read(place).map_err(|error| FetchError::File {
            path: place.to_owned(),
            reason: error.to_string(),
        });
    }
    let wrong = |reason: String| FetchError::Url {
        url: place.to_owned(),
        reason,
    };
    if place.starts_with("https://") {
        return Err(wrong(
            "TLS is not spoken; fetch it with `curl -o openapi.json` and give the file".to_owned(),
        ));
    }
    let uri: http::Uri = place
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let base = place.strip_suffix(path).unwrap_or(place);
    let target: Target = base.parse().map_err(wrong)?;
    let mut step = Step::new("openapi", http::Method::GET, Template::literal(path));
    let host = Template::literal(&target.authority());
    step.headers.push((http::header::HOST, host));
    let prepared = Session::new(0, 0, None)
        .prepare(&step)
        .map_err(|error| wrong(error.to_string()))?;
    let mut connection = Connection::new(target.reach().await?, TIMEOUT);
    match connection.send(&prepared, None).await {
        Ok(answer) if answer.status.is_success() => Ok(answer.body.to_vec()),
        Ok(answer) => Err(wrong(format!("it answered {}", answer.status))),
        Err(error) => Err(wrong(error.to_string())),
    }
}
