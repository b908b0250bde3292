//! A thousand healthy requests must give no finding at all.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use speedwell_trace::{Detectors, Request, Thresholds, testing::record};
use sqlx::SqlitePool;
use support::library;

/// A page, its children by a list, a capped count.
async fn page(pool: &SqlitePool, after: i64) {
    let ids: Vec<i64> = sqlx::query_scalar(
        "SELECT id
         FROM authors
         WHERE id > $1
         ORDER BY id
         LIMIT 20",
    )
    .bind(after)
    .fetch_all(pool)
    .await
    .unwrap();
    let list = format!("{ids:?}");
    sqlx::query(
        "SELECT author_id, id, title
         FROM books
         WHERE author_id IN (SELECT value FROM json_each($1))
         ORDER BY author_id, id",
    )
    .bind(list)
    .fetch_all(pool)
    .await
    .unwrap();
    sqlx::query("SELECT COUNT(*) FROM (SELECT 1 FROM authors LIMIT 101) AS some")
        .fetch_one(pool)
        .await
        .unwrap();
}

/// Reads, writes and reads again what was written, in one transaction.
async fn change(pool: &SqlitePool, id: i64) {
    let mut tx = pool.begin().await.unwrap();
    for title in ["first", "second"] {
        sqlx::query("SELECT id, title FROM books WHERE id = $1")
            .bind(id)
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        sqlx::query("UPDATE books SET title = $1 WHERE id = $2")
            .bind(title)
            .bind(id)
            .execute(&mut *tx)
            .await
            .unwrap();
    }
    sqlx::query("SELECT id, title FROM books WHERE id = $1")
        .bind(id)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// Walks a whole table in pages, as an export does.
async fn walk(pool: &SqlitePool) {
    let mut after = 0_i64;
    loop {
        let ids: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM authors WHERE id > $1 ORDER BY id LIMIT 25")
                .bind(after)
                .fetch_all(pool)
                .await
                .unwrap();
        let Some(last) = ids.last() else { break };
        after = *last;
    }
}

/// One row by key, and one that belongs to it.
async fn detail(pool: &SqlitePool, id: i64) {
    sqlx::query("SELECT id, author_id, title FROM books WHERE id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap();
    sqlx::query("SELECT id, name FROM authors WHERE id = $1")
        .bind(id / 3 + 1)
        .fetch_optional(pool)
        .await
        .unwrap();
    sqlx::query("SELECT id FROM books WHERE title LIKE $1 || '%' ORDER BY id LIMIT 10")
        .bind("book 1")
        .fetch_all(pool)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_thousand_healthy_requests_give_no_finding() {
    let pool = library().await;
    let detectors = Detectors::standard(Thresholds::default());
    let mut statements = 0;
    for number in 0..250 {
        let requests: [Request; 4] = [
            record(page(&pool, number % 180)).await.1,
            record(change(&pool, number + 1)).await.1,
            record(walk(&pool)).await.1,
            record(detail(&pool, number + 1)).await.1,
        ];
        for request in requests {
            let seen = detectors.inspect(&request, None);
            assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
            statements += request.statements.len();
        }
    }
    assert!(
        statements >= 250 * (3 + 5 + 9 + 3),
        "only {statements} statements were seen"
    );
}
