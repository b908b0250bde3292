//! What is cached is right: in two processes, and whatever Redis does.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use serde_json::{Value, json};
use service_kit::{clock::now, database::query};
use speedwell_cache::history::{self, Event, History, Kind};
use throwaway::Redis;

use crate::running::{Answer, Running};

/// What Redis does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Works,
    Refuses,
    IsSilent,
    IsSlow,
    IsFull,
    WasRestarted,
}

const STATES: [State; 6] = [
    State::Works,
    State::Refuses,
    State::IsSilent,
    State::IsSlow,
    State::IsFull,
    State::WasRestarted,
];

fn server(state: State) -> Redis {
    match state {
        State::IsFull => {
            Redis::start_with(&["--maxmemory", "3mb", "--maxmemory-policy", "noeviction"]).unwrap()
        }
        _ => Redis::start().unwrap(),
    }
}

fn bring_about(state: State, redis: &mut Redis) {
    match state {
        State::Works => {}
        State::Refuses => redis.kill(),
        State::IsSilent => redis.freeze().unwrap(),
        // Longer than the cache waits, again and again.
        State::IsSlow => drop(redis.ask(&["CLIENT", "PAUSE", "60000", "WRITE"]).unwrap()),
        State::IsFull => {
            let full = (0..).find(|number| {
                let value = "x".repeat(10_000);
                let answer = redis
                    .ask(&["SET", &format!("filler{number}"), &value])
                    .unwrap();
                answer.contains("OOM")
            });
            assert!(full.is_some());
        }
        State::WasRestarted => {
            redis.kill();
            redis.start_again().unwrap();
        }
    }
}

