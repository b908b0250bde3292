//! More requests than connections: they wait in order, then are told to come back, and never hang.

use std::{
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use service_kit::{
    config::DatabaseUrl,
    database::{Database, Dialect, Transaction, query},
};

use crate::running::{Answer, Running};

const REQUESTS: usize = 200;

/// Another process that lets nobody write.
struct Blocker {
    runtime: tokio::runtime::Runtime,
    database: Database,
}

impl Blocker {
    fn new(service: &Running) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let url = DatabaseUrl::parse(service.url()).unwrap();
        let database = runtime.block_on(Database::open(&url, 1)).unwrap();
        Self { runtime, database }
    }

    fn block(&self) -> Transaction {
        self.runtime.block_on(async {
            // On SQLite this alone keeps others from writing.
            let mut tx = self.database.begin().await.unwrap();
            if crate::DIALECT == Dialect::Postgres {
                let lock = query("LOCK TABLE notifications IN ACCESS EXCLUSIVE MODE");
                lock.execute(&mut tx).await.unwrap();
            }
            tx
        })
    }

    fn end(&self, tx: Transaction) {
        self.runtime.block_on(tx.rollback()).unwrap();
    }
}

/// The answers to so many writes at once, each with the time it took, while nobody may write for
/// so long.
fn answers(service: &Running, blocked: Duration) -> Vec<(Answer, Duration)> {
    let blocker = Blocker::new(service);
    let tx = blocker.block();
    let answers = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..REQUESTS {
            let (answers, service) = (&answers, service);
            scope.spawn(move || {
                let started = Instant::now();
                let answer = service.post_by(1, "/notifications/mark-all-read/", &json!({}));
                answers.lock().unwrap().push((answer, started.elapsed()));
            });
        }
        thread::sleep(blocked);
        blocker.end(tx);
    });
    answers.into_inner().unwrap()
}

#[test]
fn two_hundred_that_wait_for_a_moment_are_all_answered() {
    let service = Running::with(&[("DATABASE_CONNECTIONS", "4")]);
    for (answer, _) in answers(&service, Duration::from_millis(700)) {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let metrics = service.get("/metrics").text;
    assert!(metrics.contains("pool_wait"), "{metrics}");
}

#[test]
fn two_hundred_that_wait_for_long_are_told_to_come_back_and_none_hangs() {
    let service = Running::with(&[("DATABASE_CONNECTIONS", "4")]);
    let answers = answers(&service, Duration::from_secs(8));
    assert_eq!(answers.len(), REQUESTS);
    let refused = answers.iter().filter(|(answer, _)| answer.status == 503);
    assert!(refused.clone().count() > REQUESTS / 2);
    for (answer, took) in refused {
        assert!(answer.headers.contains_key("retry-after"));
        assert!(*took < Duration::from_secs(20), "{took:?}");
    }
    for (answer, _) in &answers {
        assert!([200, 503].contains(&answer.status), "{}", answer.text);
    }
    let after = service.post_by(1, "/notifications/mark-all-read/", &json!({}));
    assert_eq!(after.status, 200);
}
