//! A running service for one test, and a client for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use flyers::{
    MIGRATIONS, app,
    feed::DefaultRadius,
    geocoder::{Gazetteer, Geocoder},
    seed::Plan,
    surroundings::Surroundings,
};
use serde_json::Value;
use service_kit::{
    config::Config,
    database::{Database, Dialect, Query, Record, Transaction, Wording, query},
    image::{ImageOptions, Images},
    server::{self, ServeError},
    storage::{Storage, StorageUrl},
};
use speedwell_trace::{Observation, Options, Request, Sink, TraceId};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::place::Place;

/// A service of its own for one test; stops when dropped.
pub(crate) struct Running {
    pub(crate) origin: String,
    pub(crate) database: Database,
    pub(crate) storage: Storage,
    pub(crate) runtime: Runtime,
    agent: ureq::Agent,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), ServeError>>,
    /// Dropped after everything that uses it.
    place: Place,
}

/// The folder of stored files in the folder of a test.
const MEDIA: &str = "media";

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
    trace: TraceId,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks the status and gives the JSON.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The messages of a 400.
    pub(crate) fn fields(&self) -> Vec<String> {
        let json = self.expect(400);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        json["fields"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }

    /// The request as the tracing layer saw it.
    pub(crate) fn seen(&self) -> Arc<Request> {
        // The span closes after the answer is on its way.
        for _ in 0..500 {
            if let Some(request) = SEEN.get().unwrap().0.lock().unwrap().remove(&self.trace) {
                return request;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("the layer did not report the request");
    }
}

#[derive(Default)]
struct Seen(Mutex<HashMap<TraceId, Arc<Request>>>);

static SEEN: OnceLock<Arc<Seen>> = OnceLock::new();

impl Sink for Seen {
    fn request(&self, request: &Arc<Request>, _: &Observation) {
        self.0
            .lock()
            .unwrap()
            .insert(request.trace_id, Arc::clone(request));
    }
}

fn watch() {
    SEEN.get_or_init(|| {
        let seen = Arc::new(Seen::default());
        let layer =
            speedwell_trace::layer(Options::new(), vec![Arc::clone(&seen) as Arc<dyn Sink>]);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer))
            .unwrap();
        seen
    });
}

impl Running {
    /// With an empty database.
    pub(crate) fn empty() -> Self {
        Self::start(&[], Arc::new(Gazetteer))
    }

    /// With an empty database, variables of the environment, and a geocoder.
    pub(crate) fn start(environment: &[(&str, &str)], geocoder: Arc<dyn Geocoder>) -> Self {
        Self::at(Place::new(), environment, geocoder)
    }

    /// Like [`Running::start`], over an empty database of the caller's choice.
    pub(crate) fn at(
        place: Place,
        environment: &[(&str, &str)],
        geocoder: Arc<dyn Geocoder>,
    ) -> Self {
        watch();
        let lookup = |name: &str| match name {
            "DATABASE_URL" => Some(place.url().to_owned()),
            "JWT_SECRET" => Some("a secret of the tests, long enough".to_owned()),
            _ => environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned()),
        };
        let config = Config::from_lookup("flyers", lookup).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let storage = Storage::open(&StorageUrl::Folder(place.folder().join(MEDIA))).unwrap();
        let (stop, stopped) = oneshot::channel();
        let (origin, database, served) = runtime.block_on(async {
            let database = Database::open(&config.database, config.connections)
                .await
                .unwrap();
            database.migrate(MIGRATIONS).await.unwrap();
            let surroundings = Surroundings {
                geocoder,
                storage: storage.clone(),
                images: Images::start(ImageOptions::default()).unwrap(),
                radius: DefaultRadius::from_env(lookup).unwrap(),
            };
            let router = app::build_with(&config, database.clone(), surroundings)
                .await
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let origin = format!("http://{}", listener.local_addr().unwrap());
            let stopped = async {
                // A test that drops the service without a word does not stop it either.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let served = server::serve(listener, router, database.clone(), stopped);
            (origin, database, tokio::spawn(served))
        });
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // The server hangs up after an answer to a body that it did not read.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .build()
            .into();
        Self {
            origin,
            database,
            storage,
            runtime,
            agent,
            stop: Some(stop),
            served,
            place,
        }
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> &str {
        self.place.url()
    }

    /// The folder of stored files.
    pub(crate) fn media(&self) -> std::path::PathBuf {
        self.place.folder().join(MEDIA)
    }

    /// Tells the service to stop, as a signal does.
    pub(crate) fn tell_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until the service has ended.
    pub(crate) fn ended(self) -> Result<(), ServeError> {
        self.runtime.block_on(self.served).unwrap()
    }

    /// With seeded flyers.
    pub(crate) fn seeded(scale: u32) -> Self {
        let running = Self::empty();
        let plan = Plan {
            scale,
            seed: 7,
            ..Plan::default()
        };
        running
            .runtime
            .block_on(flyers::seed::run(&running.database, &plan))
            .unwrap();
        running
    }

    /// The client, for requests with a body or an answer of their own.
    pub(crate) fn agent(&self) -> ureq::Agent {
        self.agent.clone()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_as(&self, token: &str, path: &str) -> Answer {
        self.get_with(path, &[("authorization", &format!("Bearer {token}"))])
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let (trace, traceparent) = new_trace();
        let mut request = self
            .agent
            .get(format!("{}{path}", self.origin))
            .header("traceparent", traceparent);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request.call().unwrap(), trace)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(path, None, "application/json", &body.to_string())
    }

    pub(crate) fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        self.send(path, Some(token), "application/json", &body.to_string())
    }

