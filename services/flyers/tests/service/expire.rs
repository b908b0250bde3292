//! The sweep: turns off what has expired, and nothing else.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use flyers::sweep::{Housekeeping, sweep};
use service_kit::{clock::now, database::query};

use crate::{
    bulk,
    running::{Running, ids},
};

fn active(service: &Running) -> i64 {
    service.rows::<(i64,)>(query("SELECT count(*) FROM flyers AS f WHERE f.is_active"))[0].0
}

fn swept(service: &Running) -> u64 {
    service
        .runtime
        .block_on(sweep(&service.database, now()))
        .unwrap()
}

#[test]
fn what_has_expired_is_turned_off_and_nothing_else() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let flyer = |title: &str| service.flyer(&token, title, "events", "8001 Zürich");
    let (live, over, scheduled) = (flyer("live"), flyer("over"), flyer("scheduled"));
    let (now, day) = (now(), TimeDelta::days(1));
    service.set_dates(over, now - day, now);
    service.set_dates(scheduled, now + day, now + day * 2);
    let at = |at| {
        service
            .runtime
            .block_on(sweep(&service.database, at))
            .unwrap()
    };
    assert_eq!(at(now - TimeDelta::microseconds(1)), 0, "half open");
    assert_eq!((at(now), at(now)), (1, 0));
    let off: Vec<(i64,)> = service.rows(query("SELECT id FROM flyers AS f WHERE NOT f.is_active"));
    assert_eq!(off, [(over,)]);
    let links = "SELECT flyer_id FROM flyer_categories AS c WHERE NOT c.is_active";
    assert_eq!(service.rows::<(i64,)>(query(links)), [(over,)]);
    assert_eq!(
        ids(&service.get("/api/v1/flyers/feed/").expect(200)),
        [live]
    );
    let version: Vec<(i64,)> = service.rows(query("SELECT DISTINCT version FROM flyers AS f"));
    assert_eq!(version, [(1,)], "a sweep is no change of the owner's");
}

#[test]
fn seed_000_a_sweep_of_many_lets_writers_through_and_keeps_the_feed_fast() {
    let service = Running::empty();
    bulk::fill(&service, 10_000);
    service.execute(bulk::EXPIRE_19_OF_20);
    let (token, _) = service.register("a@example.org");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(swept(&service), 9500);
            done.store(true, Ordering::SeqCst);
        });
        let mut slowest = Duration::ZERO;
        let mut writes = 0;
        while !done.load(Ordering::SeqCst) {
            let started = Instant::now();
            service.flyer(&token, "between", "events", "8001 Zürich");
            slowest = slowest.max(started.elapsed());
            writes += 1;
        }
        assert!(writes > 2, "{writes}");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    });
    let started = Instant::now();
    service.get("/api/v1/flyers/feed/").expect(200);
    assert!(started.elapsed() < Duration::from_millis(200));
}

#[test]
fn sweeps_of_several_instances_share_the_work() {
    let service = Running::empty();
    bulk::fill(&service, 3000);
    service.execute(bulk::EXPIRE_19_OF_20);
    let now = now();
    let (one, other) = service.runtime.block_on(async {
        tokio::join!(sweep(&service.database, now), sweep(&service.database, now))
    });
    assert_eq!(one.unwrap() + other.unwrap(), 2850);
    assert_eq!(active(&service), 150);
}

#[test]
fn the_housekeeping_sweeps_and_ends_when_told() {
    let service = Running::empty();
    let (token, _) = service.register("a@example.org");
    let id = service.flyer(&token, "x", "events", "8001 Zürich");
    let (past, _) = Running::around_now();
    service.set_dates(id, past - TimeDelta::days(1), past);
    service.runtime.block_on(async {
        let every = Some(Duration::from_millis(20));
        let storage = service.storage.clone();
        let housekeeping = Housekeeping::start(service.database.clone(), storage, every);
        tokio::time::sleep(Duration::from_millis(600)).await;
        tokio::time::timeout(Duration::from_secs(2), housekeeping.end())
            .await
            .unwrap();
    });
    assert_eq!(active(&service), 0);
    let storage = service.storage.clone();
    service.set_dates(id, past - TimeDelta::days(1), past);
    service.execute("UPDATE flyers SET is_active = TRUE");
    service.runtime.block_on(async {
        let never = Housekeeping::start(service.database.clone(), storage, None);
        tokio::time::sleep(Duration::from_millis(100)).await;
        never.end().await;
    });
    assert_eq!(active(&service), 1);
}
