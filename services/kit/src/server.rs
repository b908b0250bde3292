//! Listening, the service's own pages (`/health`, `/metrics`, …) and an orderly end.

use std::{future::Future, io::ErrorKind, net::SocketAddr, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware::{from_fn, from_fn_with_state, map_response},
    response::{Html, IntoResponse, Response},
    routing::get,
    serve::ListenerExt as _,
};
use tokio::{net::TcpListener, signal::unix, sync::watch};
use utoipa::openapi::OpenApi;

use crate::{
    config::Config,
    database::Database,
    drain::drain_unread,
    metrics::Metrics,
    observe::observe,
    problem::{Problem, Reword, reword},
};

/// The service cannot start or was torn down.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (LISTEN): {reason}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system says and what to do.
        reason: String,
    },
    /// Signals cannot be received, or the listener broke.
    #[error("the server stopped: {0}")]
    Io(#[from] std::io::Error),
}

/// Requests still open when the service is told to stop get this long.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Own {
    database: Database,
    metrics: Metrics,
    openapi: std::sync::Arc<str>,
    health: std::sync::Arc<serde_json::Value>,
}

/// What the pages of a service show beside its API.
pub struct Pages<'a> {
    /// The description of the API: `/openapi.json` and `/docs`.
    pub openapi: &'a OpenApi,
    /// `/metrics`.
    pub metrics: Metrics,
    /// Problems in other words.
    pub words: Option<Reword>,
    /// What `/health` answers while the process lives.
    pub health: serde_json::Value,
}

impl<'a> Pages<'a> {
    /// The usual ones.
    pub fn new(database: &Database, openapi: &'a OpenApi) -> Self {
        Self {
            openapi,
            metrics: Metrics::new(database),
            words: None,
            health: serde_json::json!({ "status": "ok" }),
        }
    }
}

/// An API with the pages that every service has, each request observed.
pub fn complete(api: Router, database: &Database, openapi: &OpenApi) -> Router {
    complete_with(api, database, Pages::new(database, openapi))
}

/// Like [`complete`], with pages that show more.
pub fn complete_with(api: Router, database: &Database, pages: Pages<'_>) -> Router {
    let Pages {
        openapi,
        metrics,
        words,
        health,
    } = pages;
    let openapi = openapi.to_json().unwrap_or_else(|_| "{}".to_owned()).into();
    let own = Own {
        database: database.clone(),
        metrics: metrics.clone(),
        openapi,
        health: health.into(),
    };
    let app = Router::new()
        .route(
            "/health",
            get(|State(own): State<Own>| async move { Json((*own.health).clone()) }),
        )
        .route("/ready", get(ready))
        .route(
            "/metrics",
            get(|State(own): State<Own>| async move { own.metrics.answer(&own.database) }),
        )
        .route("/openapi.json", get(description))
        .route("/docs", get(|| async { Html(include_str!("docs.html")) }))
        .with_state(own)
        .merge(api)
        .layer(map_response(explain_method));
    let app = match words {
        Some(words) => app.layer(from_fn_with_state(words, reword)),
        None => app,
    };
    app.layer(from_fn_with_state(metrics, observe))
        .layer(from_fn(drain_unread))
}

/// Gives axum's bare 405 a body; its `Allow` header is added on the way out.
async fn explain_method(response: Response) -> Response {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return Problem::method_not_allowed().into_response();
    }
    response
}

async fn ready(State(own): State<Own>) -> Response {
    match own.database.check().await {
        Ok(()) => Json(serde_json::json!({ "status": "ready" })).into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            Problem::unavailable("the database does not answer", Duration::from_secs(1))
                .into_response()
        }
    }
}

async fn description(State(own): State<Own>) -> Response {
    (
        StatusCode::OK,
        [(header::CONTENT_TYPE, "application/json")],
        own.openapi.to_string(),
    )
        .into_response()
}

/// Takes the address.
///
/// # Errors
/// Someone else has it, or it is not ours to take.
pub async fn listen(config: &Config) -> Result<TcpListener, ServeError> {
    TcpListener::bind(config.listen)
        .await
        .map_err(|error| ServeError::Listen {
            address: config.listen,
            reason: match error.kind() {
                ErrorKind::AddrInUse => {
                    "address in use; stop the other process or set LISTEN to another port"
                        .to_owned()
                }
                ErrorKind::PermissionDenied => "not permitted; choose a port above 1023".to_owned(),
                _ => format!("{error}; set LISTEN to an address of this machine"),
            },
        })
}

/// Serves until `stop` completes, lets open requests end, and closes the database.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    database: Database,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    serve_then(listener, app, database, stop, async {}).await
}

/// Like [`serve`], and does something `last` when all requests have ended, before the database is
/// closed.
///
/// # Errors
/// The listener broke.
pub async fn serve_then(
    listener: TcpListener,
    app: Router,
    database: Database,
    stop: impl Future<Output = ()> + Send + 'static,
    last: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let (told, mut hear) = watch::channel(false);
    let listener = listener.tap_io(|stream| {
        // An answer is written at once; waiting to fill a packet only delays it.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    // The address of the peer: sign-in counts failures by it.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        stop.await;
        tracing::info!("stopping: no new requests");
        // Nobody listens any more only when the server is gone already.
        let _gone = told.send(true);
    });
    tokio::select! {
        ended = async { server.await } => ended?,
        () = async {
            if hear.wait_for(|told| *told).await.is_ok() {
                tokio::time::sleep(GRACE).await;
            } else {
                std::future::pending::<()>().await;
            }
        } => tracing::warn!(grace_s = GRACE.as_secs(), "some requests did not end in time"),
    }
    last.await;
    database.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Completes when the process is asked to stop: SIGTERM or SIGINT.
///
/// # Errors
/// The system does not deliver signals.
pub fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, ServeError> {
    let mut terminate = unix::signal(unix::SignalKind::terminate())?;
    let mut interrupt = unix::signal(unix::SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_with_the_variable_and_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let config =
            Config::from_lookup("test", |name| (name == "LISTEN").then(|| address.clone()))
                .unwrap();
        let error = listen(&config).await.unwrap_err().to_string();
        let expected = format!(
            "cannot listen on {address} (LISTEN): address in use; stop the other process or set LISTEN to another port"
        );
        assert_eq!(error, expected);
    }
}
