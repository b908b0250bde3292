//! One load for all: callers that go away, loaders that fail, hang and panic.

use std::{sync::Arc, time::Instant};

use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use super::*;

#[tokio::test]
async fn a_thousand_who_miss_at_once_are_one_load() {
    let (cache, loads) = (local().await, Loads::default());
    let mut all = JoinSet::new();
    for _ in 0..1000 {
        let (cache, loads) = (cache.clone(), loads.clone());
        all.spawn(async move {
            let load = move || async move { loads.next(MOMENT).await };
            *cache.get_or_load("k", &PLAIN, NO_TAGS, load).await.unwrap()
        });
    }
    while let Some(value) = all.join_next().await {
        assert_eq!(value.unwrap(), 1);
    }
    assert_eq!(loads.count(), 1);
    let stats = cache.stats();
    assert_eq!((stats.misses, stats.coalesced, stats.loads), (1000, 999, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_looked_before_a_load_ended_and_asks_after_it_does_not_repeat_it() {
    let (cache, loads) = (local().await, Loads::default());
    const KEYS: usize = 2_000;
    for key in 0..KEYS {
        let mut all = JoinSet::new();
        for _ in 0..16 {
            let (cache, loads) = (cache.clone(), loads.clone());
            all.spawn(async move { loads.read(&cache, &key.to_string(), &PLAIN).await });
        }
        all.join_all().await;
    }
    assert_eq!(loads.count(), KEYS);
}

fn gate() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(0))
}

/// A load that is under way until told; it reads when it begins, and if there is nothing yet, when
/// it ends.
fn slow(
    cache: &Cache,
    database: &Arc<AtomicUsize>,
    until: &Arc<Semaphore>,
) -> tokio::task::JoinHandle<usize> {
    let (cache, database, until) = (cache.clone(), Arc::clone(database), Arc::clone(until));
    tokio::spawn(async move {
        let load = move || async move {
            let read = database.load(Ordering::SeqCst);
            until.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(match read {
                0 => database.load(Ordering::SeqCst),
                read => read,
            })
        };
        *cache.get_or_load("k", &PLAIN, ["t"], load).await.unwrap()
    })
}

#[tokio::test]
async fn nobody_is_answered_older_than_one_who_was_answered_before_he_asked() {
    let cache = local().await;
    let (database, first, second) = (Arc::default(), gate(), gate());
    // Begins before the first write has ended and reads after the second one has begun.
    let late = slow(&cache, &database, &first);
    tokio::time::sleep(MOMENT).await;
    database.store(1, Ordering::SeqCst);
    cache.invalidate(["t"]).await.unwrap();
    let early = slow(&cache, &database, &second);
    tokio::time::sleep(MOMENT).await;
    // Of this write nobody is told yet: its transaction is done, and nothing else.
    database.store(2, Ordering::SeqCst);
    first.add_permits(1);
    assert_eq!(late.await.unwrap(), 2);
    let after = slow(&cache, &database, &second);
    tokio::time::sleep(MOMENT).await;
    second.add_permits(2);
    assert_eq!(after.await.unwrap(), 2);
    early.await.unwrap();
    let from_memory = slow(&cache, &database, &gate());
    assert_eq!(from_memory.await.unwrap(), 2);
    assert_eq!(cache.stats().loads, 3);
}

#[tokio::test]
async fn a_thousand_who_wait_for_a_loader_that_fails_get_its_error_once() {
    let (cache, loads) = (local().await, Loads::default());
    let read = |cache: Cache, loads: Loads| async move {
        let load = move || async move {
            loads.next(MOMENT).await.ok();
            Err::<usize, &str>("the database is down")
        };
        cache.get_or_load("k", &PLAIN, NO_TAGS, load).await
    };
    let mut all = JoinSet::new();
    for _ in 0..1000 {
        all.spawn(read(cache.clone(), loads.clone()));
    }
    while let Some(value) = all.join_next().await {
        let error = value.unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot load the value: the database is down"
        );
    }
    assert_eq!(loads.count(), 1);
    // Who comes a moment later shares it, who comes after that does not.
    read(cache.clone(), loads.clone()).await.unwrap_err();
    assert_eq!(loads.count(), 1);
    tokio::time::sleep(Duration::from_millis(250)).await;
    read(cache, loads.clone()).await.unwrap_err();
    assert_eq!(loads.count(), 2);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_the_load() {
    let (cache, loads) = (local().await, Loads::default());
    let read = |cache: Cache, loads: Loads| async move {
        let load = move || async move { loads.next(4 * MOMENT).await };
        cache.get_or_load("k", &PLAIN, NO_TAGS, load).await
    };
    let leader = tokio::spawn(read(cache.clone(), loads.clone()));
    tokio::time::sleep(MOMENT).await;
    let waiting = tokio::spawn(read(cache.clone(), loads.clone()));
    tokio::time::sleep(MOMENT).await;
    leader.abort();
    assert_eq!(*waiting.await.unwrap().unwrap(), 1);
    assert_eq!(loads.count(), 1);
}

#[tokio::test]
async fn loads_slower_than_the_requests_that_want_them_are_finished_and_answered() {
    let (cache, loads) = (local().await, Loads::default());
    let started = Instant::now();
    let mut all = JoinSet::new();
    while started.elapsed() < Duration::from_secs(2) {
        let (cache, loads) = (cache.clone(), loads.clone());
        all.spawn(async move {
            let load = move || async move { loads.next(Duration::from_millis(400)).await };
            let read = cache.get_or_load("k", &PLAIN, NO_TAGS, load);
            timeout(Duration::from_millis(300), read).await.is_ok()
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let answered = all.join_all().await;
    let share = answered.iter().filter(|one| **one).count() as f64 / answered.len() as f64;
    assert_eq!(loads.count(), 1);
    assert!(share > 0.85, "{share}");
}

#[tokio::test]
async fn a_loader_that_hangs_is_given_up_and_hangs_nobody() {
    let cache = local().await;
    let policy = PLAIN
        .hard_timeout(MOMENT)
        .load_deadline(3 * MOMENT)
        .error_ttl(Duration::ZERO);
    let hang = || {
        let load = || async { std::future::pending::<Result<usize, Infallible>>().await };
        cache.get_or_load("k", &policy, NO_TAGS, load)
    };
    let error = hang().await.unwrap_err();
    assert!(matches!(error, LoadError::TimedOut { after } if after == MOMENT));
    tokio::time::sleep(4 * MOMENT).await;
    assert_eq!(cache.stats().failed_loads, 1);
    let loads = Loads::default();
    assert_eq!(loads.read(&cache, "k", &policy).await, 1);
}

#[tokio::test]
async fn a_loader_that_panics_is_an_error_for_all_and_no_end_for_the_key() {
    let cache = local().await;
    let policy = PLAIN.error_ttl(Duration::ZERO);
    let load = || async { panic!("on purpose") };
    let read: Result<Arc<usize>, LoadError<Infallible>> =
        cache.get_or_load("k", &policy, NO_TAGS, load).await;
    assert!(matches!(read, Err(LoadError::Aborted)));
    tokio::time::sleep(MOMENT).await;
    assert_eq!(Loads::default().read(&cache, "k", &policy).await, 1);
}

#[tokio::test]
async fn no_more_loads_run_at_a_time_than_allowed() {
    let cache = Cache::builder("test").max_loads(3).build().await.unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut all = JoinSet::new();
    for key in 0..30 {
        let (cache, running, most) = (cache.clone(), Arc::clone(&running), Arc::clone(&most));
        all.spawn(async move {
            let load = move || async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<usize, Infallible>(key)
            };
            let name = format!("k{key}");
            cache
                .get_or_load(name, &PLAIN, NO_TAGS, load)
                .await
                .unwrap();
        });
    }
    all.join_all().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn loads_within_loads_do_not_wait_for_each_other() {
    let cache = local().await;
    let inner = cache.clone();
    let load = move || async move {
        let loads = Loads::default();
        Ok::<usize, Infallible>(loads.read(&inner, "inner", &PLAIN).await + 10)
    };
    let read = cache.get_or_load("outer", &PLAIN, NO_TAGS, load);
    let value = timeout(Duration::from_secs(5), read)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(*value, 11);
}

#[tokio::test]
async fn a_warm_up_loads_what_is_missing() {
    let (cache, loads) = (local().await, Loads::default());
    assert_eq!(loads.read(&cache, "k1", &PLAIN).await, 1);
    let counted = loads.clone();
    let keys = (0..20).map(|number| (format!("k{number}"), NO_TAGS));
    let warm = cache
        .warm_up(keys, &PLAIN, 4, move |_key: String| {
            let loads = counted.clone();
            async move { loads.next(Duration::ZERO).await }
        })
        .await;
    assert_eq!((warm, loads.count()), (20, 20));
    loads.read(&cache, "k19", &PLAIN).await;
    assert_eq!(loads.count(), 20);
}

/// Otherwise whoever comes next may find something older there than what was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_without_redis_is_in_memory_before_it_is_answered() {
    let cache = local().await;
    for number in 1..=50 {
        let load = || async { Ok::<_, Infallible>("x".repeat(200_000)) };
        let key = format!("k{number}");
        cache.get_or_load(key, &PLAIN, NO_TAGS, load).await.unwrap();
        assert_eq!(cache.stats().entries, number);
    }
}

#[tokio::test]
async fn what_is_answered_but_cannot_be_kept_leaves_nothing_older_behind() {
    let built = Cache::builder("test").max_value_bytes(1_000);
    let cache = built.build().await.unwrap();
    let stale = PLAIN.stale_while_revalidate(Duration::from_secs(60));
    let brief = Policy::new(MOMENT).jitter(0.0).early_refresh(0.0);
    let read = async |policy: Policy, bytes: usize| {
        let load = move || async move { Ok::<_, Infallible>("x".repeat(bytes)) };
        cache.get_or_load("k", &policy, NO_TAGS, load).await
    };
    let kept = brief.stale_while_revalidate(Duration::from_secs(60));
    assert_eq!(read(kept, 10).await.unwrap().len(), 10);
    tokio::time::sleep(2 * MOMENT).await;
    // Stale by now; the load in the background gives what is too large.
    assert_eq!(read(stale, 2_000).await.unwrap().len(), 10);
    tokio::time::sleep(MOMENT).await;
    assert_eq!(cache.stats().entries, 0);
    assert_eq!(read(stale, 3_000).await.unwrap().len(), 3_000);
}