    pub(crate) fn send(&self, path: &str, token: Option<&str>, kind: &str, body: &str) -> Answer {
        self.send_as("POST", path, token, kind, body.as_bytes())
    }

    /// Any request with a body.
    pub(crate) fn send_as(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        kind: &str,
        body: &[u8],
    ) -> Answer {
        let mut headers = vec![("content-type", kind.to_owned())];
        headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
        self.send_with(method, path, &headers, body)
    }

    /// Any request with a body and headers.
    pub(crate) fn send_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: &[u8],
    ) -> Answer {
        let (trace, traceparent) = new_trace();
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header("traceparent", traceparent);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(body).unwrap();
        // Some tests send a body where there is none to be.
        let sent = self.agent.run(request);
        answer(sent.unwrap(), trace)
    }

    /// A new account: token and user id.
    pub(crate) fn register(&self, email: &str) -> (String, i64) {
        let body = serde_json::json!({ "email": email, "password": "Abcdefg1" });
        let json = self.post("/api/v1/auth/register/", &body).expect(201);
        (
            json["token"].as_str().unwrap().to_owned(),
            json["user_id"].as_i64().unwrap(),
        )
    }

    /// A live flyer made through the API.
    pub(crate) fn flyer(&self, token: &str, title: &str, category: &str, address: &str) -> i64 {
        let body = serde_json::json!({
            "title": title, "category_tags": [category], "location_address": address,
        });
        self.publish(token, &body).expect(201)["id"]
            .as_i64()
            .unwrap()
    }

    /// Moves the dates of a flyer; the API refuses dates in the past.
    pub(crate) fn set_dates(&self, id: i64, from: DateTime<Utc>, until: DateTime<Utc>) {
        let sql = "UPDATE flyers SET publication_date = $2, expiration_date = $3 WHERE id = $1";
        self.run(query(sql).bind(id).bind(from).bind(until));
    }

    /// Moves a flyer to another place.
    pub(crate) fn set_place(&self, id: i64, lat: f64, lng: f64) {
        let sql = "UPDATE flyers SET latitude = $2, longitude = $3 WHERE id = $1";
        self.run(query(sql).bind(id).bind(lat).bind(lng));
    }

    /// Runs a statement, however long it takes; gives the number of rows affected.
    pub(crate) fn execute(&self, sql: impl Into<Wording>) -> u64 {
        self.run(query(sql))
    }

    /// Like [`Running::execute`], with values.
    pub(crate) fn run(&self, query: Query) -> u64 {
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
    pub(crate) fn rows<T: Record>(&self, query: Query) -> Vec<T> {
        self.runtime
            .block_on(query.fetch_all(self.database.write()))
            .unwrap()
    }

    /// Fetches one value.
    pub(crate) fn value<T>(&self, sql: impl Into<Wording>) -> T
    where
        (T,): Record,
    {
        self.runtime
            .block_on(query(sql).fetch_scalar(self.database.write()))
            .unwrap()
    }

    /// Two hours ago and in two hours.
    pub(crate) fn around_now() -> (DateTime<Utc>, DateTime<Utc>) {
        let now = service_kit::clock::now();
        (now - TimeDelta::hours(2), now + TimeDelta::hours(2))
    }
}

/// Filling and changing many rows takes longer than a statement of a request may.
pub(crate) async fn take_time(tx: &mut Transaction) -> Result<(), sqlx::Error> {
    if tx.dialect() == Dialect::Postgres {
        query("SET LOCAL statement_timeout = 0").execute(tx).await?;
    }
    Ok(())
}

fn answer(mut response: ureq::http::Response<ureq::Body>, trace: TraceId) -> Answer {
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.body_mut().read_to_string().unwrap(),
        trace,
    }
}

fn new_trace() -> (TraceId, String) {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    let number = u128::from(NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) | 1 << 100;
    (
        TraceId(number.to_be_bytes()),
        format!("00-{number:032x}-00000000000000ab-01"),
    )
}

/// Ids of the rows of a page.
pub(crate) fn ids(page: &Value) -> Vec<i64> {
    page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect()
}