/// Two processes over one Redis.
fn two(redis: &Redis) -> (Running, Running) {
    let url = redis.url();
    let one = Running::with(&[("REDIS_URL", &url)]);
    let other = one.beside(&[("REDIS_URL", &url)]);
    for service in [&one, &other] {
        let until = Instant::now() + Duration::from_secs(10);
        while !service.state.cache().stats().lease_valid && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    (one, other)
}

/// Asks both so often that both have it in memory.
fn warm(processes: [&Running; 2], ask: impl Fn(&Running) -> Answer) {
    for _ in 0..3 {
        for service in processes {
            ask(service);
        }
    }
}

#[test]
fn what_has_changed_is_seen_at_once_by_all_whatever_redis_does() {
    for state in STATES {
        let mut redis = server(state);
        let (one, other) = two(&redis);
        let both = [&one, &other];
        let listing = one.listing("A", 5.0);
        let link = one.share(1, listing);
        let token = link.rsplit('/').next().unwrap();
        let collection = one.collection(1, "public", 2);
        one.put(1, collection, listing).expect(201);
        let view = format!("/api/v1/collections/{collection}/");
        let public = format!("/api/v1/collections/public/{collection}/");
        warm(both, |service| service.get(&link));
        warm(both, |service| service.get(&public));
        warm(both, |service| service.get_by(1, &view));
        bring_about(state, &mut redis);

        // A price, written here, read there.
        let path = format!("/api/v1/listings/{listing}/");
        for (price, (writer, reader)) in [
            (7.0, (&one, &other)),
            (8.0, (&other, &one)),
            (9.0, (&one, &one)),
        ] {
            writer
                .patch_by(1, &path, &json!({ "price_usd": price }))
                .expect(200);
            let shown = reader.get(&link).expect(200)["listing"]["price_usd"].clone();
            assert_eq!(shown, price, "{state:?}: the link");
            for view in [reader.get(&public), reader.get_by(1, &view)] {
                assert_eq!(
                    view.expect(200)["items"][2]["listing"]["price_usd"],
                    price,
                    "{state:?}"
                );
            }
        }
        // An item, a name, who may see it.
        let fourth = one.listing("B", 1.0);
        other.put(1, collection, fourth).expect(201);
        assert_eq!(
            one.get_by(1, &view).expect(200)["item_count"],
            4,
            "{state:?}"
        );
        one.patch_by(1, &view, &json!({ "name": "New" }))
            .expect(200);
        assert_eq!(other.get(&public).expect(200)["name"], "New", "{state:?}");
        one.patch_by(
            1,
            &format!("{view}visibility/"),
            &json!({ "visibility": "private" }),
        )
        .expect(200);
        assert_eq!(other.get(&public).status, 404, "{state:?}");
        // A listing that is deleted leaves the collection, and its links end.
        let doomed = one.share(1, fourth);
        warm(both, |service| service.get(&doomed));
        assert_eq!(
            other
                .delete_by(1, &format!("/api/v1/listings/{fourth}/"))
                .status,
            204
        );
        assert_eq!(one.get(&doomed).status, 404, "{state:?}");
        assert_eq!(
            one.get_by(1, &view).expect(200)["item_count"],
            3,
            "{state:?}"
        );
        // A link that is revoked.
        assert_eq!(
            one.delete_by(1, &format!("/api/v1/listings/{listing}/share/{token}/"))
                .status,
            204
        );
        for service in both {
            assert_eq!(service.get(&link).status, 404, "{state:?}: revoked");
        }
    }
}

#[test]
fn a_link_ends_at_its_time_though_it_is_cached() {
    for state in STATES {
        let mut redis = server(state);
        let (one, other) = two(&redis);
        let link = one.share(1, one.listing("A", 5.0));
        let soon = now() + TimeDelta::milliseconds(1500);
        one.run(query("UPDATE listing_share SET expires_at = $1").bind(soon));
        warm([&one, &other], |service| service.get(&link));
        bring_about(state, &mut redis);
        while now() < soon {
            std::thread::sleep(Duration::from_millis(10));
        }
        for service in [&one, &other] {
            assert_eq!(service.get(&link).status, 404, "{state:?}");
        }
    }
}

#[test]
fn twenty_hits_count_twenty_views_whatever_redis_does() {
    for state in STATES {
        let mut redis = server(state);
        let (one, other) = two(&redis);
        let link = one.share(1, one.listing("A", 5.0));
        warm([&one, &other], |service| service.get(&link));
        bring_about(state, &mut redis);
        for _ in 0..10 {
            one.get(&link).expect(200);
            other.get(&link).expect(200);
        }
        let until = Instant::now() + Duration::from_secs(10);
        let views = || one.value::<i64>("SELECT view_count FROM listing_share");
        while views() < 26 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(views(), 26, "{state:?}");
    }
}

#[test]
fn answers_are_quick_whatever_redis_does() {
    for state in STATES {
        let mut redis = server(state);
        let (one, _other) = two(&redis);
        let link = one.share(1, one.listing("A", 5.0));
        one.get(&link).expect(200);
        bring_about(state, &mut redis);
        let times: Vec<_> = (0..20)
            .map(|_| {
                let started = Instant::now();
                one.get(&link).expect(200);
                started.elapsed()
            })
            .collect();
        let mut sorted = times.clone();
        sorted.sort_unstable();
        assert!(
            sorted[10] < Duration::from_millis(100),
            "{state:?} {times:?}"
        );
        assert!(sorted[19] < Duration::from_secs(1), "{state:?} {times:?}");
    }
}

#[test]
fn twenty_simultaneous_first_hits_load_once() {
    let redis = Redis::start().unwrap();
    for environment in [vec![], vec![("REDIS_URL", redis.url())]] {
        let environment: Vec<_> = environment
            .iter()
            .map(|(name, url)| (*name, url.as_str()))
            .collect();
        let service = Running::with(&environment);
        let loads = || service.state.cache().stats().loads;
        let until = Instant::now() + Duration::from_secs(10);
        while !service.state.cache().stats().lease_valid && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let bypasses = || service.state.cache().stats().bypasses;
        // A server that has just started is not trusted with what was written meanwhile. Nor is
        // one that took more than 50 ms on a busy machine: that is another test's, and repeated.
        let (loaded, statements) = (0..5)
            .map(|_| {
                let link = service.share(1, service.listing("A", 5.0));
                let (before, bypassed) = (loads(), bypasses());
                let statements = first_hits(&service, &link);
                (bypasses() == bypassed).then(|| (loads() - before, statements))
            })
            .find_map(|counts| counts)
            .expect("Redis answers in time, once in five");
        assert_eq!((loaded, statements), (1, 1));
    }
}

/// Twenty who follow a link at once; says how many statements that took.
fn first_hits(service: &Running, link: &str) -> u64 {
    let statements = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let answer = service.get(link);
                answer.expect(200);
                statements.fetch_add(answer.statements().len() as u64, Ordering::Relaxed);
            });
        }
    });
    statements.into_inner()
}

#[test]
fn unknown_tokens_are_remembered_for_a_moment() {
    let service = Running::empty();
    let path = format!("/api/v1/deals/1/{}", "a".repeat(64));
    let statements = |answer: Answer| {
        answer.expect(404);
        answer.statements().len()
    };
    assert_eq!(statements(service.get(&path)), 1);
    assert_eq!(statements(service.get(&path)), 0);
    assert_eq!(statements(service.get("/api/v1/deals/1/too-short")), 0);
}

