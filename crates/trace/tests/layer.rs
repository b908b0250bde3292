//! The layer over real sqlx and SQLite: what it records, and what it makes of planted faults.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use std::time::Duration;

use speedwell_trace::{
    Budget, Detectors, FindingKind, Request, Thresholds, Values, assert_within, request_span,
    testing::record,
};
use sqlx::{Row, SqlitePool};
use support::library;
use tokio::task::JoinSet;
use tracing::Instrument;

fn kinds(request: &Request) -> Vec<FindingKind> {
    let seen = Detectors::standard(Thresholds::default()).inspect(request, None);
    seen.findings.iter().map(|finding| finding.kind).collect()
}

async fn authors(pool: &SqlitePool, limit: i64) -> Vec<i64> {
    sqlx::query_scalar("SELECT id FROM authors ORDER BY id LIMIT $1")
        .bind(limit)
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tracing::instrument(skip(pool))]
async fn books(pool: &SqlitePool, author: i64) -> Vec<String> {
    sqlx::query_scalar("SELECT title FROM books WHERE author_id = $1")
        .bind(author)
        .fetch_all(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_statement_is_recorded_with_text_rows_time_and_site() {
    let pool = library().await;
    let (titles, request) = record(books(&pool, 7)).await;
    assert_eq!(titles.len(), 3);
    let [statement] = request.statements.as_slice() else {
        panic!("{request:#?}")
    };
    assert_eq!(
        &*statement.text,
        "SELECT title FROM books WHERE author_id = $1"
    );
    assert_eq!(statement.rows_returned, Some(3));
    assert_eq!(statement.values, Values::Hidden);
    assert!(statement.duration > Duration::ZERO && statement.duration < request.duration);
    let site = statement.site.as_ref().unwrap();
    assert_eq!(&*site.function, "layer::books");
    assert!(site.file.as_deref().unwrap().ends_with("layer.rs") && site.line.is_some());
    assert!(
        statement
            .parent
            .is_some_and(|parent| parent != request.span_id)
    );
}

#[tokio::test]
async fn a_statement_of_few_words_has_its_text() {
    let pool = library().await;
    let (_, request) =
        record(async { sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap() }).await;
    assert_eq!(&*request.statements[0].text, "SELECT 1");
    assert_eq!(request.statements[0].values, Values::InText);
    assert_eq!(request.statements[0].parent, Some(request.span_id));
    assert_eq!(request.statements[0].site, None);
}

#[tokio::test]
async fn a_failing_statement_is_recorded_once() {
    let pool = library().await;
    let insert = "INSERT INTO authors (id, name) VALUES ($1, $2)";
    let (result, request) = record(async {
        sqlx::query(insert)
            .bind(1_i64)
            .bind("twice")
            .execute(&pool)
            .await
    })
    .await;
    assert!(result.is_err());
    assert_eq!(request.statements.len(), 1, "{request:#?}");
    assert_eq!(request.statements[0].rows_affected, Some(0));
}

#[tokio::test]
async fn pragmas_of_a_new_connection_are_left_out() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let (_, request) = record(async {
        let pool = SqlitePool::connect(&format!("sqlite:{}", file.path().display()))
            .await
            .unwrap();
        sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap()
    })
    .await;
    assert_eq!(request.statements.len(), 1, "{request:#?}");
}

#[tokio::test]
async fn a_read_per_row_is_found() {
    let pool = library().await;
    let (_, request) = record(async {
        for author in authors(&pool, 10).await {
            books(&pool, author).await;
        }
    })
    .await;
    assert_eq!(kinds(&request), [FindingKind::NPlusOne]);
    let seen = Detectors::standard(Thresholds::default()).inspect(&request, None);
    let finding = &seen.findings[0];
    assert_eq!(finding.count, 10);
    assert_eq!(
        finding.site.as_ref().map(|site| &*site.function),
        Some("layer::books")
    );
    assert!(finding.parent.as_deref().unwrap().contains("FROM authors"));
    // The advice is a statement that the database takes.
    let batched = finding.remedy.split_once('\n').unwrap().1.to_owned();
    let rows = sqlx::query(sqlx::AssertSqlSafe(batched))
        .bind("[1, 2]")
        .fetch_all(&pool)
        .await;
    let rows = rows.unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[0].get::<i64, _>("author_id"), 1);
}

#[tokio::test]
async fn a_read_per_row_by_spawned_tasks_is_found() {
    let pool = library().await;
    let (_, request) = record(async {
        let mut tasks = JoinSet::new();
        for author in authors(&pool, 10).await {
            let pool = pool.clone();
            tasks.spawn(async move { books(&pool, author).await.len() }.in_current_span());
        }
        assert_eq!(tasks.join_all().await.iter().sum::<usize>(), 30);
    })
    .await;
    assert_eq!(request.statements.len(), 11);
    assert_eq!(kinds(&request), [FindingKind::NPlusOne]);
}

