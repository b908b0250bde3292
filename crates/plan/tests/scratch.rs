//! Databases that are made for one purpose and go again.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use speedwell_plan::ScratchDatabase;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use throwaway::Postgres;

/// The address of the server with a place for the name of a database.
fn place(server: &Postgres) -> String {
    let url = server.url().replace("/postgres", "/{scratch}");
    // The user's name is not the database's.
    url.replace("//{scratch}@", "//postgres@")
}

#[tokio::test]
async fn a_scratch_database_is_made_and_dropped_with_everybody_in_it() {
    let server = Postgres::shared().unwrap();
    let name = format!("speedwell_test_{}", std::process::id());
    let url = place(&server);
    let exists = async || {
        let mut admin = PgConnection::connect(&server.url()).await.unwrap();
        let found: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
                .bind(&name)
                .fetch_one(&mut admin)
                .await
                .unwrap();
        found
    };
    assert!(ScratchDatabase::is_asked_for(&url));
    let scratch = ScratchDatabase::create(&url, &name).await.unwrap();
    let _guest = PgConnection::connect(scratch.url()).await.unwrap();
    assert!(exists().await);
    drop(scratch);
    assert!(!exists().await);
    let scratch = ScratchDatabase::create(&url, &name).await.unwrap();
    let again = ScratchDatabase::create(&url, &name)
        .await
        .err()
        .expect("must fail");
    assert!(again.to_string().contains("already exists"), "{again}");
    assert!(exists().await, "the second drops nothing of the first");
    scratch.remove().await.unwrap();
    assert!(!exists().await);
}

/// As on a full disk, where a database is not dropped before it has made room.
#[tokio::test]
async fn a_scratch_database_that_is_not_dropped_is_emptied_at_least() {
    let server = Postgres::shared().unwrap();
    let name = format!("speedwell_kept_{}", std::process::id());
    let url = place(&server);
    let scratch = ScratchDatabase::create(&url, &name).await.unwrap();
    let own = scratch.url().to_owned();
    let mut writer = PgConnection::connect(&own).await.unwrap();
    // With a subscription in it the server refuses to drop a database.
    for statement in [
        "CREATE TABLE big AS SELECT g FROM generate_series(1, 1000) AS g",
        "CREATE SUBSCRIPTION kept CONNECTION 'dbname=none' PUBLICATION none
         WITH (connect = false, slot_name = NONE)",
    ] {
        writer.execute(statement).await.unwrap();
    }
    let refused = scratch.remove().await.unwrap_err();
    assert!(refused.to_string().contains("subscription"), "{refused}");
    let mut reader = PgConnection::connect(&own).await.unwrap();
    let left: Option<String> = sqlx::query_scalar("SELECT to_regclass('big')::TEXT")
        .fetch_one(&mut reader)
        .await
        .unwrap();
    assert_eq!(left, None);
    reader.execute("DROP SUBSCRIPTION kept").await.unwrap();
    reader.close().await.unwrap();
    let mut admin = PgConnection::connect(&server.url()).await.unwrap();
    let statement = format!("DROP DATABASE {name} WITH (FORCE)");
    admin.execute(AssertSqlSafe(statement)).await.unwrap();
}
