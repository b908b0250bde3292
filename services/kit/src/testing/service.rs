//! A service that runs for one test.

use std::{future::Future, ops::Deref};

use axum::Router;
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

use super::{Client, Place, watch};
use crate::{
    config::Config,
    database::{Database, Dialect, Migrations, Query, Record, Transaction, Wording, query},
    server::{self, ServeError},
};

/// A service of its own for one test, and its client; stops when dropped.
#[derive(Debug)]
pub struct Service {
    /// Its client; the service can be used as one.
    pub client: Client,
    /// Its database.
    pub database: Database,
    /// What it runs in.
    pub runtime: Runtime,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), ServeError>>,
    /// Dropped after everything that uses it.
    place: Place,
}

impl Deref for Service {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// The configuration of a test: the database of the place, a secret, and these variables.
pub fn config(service: &'static str, place: &Place, environment: &[(&str, &str)]) -> Config {
    let usual = [
        ("DATABASE_URL", place.url()),
        ("JWT_SECRET", "a secret of the tests, long enough"),
    ];
    let lookup = |name: &str| {
        let mut all = environment.iter().chain(&usual);
        all.find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    Config::from_lookup(service, lookup).unwrap()
}

impl Service {
    /// Starts what `build` makes over the migrated database of the place; `last` is done when the
    /// service is told to stop and all requests have ended.
    pub fn start<L: Future<Output = ()> + Send + 'static>(
        place: Place,
        config: &Config,
        migrations: Migrations,
        build: impl AsyncFnOnce(Database) -> (Router, L),
    ) -> Self {
        watch(Vec::new());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let (origin, database, served) = runtime.block_on(async {
            let database =
                Database::open_planned(&config.database, config.connections, config.planning)
                    .await
                    .unwrap();
            database.migrate(migrations).await.unwrap();
            let (router, last) = build(database.clone()).await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("http://{}", listener.local_addr().unwrap());
            let stopped = async {
                // A test that drops the service without a word does not stop it either.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let served = server::serve_then(listener, router, database.clone(), stopped, last);
            (origin, database, tokio::spawn(served))
        });
        Self {
            client: Client::of(origin),
            database,
            runtime,
            stop: Some(stop),
            served,
            place,
        }
    }

    /// The URL of its database.
    pub fn url(&self) -> &str {
        self.place.url()
    }

    /// The folder of the test.
    pub fn folder(&self) -> &std::path::Path {
        self.place.folder()
    }

    /// Tells the service to stop, as a signal does.
    pub fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the service has ended.
    ///
    /// # Errors
    /// What the server says.
    pub fn ended(self) -> Result<(), ServeError> {
        self.runtime.block_on(self.served).unwrap()
    }

    /// Runs a statement, however long it takes; gives the number of rows affected.
    pub fn execute(&self, sql: impl Into<Wording>) -> u64 {
        self.run(query(sql))
    }

    /// Like [`Service::execute`], with values.
    pub fn run(&self, query: Query) -> u64 {
        self.runtime
            .block_on(async {
                let mut tx = self.database.begin().await?;
                take_time(&mut tx).await?;
                let rows = query.execute(&mut tx).await?;
                tx.commit().await?;
                Ok::<_, sqlx::Error>(rows)
            })
            .unwrap()
    }

    /// Fetches rows. The connection that writes does it: on SQLite it is the one that
    /// knows the newest statistics.
    pub fn rows<T: Record>(&self, query: Query) -> Vec<T> {
        self.runtime
            .block_on(query.fetch_all(self.database.write()))
            .unwrap()
    }

    /// Fetches one value.
    pub fn value<T>(&self, sql: impl Into<Wording>) -> T
    where
        (T,): Record,
    {
        self.runtime
            .block_on(query(sql).fetch_scalar(self.database.write()))
            .unwrap()
    }
}

/// Filling and changing many rows takes longer than a statement of a request may.
///
/// # Errors
/// The database fails.
pub async fn take_time(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Postgres {
        query("SET LOCAL statement_timeout = 0").execute(tx).await?;
    }
    Ok(())
}