#[tokio::test]
async fn statements_side_by_side_all_belong_to_the_request() {
    let pool = library().await;
    let (_, request) =
        record(async { tokio::join!(books(&pool, 1), books(&pool, 2), authors(&pool, 3)) }).await;
    assert_eq!(request.statements.len(), 3);
    assert!(
        request
            .statements
            .is_sorted_by_key(|statement| statement.offset)
    );
}

#[tokio::test]
async fn recordings_at_the_same_time_do_not_mix() {
    let pool = library().await;
    let mut tasks = JoinSet::new();
    for count in 1..20_usize {
        let pool = pool.clone();
        tasks.spawn(async move {
            let (_, request) = record(async {
                for author in 0..count {
                    books(&pool, author as i64).await;
                    tokio::task::yield_now().await;
                }
            })
            .await;
            (count, request.statements.len())
        });
    }
    for (asked, seen) in tasks.join_all().await {
        assert_eq!(asked, seen);
    }
}

#[tokio::test]
async fn the_other_planted_faults_are_found() {
    let pool = library().await;
    let run = async |text: &str| {
        let text = text.to_owned();
        let (_, request) = record(async {
            sqlx::query(sqlx::AssertSqlSafe(text))
                .fetch_all(&pool)
                .await
                .unwrap()
        })
        .await;
        kinds(&request)
    };
    assert_eq!(
        run("SELECT id, title FROM books").await,
        [FindingKind::UnboundedList]
    );
    assert_eq!(
        run("SELECT id FROM books ORDER BY id LIMIT 10 OFFSET 2000").await,
        [FindingKind::DeepOffset]
    );
    assert_eq!(
        run("SELECT id FROM books WHERE title LIKE '%7' LIMIT 10").await,
        [FindingKind::LeadingWildcard]
    );

    let (_, repeated) = record(async {
        for _ in 0..3 {
            sqlx::query("SELECT name FROM authors LIMIT 5")
                .fetch_all(&pool)
                .await
                .unwrap();
        }
    })
    .await;
    assert_eq!(kinds(&repeated), [FindingKind::Repeated]);

    let (_, counted) = record(async {
        sqlx::query("SELECT COUNT(*) FROM books")
            .fetch_one(&pool)
            .await
            .unwrap();
        sqlx::query("SELECT id FROM books ORDER BY id LIMIT 10")
            .fetch_all(&pool)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(kinds(&counted), [FindingKind::CountPerPage]);

    let (_, written) = record(async {
        for id in 1..8_i64 {
            sqlx::query("UPDATE books SET title = $1 WHERE id = $2")
                .bind("new")
                .bind(id)
                .execute(&pool)
                .await
                .unwrap();
        }
    })
    .await;
    assert_eq!(kinds(&written), [FindingKind::WriteLoop]);

    let (_, slow) = record(async {
        sqlx::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000000)
             SELECT MAX(i) FROM n",
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    })
    .await;
    assert_eq!(kinds(&slow), [FindingKind::Slow]);

    let (_, mut fetched) = record(async {
        sqlx::query("SELECT id FROM books LIMIT 90")
            .fetch_all(&pool)
            .await
            .unwrap()
    })
    .await;
    fetched.rows_answered = Some(3);
    assert_eq!(kinds(&fetched), [FindingKind::OverFetch]);
}

#[tokio::test]
async fn a_request_inside_a_recording_is_part_of_it() {
    let pool = library().await;
    let (_, request) = record(async {
        let span = request_span("GET", "/authors/{id}", Some("/authors/7?token=x"), None);
        books(&pool, 7).instrument(span).await
    })
    .await;
    assert_eq!(request.statements.len(), 1);
}

#[tokio::test]
async fn a_budget_that_holds_gives_the_value() {
    let pool = library().await;
    let titles = assert_within!(Budget::new().statements(1).rows(3), async {
        books(&pool, 7).await
    });
    assert_eq!(titles.len(), 3);
    assert_within!(Budget::new().statements(0), async {});
}

#[tokio::test]
#[should_panic(expected = "2 statements ran, the budget is 1")]
async fn a_budget_that_is_broken_fails_the_test() {
    let pool = library().await;
    assert_within!(Budget::new().statements(1), async {
        books(&pool, 7).await;
        authors(&pool, 7).await;
    });
}

#[tokio::test]
#[should_panic(expected = "One read of books ran twice")]
async fn a_loop_over_two_rows_fails_the_test() {
    let pool = library().await;
    assert_within!(Budget::new(), async {
        for author in authors(&pool, 2).await {
            books(&pool, author).await;
        }
    });
}

#[tokio::test]
#[should_panic(expected = "observed nothing")]
async fn a_block_without_statements_fails_the_test() {
    assert_within!(Budget::new().statements(5), async {});
}
