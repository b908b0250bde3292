//! `speedwell advise` from the workload file to the migrated database.

use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::Project;

const TABLES: &str = "
    CREATE TABLE flyers (id INTEGER PRIMARY KEY, creator_id INTEGER NOT NULL, title TEXT NOT NULL,
        created_at TEXT NOT NULL);
    WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 10000)
    INSERT INTO flyers SELECT g, 1 + g % 500, 'flyer ' || g, 'at ' || (g * 7 % 10000) FROM n";

const WORKLOAD: &str = "
creator|SELECT * FROM flyers WHERE creator_id = ? ORDER BY created_at DESC LIMIT 20
one|SELECT title FROM flyers WHERE id = ?
";

async fn database(project: &Project) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(project.0.path().join("shop.db"))
        .create_if_missing(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn a_second_run_on_the_migrated_database_advises_nothing() {
    let project = Project::new("");
    database(&project).await.execute(TABLES).await.unwrap();
    std::fs::write(project.0.path().join("workload.txt"), WORKLOAD).unwrap();
    let arguments = [
        "advise",
        "--database",
        "sqlite:shop.db",
        "--workload",
        "workload.txt",
    ];

    let first = project.speedwell(&[&arguments[..], &["--save", "migrations"]].concat());
    assert_eq!(first.code, Some(1), "{first:?}");
    for words in [
        "creator    improved",
        "one        already good",
        "ON flyers (creator_id, created_at DESC);",
        "1 of 2 statements improved by 1 indexes",
    ] {
        assert!(
            first.out.contains(words),
            "`{words}` is not in: {}",
            first.out
        );
    }
    let json = project.speedwell(&[&arguments[..], &["--format", "json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["statements"][0]["verdict"]["is"], "improved");
    assert_eq!(json["indexes"][0]["buys"][0]["statement"], "creator");

    let migration = std::fs::read_to_string(project.0.path().join("migrations/up.sql")).unwrap();
    database(&project)
        .await
        .execute(AssertSqlSafe(migration))
        .await
        .unwrap();
    let second = project.speedwell(&arguments);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(
        second
            .out
            .contains("0 of 2 statements improved by 0 indexes"),
        "{}",
        second.out
    );
}

#[test]
fn a_workload_without_statements_is_refused() {
    let project = Project::new("");
    std::fs::write(project.0.path().join("empty.sql"), "-- nothing\n").unwrap();
    let advise = |workload: &str| {
        project.speedwell(&[
            "advise",
            "--database",
            "sqlite:shop.db",
            "--workload",
            workload,
        ])
    };
    advise("empty.sql").refuses(&["holds no statement"]);
    advise("missing.sql").refuses(&["cannot read workload `missing.sql`"]);
}
