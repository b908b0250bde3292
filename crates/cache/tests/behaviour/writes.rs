//! Writes and what depends on them, in one process.

use speedwell_cache::WriteError;

use super::*;

#[tokio::test]
async fn a_write_invalidates_what_has_its_tags_and_nothing_else() {
    let (cache, loads) = (local().await, Loads::default());
    let read = |key: &'static str, tags: &'static [&'static str]| {
        let (cache, loads) = (cache.clone(), loads.clone());
        async move { loads.read_tagged(&cache, key, &PLAIN, tags).await }
    };
    read("a", &["one", "both"]).await;
    read("b", &["other", "both"]).await;
    let done = cache.write(["one"], |_| async { Ok::<_, Infallible>(7) });
    assert_eq!(done.await.unwrap(), 7);
    assert_eq!(read("b", &["other", "both"]).await, 2);
    assert_eq!(read("a", &["one", "both"]).await, 3);
    cache.invalidate(["both"]).await.unwrap();
    read("a", &["one", "both"]).await;
    read("b", &["other", "both"]).await;
    assert_eq!(loads.count(), 5);
}

#[tokio::test]
async fn a_reader_who_comes_after_the_write_never_joins_a_load_from_before() {
    let cache = local().await;
    let slow = cache.clone();
    let before = tokio::spawn(async move {
        let load = || async {
            tokio::time::sleep(4 * MOMENT).await;
            Ok::<_, Infallible>("old".to_owned())
        };
        slow.get_or_load("k", &PLAIN, ["t"], load).await
    });
    tokio::time::sleep(MOMENT).await;
    let write = cache.write(["t"], |_| async { Ok::<_, Infallible>(()) });
    write.await.unwrap();
    let load = || async { Ok::<_, Infallible>("new".to_owned()) };
    let after = cache.get_or_load("k", &PLAIN, ["t"], load).await.unwrap();
    assert_eq!(*after, "new");
    // The late one has not replaced it: who came after it would have gone back in time.
    assert_eq!(*before.await.unwrap().unwrap(), "new");
    assert_eq!(*cache.get::<String>("k", ["t"]).await.unwrap(), "new");
}

#[tokio::test]
async fn a_write_whose_caller_goes_away_is_finished_and_followed_by_its_invalidation() {
    let (cache, loads) = (local().await, Loads::default());
    loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await;
    let writing = cache.clone();
    let caller = tokio::spawn(async move {
        let transaction = |_| async {
            tokio::time::sleep(2 * MOMENT).await;
            Ok::<_, Infallible>(())
        };
        writing.write(["t"], transaction).await
    });
    tokio::time::sleep(MOMENT).await;
    caller.abort();
    tokio::time::sleep(2 * MOMENT).await;
    assert_eq!(loads.read_tagged(&cache, "k", &PLAIN, ["t"]).await, 2);
}

#[tokio::test]
async fn a_write_that_fails_panics_or_hangs_says_so_and_invalidates_all_the_same() {
    let cache = Cache::builder("test").write_timeout(MOMENT);
    let (cache, loads) = (cache.build().await.unwrap(), Loads::default());
    let read = || loads.read_tagged(&cache, "k", &PLAIN, ["t"]);
    assert_eq!(read().await, 1);
    let failed = cache.write(["t"], |_| async { Err::<(), _>("no room") });
    assert!(matches!(failed.await, Err(WriteError::Failed("no room"))));
    assert_eq!(read().await, 2);
    let panicked = cache.write(["t"], |_| async {
        if true {
            panic!("on purpose");
        }
        Ok::<(), Infallible>(())
    });
    assert!(matches!(panicked.await, Err(WriteError::Aborted)));
    assert_eq!(read().await, 3);
    let hung = cache.write(["t"], |_| std::future::pending::<Result<(), Infallible>>());
    assert!(matches!(hung.await, Err(WriteError::TimedOut { after }) if after == MOMENT));
    assert_eq!(read().await, 4);
}

#[tokio::test]
async fn tags_that_are_known_only_in_the_transaction_count_as_well() {
    let (cache, loads) = (local().await, Loads::default());
    loads.read_tagged(&cache, "k", &PLAIN, ["owner:9"]).await;
    let transaction = |write: speedwell_cache::Write| async move {
        write
            .also(["owner:9"])
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(())
    };
    cache.write(["listing:7"], transaction).await.unwrap();
    assert_eq!(loads.read_tagged(&cache, "k", &PLAIN, ["owner:9"]).await, 2);
}

#[tokio::test]
async fn a_load_and_a_write_happen_in_the_span_of_who_asked() {
    let _default = tracing::subscriber::set_default(tracing_subscriber::registry());
    let cache = local().await;
    let span = tracing::info_span!("request");
    let expected = span.id();
    assert!(expected.is_some());
    let asked = async {
        let seen =
            || async { Ok::<_, Infallible>(tracing::Span::current().id().map(|id| id.into_u64())) };
        let load = cache.get_or_load("k", &PLAIN, NO_TAGS, seen);
        let write = cache.write(["t"], move |_| seen());
        (*load.await.unwrap(), write.await.unwrap())
    };
    let (load, write) = tracing::Instrument::instrument(asked, span).await;
    let expected = expected.map(|id| id.into_u64());
    assert_eq!((load, write), (expected, expected));
}
