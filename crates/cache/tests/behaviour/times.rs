//! Times to live, and what may be answered after them.

use super::*;

const SHORT: Policy = Policy::new(Duration::from_millis(100))
    .jitter(0.0)
    .early_refresh(0.0);
const PAST_IT: Duration = Duration::from_millis(130);

#[tokio::test]
async fn a_value_lives_for_its_time() {
    let (cache, loads) = (local().await, Loads::default());
    assert_eq!(loads.read(&cache, "k", &SHORT).await, 1);
    assert_eq!(loads.read(&cache, "k", &SHORT).await, 1);
    tokio::time::sleep(PAST_IT).await;
    assert_eq!(loads.read(&cache, "k", &SHORT).await, 2);
}

#[tokio::test]
async fn a_time_to_live_of_zero_keeps_nothing_and_the_longest_is_no_fault() {
    let (cache, loads) = (local().await, Loads::default());
    let none = Policy::new(Duration::ZERO);
    assert_eq!(loads.read(&cache, "none", &none).await, 1);
    assert_eq!(loads.read(&cache, "none", &none).await, 2);
    let longest = Policy::new(Duration::MAX)
        .stale_while_revalidate(Duration::MAX)
        .fail_safe(Duration::MAX);
    assert_eq!(loads.read(&cache, "long", &longest).await, 3);
    assert_eq!(loads.read(&cache, "long", &longest).await, 3);
}

#[tokio::test]
async fn an_expired_value_is_answered_while_it_is_loaded_anew() {
    let (cache, loads) = (local().await, Loads::default());
    let policy = SHORT.stale_while_revalidate(Duration::from_secs(5));
    assert_eq!(loads.read(&cache, "k", &policy).await, 1);
    tokio::time::sleep(PAST_IT).await;
    assert_eq!(loads.read(&cache, "k", &policy).await, 1);
    tokio::time::sleep(MOMENT).await;
    assert_eq!(loads.read(&cache, "k", &policy).await, 2);
    let stats = cache.stats();
    assert_eq!((stats.stale_served, stats.background_refreshes), (1, 1));
}

#[tokio::test]
async fn an_expired_value_is_answered_when_loading_fails_or_takes_too_long() {
    let cache = local().await;
    let ttl = Duration::from_millis(500);
    let policy = Policy::new(ttl)
        .jitter(0.0)
        .early_refresh(0.0)
        .fail_safe(Duration::from_secs(5))
        .soft_timeout(MOMENT)
        .error_ttl(Duration::ZERO);
    let load = || async { Ok::<usize, &str>(1) };
    cache.get_or_load("k", &policy, ["t"], load).await.unwrap();
    tokio::time::sleep(ttl + MOMENT).await;
    let fails = || async { Err::<usize, &str>("down") };
    assert_eq!(
        *cache.get_or_load("k", &policy, ["t"], fails).await.unwrap(),
        1
    );
    tokio::time::sleep(MOMENT).await;
    let slow = || async {
        tokio::time::sleep(4 * MOMENT).await;
        Ok::<usize, &str>(2)
    };
    let started = std::time::Instant::now();
    assert_eq!(
        *cache.get_or_load("k", &policy, ["t"], slow).await.unwrap(),
        1
    );
    assert!(started.elapsed() < 3 * MOMENT);
    assert_eq!(cache.stats().stale_served, 2);
    // What was loaded in the background is there for the next one.
    tokio::time::sleep(3 * MOMENT + Duration::from_millis(20)).await;
    assert_eq!(*cache.get::<usize>("k", ["t"]).await.unwrap(), 2);
}

#[tokio::test]
async fn what_was_invalidated_is_no_last_resort() {
    let cache = local().await;
    let policy = SHORT
        .fail_safe(Duration::from_secs(5))
        .stale_while_revalidate(Duration::from_secs(5));
    let load = || async { Ok::<usize, &str>(1) };
    cache.get_or_load("k", &policy, ["t"], load).await.unwrap();
    tokio::time::sleep(PAST_IT).await;
    cache.invalidate(["t"]).await.unwrap();
    let fails = || async { Err::<usize, &str>("down") };
    let error = cache.get_or_load("k", &policy, ["t"], fails).await;
    assert!(matches!(error, Err(LoadError::Failed(_))));
}

#[tokio::test]
async fn popular_values_are_loaded_anew_before_they_expire() {
    let (cache, loads) = (local().await, Loads::default());
    let policy = Policy::new(Duration::from_millis(300))
        .jitter(0.0)
        .early_refresh(2.0);
    let read = || async {
        let loads = loads.clone();
        let load = move || async move { loads.next(MOMENT).await };
        *cache
            .get_or_load("k", &policy, NO_TAGS, load)
            .await
            .unwrap()
    };
    read().await;
    let waited = cache.stats().misses;
    let until = tokio::time::Instant::now() + Duration::from_secs(2);
    while tokio::time::Instant::now() < until {
        read().await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(loads.count() >= 4, "{}", loads.count());
    assert_eq!(cache.stats().misses, waited, "somebody waited for a load");
}

#[tokio::test]
async fn that_there_is_nothing_is_remembered_for_a_while() {
    let (cache, loads) = (local().await, Loads::default());
    let policy = PLAIN.negative_ttl(Duration::from_millis(100));
    let find = || async {
        let loads = loads.clone();
        let load = move || async move {
            loads.next(Duration::ZERO).await?;
            Ok::<Option<String>, Infallible>(None)
        };
        cache.find_or_load("k", &policy, ["t"], load).await.unwrap()
    };
    assert!(find().await.is_none() && find().await.is_none());
    assert_eq!(loads.count(), 1);
    // It is made meanwhile.
    cache.invalidate(["t"]).await.unwrap();
    find().await;
    assert_eq!(loads.count(), 2);
    tokio::time::sleep(PAST_IT).await;
    find().await;
    assert_eq!(loads.count(), 3);
    // A reader who knows that it must be there does not take nothing for an answer.
    assert_eq!(loads.read(&cache, "k", &policy).await, 4);
}

#[tokio::test]
async fn a_reader_who_knows_that_it_is_there_joins_no_load_that_may_find_nothing() {
    let cache = local().await;
    let finding = cache.clone();
    let find = tokio::spawn(async move {
        let load = || async {
            tokio::time::sleep(2 * MOMENT).await;
            Ok::<Option<usize>, Infallible>(None)
        };
        finding.find_or_load("k", &PLAIN, NO_TAGS, load).await
    });
    tokio::time::sleep(MOMENT).await;
    assert_eq!(Loads::default().read(&cache, "k", &PLAIN).await, 1);
    assert!(find.await.unwrap().unwrap().is_none());
}

#[test]
fn nothing_reads_the_time_of_day() {
    // A clock that is set cannot harm a process that never looks at it.
    let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for clock in ["SystemTime", "UNIX_EPOCH", "ClockId::Realtime"] {
                assert!(!text.contains(clock), "{clock} in {}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 20, "{read}");
}
