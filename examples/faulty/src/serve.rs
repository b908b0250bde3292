//! The server: all routes, until somebody stops it.

use anyhow::Context;
use axum::{Router, extract::State, http::StatusCode, middleware, routing::get};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{Database, answer::Failure, cached::Cached, faults, healthy, observe};

/// All routes over one database, with one cache in memory.
///
/// # Errors
/// When the cache cannot be made.
pub async fn router(database: Database) -> anyhow::Result<Router> {
    let cached = Cached::new(database.clone()).await?;
    Ok(Router::new()
        .merge(faults::routes(cached.clone()))
        .merge(healthy::routes(cached))
        .layer(middleware::from_fn(observe::request_span))
        // Not a route of the shop, so not observed.
        .route("/ready", get(ready))
        .with_state(database))
}

/// Answers requests at `listen` (`127.0.0.1:8090`) until SIGINT or SIGTERM; requests that are under
/// way are finished first.
///
/// # Errors
/// When the address is not free or not an address.
pub async fn serve(database: Database, listen: &str) -> anyhow::Result<()> {
    let export = observe::start()?;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on `{listen}`; set LISTEN to a free address such as 127.0.0.1:8091")
    })?;
    let router = router(database.clone()).await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped())
        .await?;
    database.close().await;
    export.finish();
    Ok(())
}

/// Whether the database answers.
async fn ready(State(database): State<Database>) -> Result<StatusCode, Failure> {
    sqlx::query("SELECT 1").execute(&database.reads).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stopped() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
