//! What the advisor makes of databases, statements and servers that are not as it would have
//! them: a clear result each time, and no scratch copy left behind.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fmt::Write as _, time::Duration};

use speedwell_plan::{Advice, AdviceOptions, Asked, Verdict, advise};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use throwaway::{Database, Postgres};

async fn database(server: &Postgres, schema: &str) -> (Database, PgConnection) {
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    for statement in schema.split(";\n") {
        let statement = AssertSqlSafe(statement.to_owned());
        writer.execute(statement).await.unwrap();
    }
    writer.execute("ANALYZE").await.unwrap();
    (home, writer)
}

/// Scratch databases of this process that are left on the server.
async fn left(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM pg_database WHERE datname LIKE $1")
        .bind(format!("speedwell_advice_{}_%", std::process::id()))
        .fetch_one(connection)
        .await
        .unwrap()
}

fn verdicts(advice: &Advice) -> Vec<(&str, &Verdict)> {
    let statements = advice.statements.iter();
    statements
        .map(|judged| (judged.name.as_str(), &judged.verdict))
        .collect()
}

const ITEMS: &str =
    "CREATE TABLE items (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, title TEXT NOT NULL);
INSERT INTO items SELECT g, g % 500, 'item ' || g FROM generate_series(1, 20000) AS g";

#[tokio::test]
async fn a_statement_of_100_kb_costs_only_its_own_verdict() {
    let server = Postgres::shared().unwrap();
    let (home, mut writer) = database(&server, ITEMS).await;
    let list: Vec<String> = (1..20_000).map(|id| id.to_string()).collect();
    let list = format!("SELECT title FROM items WHERE id IN ({})", list.join(", "));
    let mut chain = "SELECT title FROM items WHERE id = 1".to_owned();
    for id in 2..6000 {
        let _ = write!(chain, " OR id = {id}");
    }
    let deep = format!("SELECT {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    assert!(list.len() > 100_000 && deep.len() > 100_000);
    let workload = [
        Asked::new("list", list),
        Asked::new("chain", chain),
        Asked::new("deep", deep),
        Asked::new("owner", "SELECT title FROM items WHERE owner = $1"),
    ];
    let advice = advise(&home.url(), &workload, AdviceOptions::default())
        .await
        .unwrap();
    let found = verdicts(&advice);
    assert!(
        matches!(found[1].1, Verdict::Cannot(reason) if reason.contains("operators")),
        "{found:?}"
    );
    assert!(matches!(found[2].1, Verdict::Cannot(_)), "{found:?}");
    assert_eq!(found[3].1, &Verdict::Improved);
    assert_eq!(left(&mut writer).await, 0);
}

#[tokio::test]
async fn a_thousand_tables_are_no_reason_to_copy_them() {
    let server = Postgres::shared().unwrap();
    let mut schema = ITEMS.to_owned();
    for table in 0..1000 {
        let _ = write!(
            schema,
            ";\nCREATE TABLE other_{table} (id BIGINT PRIMARY KEY, owner BIGINT)"
        );
    }
    let (home, mut writer) = database(&server, &schema).await;
    let workload = [Asked::new(
        "owner",
        "SELECT title FROM items WHERE owner = $1",
    )];
    let advice = advise(&home.url(), &workload, AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(verdicts(&advice), [("owner", &Verdict::Improved)]);
    assert_eq!(left(&mut writer).await, 0);
}

#[tokio::test]
async fn tables_of_1600_columns_are_advised_like_others() {
    let server = Postgres::shared().unwrap();
    let wide = |name: &str| {
        let columns: Vec<String> = (0..1599).map(|at| format!("c{at} SMALLINT")).collect();
        format!(
            "CREATE TABLE {name} (id BIGINT PRIMARY KEY, {});
INSERT INTO {name} (id, c7) SELECT g, g % 400 FROM generate_series(1, 4000) AS g",
            columns.join(", ")
        )
    };
    let schema = format!("{};\n{}", wide("one"), wide("two"));
    let (home, mut writer) = database(&server, &schema).await;
    let workload = [
        Asked::new("one", "SELECT id FROM one WHERE c7 = $1"),
        Asked::new(
            "both",
            "SELECT * FROM one JOIN two ON two.id = one.id WHERE one.c7 = $1",
        ),
    ];
    let advice = advise(&home.url(), &workload, AdviceOptions::default())
        .await
        .unwrap();
    let found = verdicts(&advice);
    assert_eq!(found[0], ("one", &Verdict::Improved), "{advice:#?}");
    // A row of all columns is wider than PostgreSQL returns: 1,664.
    assert!(
        matches!(found[1].1, Verdict::Cannot(reason) if reason.contains("1664")),
        "{found:?}"
    );
    assert_eq!(left(&mut writer).await, 0);
}

#[tokio::test]
async fn what_may_not_be_read_is_named() {
    let server = Postgres::shared().unwrap();
    let (home, mut writer) = database(&server, ITEMS).await;
    let user = format!("reader_{}", std::process::id());
    let role = format!(
        "CREATE TABLE secret (id BIGINT PRIMARY KEY, owner BIGINT);
         CREATE ROLE {user} LOGIN CREATEDB;
         GRANT SELECT ON items TO {user}"
    );
    writer.execute(AssertSqlSafe(role)).await.unwrap();
    let url = home.url().replace("postgres@", &format!("{user}@"));
    let owner = Asked::new("owner", "SELECT title FROM items WHERE owner = $1");
    // What no statement names need not be read.
    let advice = advise(&url, std::slice::from_ref(&owner), AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(verdicts(&advice), [("owner", &Verdict::Improved)]);
    let secret = Asked::new("secret", "SELECT id FROM secret WHERE owner = $1");
    let error = advise(&url, &[owner, secret], AdviceOptions::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("secret") && text.contains("permission denied"),
        "{text}"
    );
    assert_eq!(left(&mut writer).await, 0);
    let drop = format!("DROP OWNED BY {user}; DROP ROLE {user}");
    writer.execute(AssertSqlSafe(drop)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_lost_in_a_trial_is_told_and_leaves_nothing() {
    let server = Postgres::start().unwrap();
    let (home, mut writer) = database(&server, ITEMS).await;
    let url = home.url();
    let workload = [Asked::new(
        "owner",
        "SELECT title FROM items WHERE owner = $1",
    )];
    let advising =
        tokio::spawn(async move { advise(&url, &workload, AdviceOptions::default()).await });
    let cut = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname LIKE 'speedwell_advice_%'";
    while !advising.is_finished() {
        let _: i64 = sqlx::query_scalar(cut)
            .fetch_one(&mut writer)
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let error = advising.await.unwrap().unwrap_err();
    assert!(!error.to_string().is_empty());
    assert_eq!(left(&mut writer).await, 0);
}
