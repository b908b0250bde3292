//! Every statement of the benchmarks is read and executed, on both databases. Their tables are
//! empty here, so it takes a moment; `--example workloads` fills them and measures.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use speedwell_plan::{Advice, AdviceOptions, Asked, Verdict, advise};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection,
    sqlite::SqliteConnectOptions,
};
use throwaway::Postgres;

const WORKLOADS: [&str; 2] = ["web17", "desk"];

fn read(workload: &str, file: &str) -> String {
    let home = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = home.join("../../bench").join(workload).join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The statements that make tables; those that fill them are left out.
fn tables(workload: &str, file: &str) -> Vec<String> {
    let text = read(workload, file);
    let statements = text.split_inclusive(";\n").map(str::trim);
    let is_table = |line: &&str| line.to_lowercase().starts_with("create table");
    let begin = |statement: &str| {
        let lines: Vec<&str> = statement
            .lines()
            .skip_while(|line| !is_table(line))
            .collect();
        lines.join("\n")
    };
    statements
        .map(begin)
        .filter(|statement| !statement.is_empty())
        .collect()
}

fn asked(text: &str) -> Vec<Asked> {
    let lines = text.lines().map(|line| line.split_once('|').unwrap());
    lines.map(|(name, sql)| Asked::new(name, sql)).collect()
}

/// Nothing but the lack of rows, of those that others refer to too, keeps a statement from being
/// tried.
fn check(workload: &str, advice: &Advice) {
    assert!(!advice.statements.is_empty());
    for judged in &advice.statements {
        let reason = match &judged.verdict {
            Verdict::Cannot(reason) => reason,
            _ => continue,
        };
        let is_for_rows = reason == "its tables hold no rows to try it on"
            || reason.to_lowercase().contains("foreign key constraint");
        assert!(is_for_rows, "{workload}: {}: {reason}", judged.name);
    }
}

#[tokio::test]
async fn postgresql_reads_and_executes_every_statement() {
    let server = Postgres::shared().unwrap();
    for workload in WORKLOADS {
        let home = server.database().unwrap();
        let mut writer = PgConnection::connect(&home.url()).await.unwrap();
        for table in tables(workload, "schema.sql") {
            writer.execute(AssertSqlSafe(table)).await.unwrap();
        }
        let statements = asked(&read(workload, "queries.txt"));
        let advice = advise(&home.url(), &statements, AdviceOptions::default())
            .await
            .unwrap();
        check(workload, &advice);
    }
}

#[tokio::test]
async fn sqlite_reads_and_executes_every_statement() {
    for workload in WORKLOADS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty.db");
        let options = SqliteConnectOptions::new().filename(&path);
        let mut writer = SqliteConnection::connect_with(&options.create_if_missing(true))
            .await
            .unwrap();
        for table in tables(workload, "sqlite.sql") {
            writer.execute(AssertSqlSafe(table)).await.unwrap();
        }
        writer.close().await.unwrap();
        let others = asked(&read(workload, "sqlite.txt"));
        let mut statements = asked(&read(workload, "queries.txt"));
        for statement in &mut statements {
            if let Some(other) = others.iter().find(|other| other.name == statement.name) {
                statement.sql.clone_from(&other.sql);
            }
        }
        let url = path.to_string_lossy().into_owned();
        let advice = advise(&url, &statements, AdviceOptions::default())
            .await
            .unwrap();
        check(workload, &advice);
    }
}
