//! Values that SQLite gave, and what makes them invalid.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use speedwell_cache::{Builder, Cache, Policy, statements::Dialect};
use sqlx::{AssertSqlSafe, SqlitePool, sqlite::SqlitePoolOptions};
use tokio::time::sleep;

use super::{listen, ready::until_ready};

const POLICY: Policy = Policy::new(Duration::from_secs(60))
    .jitter(0.0)
    .early_refresh(0.0);
const NO_TAGS: [&str; 0] = [];
const MOMENT: Duration = Duration::from_millis(60);

/// A cache in front of two tables, and how often it had to ask them.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) cache: Cache,
    pool: SqlitePool,
    loads: Arc<AtomicUsize>,
}

impl Shop {
    pub(crate) async fn over(builder: Builder, pool: &SqlitePool) -> Self {
        let builder = builder.observe_statements(Dialect::Sqlite);
        Self {
            cache: builder.build().await.unwrap(),
            pool: pool.clone(),
            loads: Arc::default(),
        }
    }

    /// What the statement finds, through the cache, and how many loads there were until then.
    pub(crate) async fn read(&self, key: &str, sql: &'static str) -> (i64, usize) {
        let value = self.read_slowly(key, sql, Duration::ZERO).await;
        (value, self.loads.load(Ordering::SeqCst))
    }

    async fn read_slowly(&self, key: &str, sql: &'static str, pause: Duration) -> i64 {
        let (pool, loads) = (self.pool.clone(), Arc::clone(&self.loads));
        let load = move || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            // One row, and left before the last: SQLite's thread reports it when it likes.
            let value = sqlx::query_scalar(sql).fetch_one(&pool).await;
            sleep(pause).await;
            value
        };
        let read = self.cache.get_or_load(key, &POLICY, NO_TAGS, load);
        let read: Result<Arc<i64>, _> = read.await;
        *read.unwrap()
    }

    pub(crate) async fn write(
        &self,
        tags: &[&str],
        sql: &'static str,
    ) -> Result<(), speedwell_cache::WriteError<sqlx::Error>> {
        let pool = self.pool.clone();
        let write = self.cache.write(tags, move |_| async move {
            let mut transaction = pool.begin().await?;
            sqlx::query(sql).execute(&mut *transaction).await?;
            transaction.commit().await
        });
        write.await
    }
}

pub(crate) async fn tables() -> SqlitePool {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect("sqlite::memory:")
        .await
        .unwrap();
    for table in ["a", "b", "c"] {
        let make = format!(
            "CREATE TABLE {table} (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
             INSERT INTO {table} VALUES (1, 10)"
        );
        sqlx::raw_sql(AssertSqlSafe(make))
            .execute(&pool)
            .await
            .unwrap();
    }
    pool
}

async fn shop() -> Shop {
    listen();
    Shop::over(Cache::builder("test"), &tables().await).await
}

pub(crate) const A: &str = "SELECT n FROM a WHERE id = 1";
const B: &str = "SELECT n FROM b WHERE id = 1";
const BOTH: &str = "SELECT a.n + b.n FROM a JOIN b ON b.id = a.id WHERE a.id = 1";
pub(crate) const MORE_A: &str = "UPDATE a SET n = n + 1 WHERE id = 1";
const MORE_B: &str = "UPDATE b SET n = n + 1 WHERE id = 1";
const MORE_C: &str = "UPDATE c SET n = n + 1 WHERE id = 1";

#[tokio::test]
async fn the_first_load_of_a_group_is_not_kept_and_the_second_is() {
    let shop = shop().await;
    assert_eq!(shop.read("a:1", A).await, (10, 1));
    assert_eq!(shop.read("a:1", A).await, (10, 2));
    assert_eq!(shop.read("a:1", A).await, (10, 2));
    // What the group reads is known by now.
    assert_eq!(shop.read("a:2", A).await, (10, 3));
    assert_eq!(shop.read("a:2", A).await, (10, 3));
    assert_eq!(shop.cache.stats().undetermined, 1);
}

#[tokio::test]
async fn a_value_is_dropped_by_a_write_to_its_table_and_kept_after_a_write_to_another() {
    let shop = shop().await;
    for _ in 0..3 {
        assert_eq!(shop.read("a:1", A).await.0, 10);
    }
    shop.write(&[], MORE_B).await.unwrap();
    assert_eq!(shop.read("a:1", A).await, (10, 2));
    shop.write(&[], MORE_A).await.unwrap();
    assert_eq!(shop.read("a:1", A).await, (11, 3));
    assert_eq!(shop.read("a:1", A).await, (11, 3));
}

#[tokio::test]
async fn a_join_depends_on_both_tables() {
    let shop = shop().await;
    shop.read("both:1", BOTH).await;
    assert_eq!(shop.read("both:1", BOTH).await, (20, 2));
    shop.write(&[], MORE_C).await.unwrap();
    assert_eq!(shop.read("both:1", BOTH).await, (20, 2));
    shop.write(&[], MORE_B).await.unwrap();
    assert_eq!(shop.read("both:1", BOTH).await, (21, 3));
    shop.write(&[], MORE_A).await.unwrap();
    assert_eq!(shop.read("both:1", BOTH).await, (22, 4));
}

