//! Strict mode: what a write changes must be named before it begins.

use speedwell_cache::{Cache, Mode, WriteError};

use super::{
    listen,
    ready::until_ready,
    sqlite::{A, MORE_A, Shop, tables},
};

async fn strict(server: &throwaway::Redis) -> (Shop, Shop) {
    listen();
    let pool = tables().await;
    let builder = || {
        Cache::builder("test")
            .mode(Mode::Strict)
            .redis(&server.url())
    };
    let one = Shop::over(builder(), &pool).await;
    let other = Shop::over(builder(), &pool).await;
    for shop in [&one, &other] {
        until_ready(&shop.cache).await;
    }
    (one, other)
}

#[tokio::test]
async fn a_strict_write_that_names_what_it_changes_is_ok() {
    let server = throwaway::Redis::start().unwrap();
    let (one, other) = strict(&server).await;
    for _ in 0..3 {
        one.read("a:1", A).await;
    }
    other.write(&["a", "a:*"], MORE_A).await.unwrap();
    assert_eq!(one.read("a:1", A).await.0, 11);
}

#[tokio::test]
async fn a_strict_write_that_does_not_is_told_to_all_and_not_ok() {
    let server = throwaway::Redis::start().unwrap();
    let (one, other) = strict(&server).await;
    for _ in 0..3 {
        one.read("a:1", A).await;
    }
    let error = other.write(&["b"], MORE_A).await.unwrap_err();
    assert!(error.to_string().ends_with("its tags: a, a:*"), "{error}");
    assert!(matches!(error, WriteError::Unmarked { tags } if tags == ["a", "a:*"]));
    assert_eq!(one.read("a:1", A).await.0, 11);
}

#[tokio::test]
async fn without_redis_there_is_nothing_to_name() {
    listen();
    let builder = Cache::builder("test").mode(Mode::Strict);
    let shop = Shop::over(builder, &tables().await).await;
    for _ in 0..3 {
        shop.read("a:1", A).await;
    }
    shop.write(&[], MORE_A).await.unwrap();
    assert_eq!(shop.read("a:1", A).await.0, 11);
}
