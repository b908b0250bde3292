//! A file of SQLite that cannot be used, as a person who starts the command sees it.

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};

use crate::command::{flyers, free_port, refused};

fn url(folder: &tempfile::TempDir, name: &str) -> String {
    format!("sqlite:{}", folder.path().join(name).display())
}

#[test]
fn a_database_that_cannot_be_used_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("no.db"), "plain text ".repeat(100)).unwrap();
    for (url, advice) in [
        (url(&folder, "no.db"), "set DATABASE_URL to a SQLite file"),
        (
            url(&folder, ""),
            "set DATABASE_URL to a file in a folder that can be written",
        ),
        (
            url(&folder, "no.db/f.db"),
            "set DATABASE_URL to a place that can be written",
        ),
        (
            "sqlite:/proc/f.db".to_owned(),
            "set DATABASE_URL to a file in a folder that can be written",
        ),
    ] {
        let said = refused(flyers(
            &["serve"],
            &[("LISTEN", &free_port()), ("DATABASE_URL", &url)],
        ));
        assert!(
            said.contains("DATABASE_URL") && said.contains(advice),
            "{said}"
        );
    }
}

#[test]
fn a_locked_database_is_called_locked() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(&folder, "f.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let held = runtime.block_on(async {
        let options: SqliteConnectOptions = url.parse().unwrap();
        let mut held = options.create_if_missing(true).connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (a INTEGER); BEGIN EXCLUSIVE")
            .execute(&mut held)
            .await
            .unwrap();
        held
    });
    let said = refused(flyers(&["migrate"], &[("DATABASE_URL", &url)]));
    assert!(said.contains("another process holds it locked"), "{said}");
    runtime.block_on(held.close()).unwrap();
}