#[test]
fn what_was_not_there_a_moment_ago_is_there_once_it_is_made() {
    let service = Running::empty();
    let first = service.collection(1, "public", 0);
    for step in 1..=3 {
        let next = format!("/api/v1/collections/public/{}/", first + step);
        assert_eq!(service.get(&next).status, 404);
        let made = match step {
            1 => service.post_by(
                1,
                "/api/v1/collections/",
                &json!({ "name": "x", "visibility": "public" }),
            ),
            2 => service.post_by(1, &format!("/api/v1/collections/{first}/copy/"), &json!({})),
            _ => {
                let link = service.share(1, service.listing("A", 5.0));
                let token = link.rsplit('/').next().unwrap();
                service.post_by(
                    1,
                    &format!("/api/v1/user-shares/{token}/import/"),
                    &json!({}),
                )
            }
        };
        made.expect(201);
        let own = format!("/api/v1/collections/{}/", first + step);
        assert_eq!(service.get_by(1, &own).status, 200, "{step}");
    }
}

#[test]
fn the_links_that_were_looked_at_most_are_there_before_anybody_asks() {
    let service = Running::empty();
    let link = service.share(1, service.listing("A", 5.0));
    let warm = service
        .runtime
        .block_on(deals::warm_up(&service.state))
        .unwrap();
    assert_eq!(warm, 1);
    let answer = service.get(&link);
    answer.expect(200);
    assert_eq!(answer.statements().len(), 0);
}

/// The version of a listing is its price.
fn version(answer: &Value) -> u64 {
    answer["listing"]["price_usd"].as_f64().unwrap() as u64
}

#[test]
fn two_processes_agree_on_what_a_link_shows() {
    let mut redis = Redis::start().unwrap();
    let (one, other) = two(&redis);
    let listing = one.listing("A", 1.0);
    let link = one.share(1, listing);
    let path = format!("/api/v1/listings/{listing}/");
    let done = AtomicBool::new(false);
    let (one, other, link, path, done) = (&one, &other, &link, &path, &done);
    let history = std::thread::scope(|scope| {
        let readers: Vec<_> = [one, other, one, other]
            .into_iter()
            .map(|service| {
                scope.spawn(move || {
                    let mut seen = History::default();
                    while !done.load(Ordering::Relaxed) {
                        let start = history::now();
                        let version = version(&service.get(link).expect(200));
                        let end = history::now();
                        seen.add(Event {
                            key: 0,
                            kind: Kind::Read,
                            version,
                            start,
                            end,
                        });
                    }
                    seen
                })
            })
            .collect();
        let writer = scope.spawn(move || {
            let mut seen = History::default();
            for version in 2..80_u64 {
                let service = [one, other][version as usize % 2];
                let start = history::now();
                service
                    .patch_by(1, path, &json!({ "price_usd": version }))
                    .expect(200);
                let end = history::now();
                seen.add(Event {
                    key: 0,
                    kind: Kind::Write,
                    version,
                    start,
                    end,
                });
            }
            done.store(true, Ordering::Relaxed);
            seen
        });
        let mut all = writer.join().unwrap();
        for reader in readers {
            all.append(reader.join().unwrap());
        }
        all
    });
    let report = history.check();
    assert!(report.reads > 100, "{report}");
    assert!(report.is_within(Duration::ZERO), "{report}");
    redis.kill();
}

#[test]
fn another_database_or_version_reads_nothing_of_ours() {
    let redis = Redis::start().unwrap();
    let url = redis.url();
    let one = Running::with(&[("REDIS_URL", &url)]);
    let other = Running::with(&[("REDIS_URL", &url)]);
    let (a, b) = (one.listing("A", 5.0), other.listing("B", 6.0));
    assert_eq!(a, b);
    let token = "a".repeat(64);
    for (service, title) in [(&one, "A"), (&other, "B")] {
        let insert = "INSERT INTO listing_share (listing_id, created_by, share_token, created_at) VALUES ($1, 1, $2, $3)";
        service.run(query(insert).bind(a).bind(token.as_str()).bind(now()));
        for _ in 0..2 {
            let seen = service
                .get(&format!("/api/v1/deals/{a}/{token}"))
                .expect(200);
            assert_eq!(seen["listing"]["title"], title);
        }
    }
}
