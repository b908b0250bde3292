//! The limits of the founding papers at their own sizes. The audit measures them under
//! load; here a tenth of each limit is normal, so that a slow machine does not fail.

use std::time::{Duration, Instant};

use crate::{
    bulk,
    running::{Running, ids},
};

/// The time that 19 of 20 requests stay below, of 40.
fn p95(service: &Running, path: &str) -> Duration {
    let mut times: Vec<Duration> = (0..40)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(service.get(path).status, 200);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[37]
}

fn holds(service: &Running, path: &str, limit_ms: u64) {
    let took = p95(service, path);
    assert!(took < Duration::from_millis(limit_ms), "{path}: {took:?}");
}

const FEED: &str = "/api/v1/flyers/feed/";

#[test]
fn seed_000_the_feed_is_fast_with_1000_live_flyers_and_with_1000_expired_ones() {
    let service = Running::empty();
    bulk::fill(&service, 1000);
    holds(&service, FEED, 200);
    assert_eq!(service.get(FEED).expect(200)["count"], 1000);
    // 50 live ones stay among 950 expired ones that nobody turned off.
    assert_eq!(service.execute(bulk::EXPIRE_19_OF_20), 950);
    holds(&service, FEED, 200);
    assert_eq!(service.get(FEED).expect(200)["count"], 50);
    service.execute(
        "UPDATE flyers SET publication_date = '2024-01-01T00:00:00+00:00', expiration_date = '2024-01-02T00:00:00+00:00'",
    );
    holds(&service, FEED, 200);
    assert!(ids(&service.get(FEED).expect(200)).is_empty());
    assert_eq!(service.execute(bulk::SWEEP), 1000);
    holds(&service, FEED, 200);
}

#[test]
fn seed_002_profile_and_flyers_of_a_busy_creator_are_fast() {
    let service = Running::empty();
    bulk::fill(&service, 2000);
    let list = service.get("/api/v1/users/1/flyers/").expect(200);
    assert_eq!(list["count"], 200);
    holds(&service, "/api/v1/users/1/profile/", 200);
    holds(&service, "/api/v1/users/1/", 200);
    holds(&service, "/api/v1/users/1/flyers/?page_size=20", 500);
    holds(&service, "/api/v1/flyers/?creator=1&page_size=20", 500);
}

#[test]
fn deep_pages_and_an_unswept_mass_expiry_stay_fast_at_100_000_flyers() {
    let service = Running::empty();
    bulk::fill(&service, 100_000);
    let lists = [
        format!("{FEED}?page=500"),
        format!("{FEED}?near_me=true&lat=47.3769&lng=8.5417"),
        format!("{FEED}?categories=other,retail"),
        "/api/v1/flyers/?creator=1&page=50".to_owned(),
    ];
    for path in lists.iter().map(String::as_str).chain([FEED]) {
        holds(&service, path, 500);
    }
    service.execute(bulk::EXPIRE_19_OF_20);
    for path in [FEED, &lists[1], &lists[2], "/api/v1/flyers/?creator=2"] {
        holds(&service, path, 500);
    }
}
