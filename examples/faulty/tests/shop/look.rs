//! The shop as an outsider sees it: every route of `speedwell.toml` is asked at two scales and two
//! page sizes, and every statement that it runs is noted and explained. What only reads is first asked
//! by several at the same moment, while the cache is empty.
//!
//! Nothing of Speedwell is used here, so that the list of faults does not rest on what it tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::OnceLock,
    time::Duration,
};

use faulty::{Database, router, seed};
use serde_json::Value;

use crate::{
    configuration::{Probe, probes},
    explain::{self, Catalogue, Plan},
    listen::{self, Notes, Seen, Used},
};

/// Scales that tell growth from chance, and are quick to make.
pub(crate) const SCALES: [i64; 2] = [1_000, 10_000];

/// How many ask at the same moment while the cache is empty.
const CROWD: usize = 5;

/// One request and everything that it did.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Method and template, as the router matched it.
    pub(crate) route: String,
    pub(crate) scale: i64,
    /// 0 for a route without pages.
    pub(crate) page_size: i64,
    pub(crate) answer: Value,
    pub(crate) statements: Vec<Seen>,
    pub(crate) cache: Vec<Used>,
    /// What those did who asked before, all at the same moment; nobody did for what writes.
    pub(crate) cold: Notes,
}

impl Asked {
    /// Reads of the cache, whatever came of them.
    pub(crate) fn reads(&self) -> usize {
        let reads = self.cache.iter().filter(|used| used.operation == "read");
        reads.count()
    }

    /// The statements that ran only while the cache was empty: what is in it is made of them.
    pub(crate) fn behind_the_cache(&self) -> impl Iterator<Item = &Seen> {
        let runs = |cold: &&Seen| self.statements.iter().any(|seen| seen.text == cold.text);
        (self.cold.statements.iter()).filter(move |cold| !runs(cold))
    }

    /// Rows fetched by all statements.
    pub(crate) fn rows(&self) -> u64 {
        self.statements.iter().map(|statement| statement.rows).sum()
    }

    /// Rows that the answer shows: elements of its arrays, at any depth.
    pub(crate) fn rows_answered(&self) -> u64 {
        fn count(value: &Value) -> u64 {
            match value {
                Value::Array(rows) => rows.len() as u64 + rows.iter().map(count).sum::<u64>(),
                Value::Object(fields) => fields.values().map(count).sum(),
                _ => 0,
            }
        }
        count(&self.answer)
    }

    /// How often each text ran.
    pub(crate) fn executions(&self) -> BTreeMap<&str, u64> {
        let mut executions = BTreeMap::new();
        for statement in &self.statements {
            *executions.entry(statement.text.as_str()).or_default() += 1;
        }
        executions
    }
}

/// Everything that was seen of the shop.
pub(crate) struct Shop {
    pub(crate) asked: Vec<Asked>,
    /// Tables that have more rows at the larger scale.
    pub(crate) growing: BTreeSet<String>,
    /// The database at both scales, with statistics and without.
    pub(crate) catalogues: Vec<Catalogue>,
}

impl Shop {
    /// The requests of one route.
    pub(crate) fn of(&self, route: &str) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(move |asked| asked.route == route)
    }

    /// All routes that were matched.
    pub(crate) fn routes(&self) -> BTreeSet<String> {
        self.asked.iter().map(|asked| asked.route.clone()).collect()
    }

    /// Every plan of every statement of every route, at both scales, with statistics and without.
    pub(crate) fn plans(&self) -> impl Iterator<Item = (&Asked, &Seen, &Plan)> {
        self.asked.iter().flat_map(move |asked| {
            asked.statements.iter().flat_map(move |seen| {
                self.catalogues
                    .iter()
                    .map(move |catalogue| (asked, seen, catalogue.plan(seen)))
            })
        })
    }

    /// The smallest and the largest of a number over the requests of one route at one page size,
    /// from the smaller scale to the larger.
    pub(crate) fn by_scale(&self, route: &str, number: impl Fn(&Asked) -> u64) -> Vec<(u64, u64)> {
        let at = |scale: i64| self.of(route).filter(move |asked| asked.scale == scale);
        at(SCALES[0])
            .filter_map(|small| {
                let large = at(SCALES[1]).find(|large| large.page_size == small.page_size)?;
                Some((number(small), number(large)))
            })
            .collect()
    }
}

/// The shop, looked at once for all tests of a process.
pub(crate) fn shop() -> &'static Shop {
    static SHOP: OnceLock<Shop> = OnceLock::new();
    SHOP.get_or_init(|| {
        // Tests may run inside a runtime of their own, and one cannot block inside another.
        std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(look()))
            .join()
            .unwrap()
    })
}

/// A fresh database with `scale` items.
pub(crate) async fn seeded(folder: &Path, scale: i64) -> Database {
    let url = format!("sqlite:{}", folder.join(format!("{scale}.db")).display());
    let database = Database::open(&url).await.unwrap();
    seed::seed(&database, scale).await.unwrap();
    database
}

async fn look() -> Shop {
    listen::start();
    let folder = tempfile::tempdir().unwrap();
    let mut asked = Vec::new();
    let mut sizes = Vec::new();
    let mut databases = Vec::new();
    for scale in SCALES {
        let database = seeded(folder.path(), scale).await;
        asked.extend(ask_everything(database.clone(), scale).await);
        sizes.push(explain::table_sizes(&database).await);
        databases.push(database);
    }
    let statements = asked.iter().flat_map(|asked| &asked.statements);
    let texts: BTreeSet<&str> = statements.map(|seen| seen.text.as_str()).collect();
    let mut catalogues = Vec::new();
    for database in databases {
        let bare = explain::without_statistics(&database, folder.path()).await;
        catalogues.push(Catalogue::read(&database.reads, &texts).await);
        catalogues.push(Catalogue::read(&bare, &texts).await);
        bare.close().await;
        database.close().await;
    }
    let growing = sizes[1]
        .iter()
        .filter(|(table, rows)| sizes[0][*table] < **rows)
        .map(|(table, _)| table.clone())
        .collect();
    Shop {
        asked,
        growing,
        catalogues,
    }
}

async fn ask_everything(database: Database, scale: i64) -> Vec<Asked> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = router(database).await.unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let asked = tokio::task::spawn_blocking(move || {
        let mut captured = BTreeMap::from([("scale".to_owned(), vec![scale.to_string()])]);
        let mut asked = Vec::new();
        for probe in probes() {
            for page_size in probe.page_sizes() {
                captured.insert("page_size".to_owned(), vec![page_size.to_string()]);
                let server = format!("http://{address}");
                let cold = ask_at_once(&probe, &server, &captured);
                let answer = probe.send(&server, &captured);
                let notes = noted();
                probe.capture(&answer, &mut captured);
                asked.push(Asked {
                    route: notes.route,
                    scale,
                    page_size,
                    answer,
                    statements: notes.statements,
                    cache: notes.cache,
                    cold,
                });
            }
        }
        asked
    })
    .await
    .unwrap();
    server.abort();
    asked
}

/// What a crowd does that asks for the same; nobody asks for what writes.
fn ask_at_once(probe: &Probe, server: &str, captured: &BTreeMap<String, Vec<String>>) -> Notes {
    listen::drain();
    if probe.only_reads() {
        std::thread::scope(|scope| {
            for _ in 0..CROWD {
                scope.spawn(|| probe.send(server, captured));
            }
        });
    }
    noted()
}

/// A statement that was left before its last row is logged by the worker's thread, at times after
/// the answer.
fn noted() -> Notes {
    std::thread::sleep(Duration::from_millis(10));
    listen::drain()
}