#[tokio::test]
async fn a_group_that_is_found_to_read_more_is_watched_for_all_of_it() {
    let shop = shop().await;
    shop.read("x:1", A).await;
    assert_eq!(shop.read("x:1", A).await.1, 2);
    // Another key of the group reads another table: it is not kept the first time.
    shop.read("x:2", B).await;
    assert_eq!(shop.read("x:2", B).await.1, 4);
    assert_eq!(shop.read("x:2", B).await.1, 4);
    shop.write(&[], MORE_B).await.unwrap();
    assert_eq!(shop.read("x:2", B).await, (11, 5));
}

#[tokio::test]
async fn a_statement_that_is_not_understood_is_never_kept() {
    let shop = shop().await;
    for turn in 1..5 {
        let unknown = "PRAGMA page_count";
        assert_eq!(shop.read("unknown:1", unknown).await.1, turn);
    }
    assert_eq!(shop.cache.stats().entries, 0);
}

#[tokio::test]
async fn a_load_that_writes_or_asks_a_cache_is_never_kept() {
    let shop = shop().await;
    for turn in 1..4 {
        let counts = "UPDATE a SET n = n + 1 WHERE id = 1 RETURNING n";
        assert_eq!(shop.read("counts:1", counts).await.1, turn);
        let inner = shop.clone();
        let load = move || async move {
            inner.read_slowly("b:1", B, Duration::ZERO).await;
            let own: Result<i64, sqlx::Error> = sqlx::query_scalar(A).fetch_one(&inner.pool).await;
            own
        };
        let outer = shop.cache.get_or_load("outer:1", &POLICY, NO_TAGS, load);
        outer.await.unwrap();
        assert!(!shop.cache.exists::<i64>("outer:1", NO_TAGS).await);
        // What it asked for is kept like anything else.
        shop.loads.store(turn, Ordering::SeqCst);
    }
    assert!(shop.cache.exists::<i64>("b:1", NO_TAGS).await);
}

#[tokio::test]
async fn a_write_of_which_no_statement_is_seen_invalidates_everything() {
    let shop = shop().await;
    shop.read("a:1", A).await;
    assert_eq!(shop.read("a:1", A).await.1, 2);
    let silent = shop
        .cache
        .write(NO_TAGS, |_| async { Ok::<_, std::convert::Infallible>(()) });
    silent.await.unwrap();
    assert_eq!(shop.read("a:1", A).await.1, 3);
}

#[tokio::test]
async fn who_comes_after_a_write_never_gets_what_a_load_from_before_read() {
    let shop = shop().await;
    let early = shop.clone();
    let before = tokio::spawn(async move { early.read_slowly("a:1", A, 2 * MOMENT).await });
    sleep(MOMENT).await;
    shop.write(&[], MORE_A).await.unwrap();
    // What the load reads is not known yet, so this one joins it, and must not take its value.
    assert_eq!(shop.read("a:1", A).await.0, 11);
    assert_eq!(before.await.unwrap(), 10);
    assert_eq!(shop.read("a:1", A).await.0, 11);
}

#[tokio::test]
async fn tags_named_by_hand_count_beside_those_that_are_found() {
    let shop = shop().await;
    let load = |shop: Shop| {
        let tags = ["by hand"];
        async move {
            let pool = shop.pool.clone();
            shop.loads.fetch_add(1, Ordering::SeqCst);
            let load = || async move { sqlx::query_scalar::<_, i64>(A).fetch_one(&pool).await };
            shop.cache.get_or_load("a:1", &POLICY, tags, load).await
        }
    };
    load(shop.clone()).await.unwrap();
    load(shop.clone()).await.unwrap();
    assert_eq!(shop.cache.stats().entries, 1);
    shop.cache.invalidate(["by hand"]).await.unwrap();
    assert!(!shop.cache.exists::<i64>("a:1", ["by hand"]).await);
}

#[tokio::test]
async fn processes_that_have_learned_the_same_share_their_entries_in_redis() {
    listen();
    let server = throwaway::Redis::start().unwrap();
    let pool = tables().await;
    let one = Shop::over(Cache::builder("test").redis(&server.url()), &pool).await;
    let other = Shop::over(Cache::builder("test").redis(&server.url()), &pool).await;
    for shop in [&one, &other] {
        until_ready(&shop.cache).await;
    }
    one.read("a:1", A).await;
    one.read("a:1", A).await;
    assert_eq!(one.read("a:1", A).await.1, 2);
    // It does not know yet what to ask the stamps of.
    assert_eq!(other.read("a:1", A).await.1, 1);
    assert_eq!(other.read("a:1", A).await.1, 1);
    assert_eq!(other.cache.stats().redis_hits, 1);
    other.write(&[], MORE_A).await.unwrap();
    assert_eq!(one.read("a:1", A).await, (11, 3));
}
