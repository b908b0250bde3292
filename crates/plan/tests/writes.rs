//! What a statement that writes costs depends on the indexes that are there, not on those that
//! are tried for others.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use speedwell_plan::{Advice, AdviceOptions, Asked, advise};
use sqlx::{Connection as _, Executor as _, PgConnection};
use throwaway::Postgres;

const TABLE: &str = "
    CREATE TABLE tickets (id BIGINT PRIMARY KEY, a BIGINT NOT NULL, b BIGINT NOT NULL,
        c BIGINT NOT NULL, d BIGINT NOT NULL, status TEXT NOT NULL);
    INSERT INTO tickets
        SELECT g, g % 1000, g % 999, g % 998, g % 997, 'open'
        FROM generate_series(1, 20000) AS g";

const UPDATE: &str = "UPDATE tickets SET status = 'closed' WHERE id BETWEEN 100 AND 600";

fn workload(statements: &[&str]) -> Vec<Asked> {
    let asked = |sql: &&str| Asked::new(*sql, *sql);
    statements.iter().map(asked).collect()
}

fn pages(advice: &Advice) -> f64 {
    let mut statements = advice.statements.iter();
    let update = statements.find(|judged| judged.name == UPDATE).unwrap();
    update.before.unwrap().pages
}

#[tokio::test]
async fn an_index_that_is_only_tried_does_not_make_writes_dearer() {
    let server = Postgres::shared().unwrap();
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    writer.execute(TABLE).await.unwrap();
    writer.execute("VACUUM ANALYZE").await.unwrap();

    let alone = advise(&home.url(), &workload(&[UPDATE]), AdviceOptions::default()).await;
    let beside = advise(
        &home.url(),
        &workload(&[
            UPDATE,
            "SELECT * FROM tickets WHERE a = $1",
            "SELECT * FROM tickets WHERE b = $1",
            "SELECT * FROM tickets WHERE c = $1 ORDER BY status",
            "SELECT * FROM tickets WHERE d = $1",
        ]),
        AdviceOptions::default(),
    )
    .await;
    let (alone, beside) = (pages(&alone.unwrap()), pages(&beside.unwrap()));
    assert!(
        beside < alone * 1.2,
        "{alone} alone, {beside} beside others"
    );
}

#[tokio::test]
async fn writes_that_were_taken_back_make_nothing_dearer_to_read_afterwards() {
    let server = Postgres::shared().unwrap();
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    writer.execute(TABLE).await.unwrap();
    for statement in [
        "CREATE INDEX tickets_z ON tickets (a)",
        "CREATE INDEX tickets_a_c ON tickets (a, b, c)",
        "VACUUM ANALYZE",
    ] {
        writer.execute(statement).await.unwrap();
    }
    let workload = workload(&[
        "SELECT count(*) FROM tickets WHERE a = $1",
        "SELECT sum(b) FROM tickets WHERE a = $1",
        "UPDATE tickets SET status = 'closed'",
    ]);
    let advice = advise(&home.url(), &workload, AdviceOptions::default()).await;
    let advice = advice.unwrap();
    println!("{:#?}", advice.statements);
    let needless = advice.needless.iter().map(|each| each.index.as_str());
    // Each row is in both, and neither says which rows are there once their pages were written to.
    assert_eq!(needless.collect::<Vec<_>>(), ["tickets_z"]);
}
