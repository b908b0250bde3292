//! Keys, values and single operations, in one process.

use speedwell_cache::Response;

use super::*;

#[tokio::test]
async fn keys_are_any_bytes_of_any_length() {
    let (cache, loads) = (local().await, Loads::default());
    let keys = [
        Vec::new(),
        vec![0, 255, b'\r', b'\n', b'*'],
        "žluťoučký kůň:{}".as_bytes().to_vec(),
        vec![b'x'; 100_000],
        [vec![b'x'; 99_999], vec![b'y']].concat(),
    ];
    for round in 0..2 {
        for (number, key) in keys.iter().enumerate() {
            let loads = loads.clone();
            let load = move || async move { loads.next(Duration::ZERO).await };
            let value = cache.get_or_load(key, &PLAIN, NO_TAGS, load).await.unwrap();
            assert_eq!(*value, number + 1, "round {round}");
        }
    }
}

#[tokio::test]
async fn a_value_larger_than_the_limit_is_answered_and_not_kept() {
    let cache = Cache::builder("test").max_value_bytes(1000);
    let cache = cache.build().await.unwrap();
    let load = || async { Ok::<_, Infallible>("x".repeat(2000)) };
    let value = cache.get_or_load("k", &PLAIN, NO_TAGS, load).await.unwrap();
    assert_eq!(value.len(), 2000);
    assert!(!cache.exists::<String>("k", NO_TAGS).await);
    assert_eq!((cache.stats().too_large, cache.stats().entries), (1, 0));
    assert!(!cache.set("k", "x".repeat(2000), &PLAIN, NO_TAGS).await);
}

#[tokio::test]
async fn memory_stays_within_its_size() {
    let cache = Cache::builder("test").memory_bytes(200_000);
    let cache = cache.build().await.unwrap();
    for number in 0..2000 {
        let key = format!("k{number}");
        assert!(cache.set(key, "x".repeat(500), &PLAIN, NO_TAGS).await);
    }
    let stats = cache.stats();
    assert_eq!(stats.evictions + stats.entries, 2000);
    assert!(stats.bytes <= 200_000 && stats.entries > 100, "{stats:?}");
    assert!(stats.evictions > 1000, "{stats:?}");
}

#[tokio::test]
async fn single_operations_work_and_a_deleted_key_is_a_miss() {
    let cache = local().await;
    assert_eq!(cache.get::<String>("share:1", NO_TAGS).await, None);
    assert!(
        cache
            .set("share:1", "one".to_owned(), &PLAIN, NO_TAGS)
            .await
    );
    assert_eq!(
        *cache.get::<String>("share:1", NO_TAGS).await.unwrap(),
        "one"
    );
    assert!(cache.exists::<String>("share:1", NO_TAGS).await);
    // Of another type, there is nothing.
    assert!(!cache.exists::<u64>("share:1", NO_TAGS).await);
    assert!(cache.delete("share:1").await);
    assert!(!cache.exists::<String>("share:1", NO_TAGS).await);
}

#[tokio::test]
async fn patterns_delete_groups_everything_or_what_a_glob_matches() {
    let cache = local().await;
    let fill = || async {
        for key in ["share:1", "share:2", "listing:1", "plain"] {
            cache.set(key, 1_u8, &PLAIN, NO_TAGS).await;
        }
    };
    let left = || async {
        let mut left = Vec::new();
        for key in ["share:1", "share:2", "listing:1", "plain"] {
            if cache.exists::<u8>(key, NO_TAGS).await {
                left.push(key);
            }
        }
        left
    };
    fill().await;
    assert_eq!(cache.delete_pattern("share:*").await, 2);
    assert_eq!(left().await, ["listing:1", "plain"]);
    fill().await;
    assert_eq!(cache.delete_pattern("*:1").await, 2);
    assert_eq!(left().await, ["share:2", "plain"]);
    fill().await;
    cache.clear().await.unwrap();
    assert!(left().await.is_empty());
}

#[tokio::test]
async fn a_load_that_began_before_the_key_was_deleted_or_set_is_not_kept() {
    let cache = local().await;
    for sets in [false, true] {
        let loading = cache.clone();
        let reading = tokio::spawn(async move {
            let load = || async {
                tokio::time::sleep(2 * MOMENT).await;
                Ok::<_, Infallible>("old".to_owned())
            };
            loading.get_or_load("k", &PLAIN, NO_TAGS, load).await
        });
        tokio::time::sleep(MOMENT).await;
        if sets {
            cache.set("k", "new".to_owned(), &PLAIN, NO_TAGS).await;
        } else {
            cache.delete("k").await;
        }
        let answered = if sets { "new" } else { "old" };
        assert_eq!(*reading.await.unwrap().unwrap(), answered);
        tokio::time::sleep(Duration::from_millis(10)).await;
        let kept = cache.get::<String>("k", NO_TAGS).await;
        assert_eq!(kept.as_deref().map(String::as_str), sets.then_some("new"));
    }
}

#[tokio::test]
async fn a_ready_answer_is_the_same_bytes_for_all() {
    let cache = local().await;
    let load = || async { Ok::<_, Infallible>(Response::json(&[1, 2, 3]).unwrap()) };
    let one = cache.get_or_load("k", &PLAIN, NO_TAGS, load).await.unwrap();
    let other = cache.get_or_load("k", &PLAIN, NO_TAGS, load).await.unwrap();
    assert_eq!(one.body().as_ptr(), other.body().as_ptr());
    assert_eq!(
        (one.body(), one.content_type()),
        (&"[1,2,3]".into(), "application/json")
    );
}

#[tokio::test]
async fn a_name_or_an_address_that_is_none_is_named_without_its_password() {
    for name in ["", "a:b", "a b"] {
        let error = Cache::builder(name).build().await.err().unwrap();
        assert!(
            error.to_string().contains("is no name of a cache"),
            "{error}"
        );
    }
    let builder = Cache::builder("test").redis("postgres://me:secret@db/0");
    assert!(!format!("{builder:?}").contains("secret"));
    let error = builder.build().await.err().unwrap().to_string();
    assert!(
        error.contains("@db/0") && !error.contains("secret"),
        "{error}"
    );
}
