//! Migrations that `speedwell advise` writes, carried out by the tool that they are for.

use std::{fs, path::Path};

use sqlx::{
    AssertSqlSafe, Executor as _, PgPool, SqlitePool, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};
use throwaway::Postgres;

use crate::support::{Project, Run};

/// Text that both databases read.
const TABLES: &str = "
CREATE TABLE flyers (id BIGINT PRIMARY KEY, creator_id BIGINT NOT NULL, title TEXT NOT NULL,
    body TEXT NOT NULL, created_at TEXT NOT NULL);
";

const ROWS: &str = "
    WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 20000)
    INSERT INTO flyers
    SELECT g, 1 + g % 500, (g * 7919 % 20000 * 65433 + 100000000) || ' flyers of the town',
        'a long text that fills pages, as bodies do, however little there is to be said in them',
        'at ' || (g * 7 % 10000)
    FROM n";

const WORKLOAD: &str = "
creator|SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20
newest|SELECT id, title FROM flyers ORDER BY created_at DESC, id DESC LIMIT 20
one|SELECT title FROM flyers WHERE id = $1
";

/// An index of the pieces of texts: PostgreSQL needs an extension for it.
const SEARCH: &str = "search|SELECT id FROM flyers WHERE title ILIKE '%' || $1 || '%'\n";

/// A project with a migration of sqlx that makes the tables.
fn project(workload: &str) -> Project {
    let project = Project::new("");
    let folder = project.0.path().join("migrations");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("0001_tables.up.sql"), TABLES).unwrap();
    fs::write(folder.join("0001_tables.down.sql"), "DROP TABLE flyers;\n").unwrap();
    fs::write(project.0.path().join("workload.txt"), workload).unwrap();
    project
}

fn advise(project: &Project, database: &str, further: &[&str]) -> Run {
    let arguments = [
        "advise",
        "--database",
        database,
        "--workload",
        "workload.txt",
    ];
    project.speedwell(&[&arguments[..], further].concat())
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_unstable();
    names
}

async fn migrator(project: &Project) -> Migrator {
    Migrator::new(project.0.path().join("migrations"))
        .await
        .unwrap()
}

const SQLX: [&str; 4] = ["--save", "migrations", "--migrations", "sqlx"];

#[tokio::test]
async fn sqlx_migrates_postgresql_forth_and_back() {
    let server = Postgres::shared().unwrap();
    let database = server.database().unwrap();
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let project = project(&format!("{WORKLOAD}{SEARCH}"));
    migrator(&project).await.run(&pool).await.unwrap();
    pool.execute(ROWS).await.unwrap();
    pool.execute("VACUUM ANALYZE").await.unwrap();

    let first = advise(&project, &database.url(), &SQLX);
    assert_eq!(first.code, Some(1), "{first:?}");
    let written = files(&project.0.path().join("migrations"));
    assert_eq!(written[2], "0002_speedwell_pg_trgm.down.sql", "{written:?}");
    assert!(written.len() >= 8, "{written:?}");
    assert!(
        first
            .err
            .contains("wrote migrations/0002_speedwell_pg_trgm.up.sql"),
        "{}",
        first.err
    );
    // Again before anybody has migrated.
    let twice = advise(&project, &database.url(), &SQLX);
    assert!(twice.err.contains("already; migrate"), "{twice:?}");
    assert_eq!(files(&project.0.path().join("migrations")), written);

    let migrator = migrator(&project).await;
    migrator.run(&pool).await.unwrap();
    let built = indexes(&pool).await;
    assert_eq!(built.len() * 2 + 4, written.len(), "{built:?}, {written:?}");
    assert!(built.iter().all(|(_, valid)| *valid), "{built:?}");
    let second = advise(&project, &database.url(), &SQLX);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert_eq!(files(&project.0.path().join("migrations")), written);

    migrator.undo(&pool, 1).await.unwrap();
    assert_eq!(indexes(&pool).await, []);
}

/// Indexes that nobody declared with a table, and whether they are valid.
async fn indexes(pool: &PgPool) -> Vec<(String, bool)> {
    let question = "
        SELECT c.relname::TEXT, i.indisvalid
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'flyers'::REGCLASS
          AND NOT i.indisprimary
        ORDER BY 1";
    sqlx::query_as(question).fetch_all(pool).await.unwrap()
}

#[tokio::test]
async fn sqlx_migrates_sqlite_forth_and_back() {
    let project = project(WORKLOAD);
    let file = project.0.path().join("shop.db");
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    migrator(&project).await.run(&pool).await.unwrap();
    pool.execute(ROWS).await.unwrap();
    let count = || async {
        let question =
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL";
        let count: i64 = sqlx::query_scalar(question).fetch_one(&pool).await.unwrap();
        count
    };

    let first = advise(&project, "sqlite:shop.db", &SQLX);
    assert_eq!(first.code, Some(1), "{first:?}");
    let expected = [
        "0001_tables.down.sql",
        "0001_tables.up.sql",
        "0002_speedwell_indexes.down.sql",
        "0002_speedwell_indexes.up.sql",
    ];
    assert_eq!(files(&project.0.path().join("migrations")), expected);
    let migrator = migrator(&project).await;
    migrator.run(&pool).await.unwrap();
    assert!(count().await > 0);
    assert_eq!(advise(&project, "sqlite:shop.db", &SQLX).code, Some(0));
    migrator.undo(&pool, 1).await.unwrap();
    assert_eq!(count().await, 0);
}

#[tokio::test]
async fn django_and_alembic_get_one_file_that_python_compiles() {
    let project = project(WORKLOAD);
    let home = project.0.path();
    let pool = SqlitePool::connect_with(
        SqliteConnectOptions::new()
            .filename(home.join("shop.db"))
            .create_if_missing(true),
    )
    .await
    .unwrap();
    pool.execute(AssertSqlSafe(format!("{TABLES}{ROWS}")))
        .await
        .unwrap();
    fs::create_dir_all(home.join("shop/migrations")).unwrap();
    fs::write(home.join("shop/migrations/0001_initial.py"), "").unwrap();
    for (tool, folder) in [("django", "shop/migrations"), ("alembic", "versions")] {
        let save = ["--save", folder, "--migrations", tool];
        let run = advise(&project, "sqlite:shop.db", &save);
        assert_eq!(run.code, Some(1), "{run:?}");
        let written = files(&home.join(folder));
        let name = written.last().unwrap();
        assert!(name.ends_with("_speedwell_indexes.py"), "{written:?}");
        let compiled = std::process::Command::new("python3")
            .args(["-m", "py_compile", name])
            .current_dir(home.join(folder))
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{compiled:?}");
    }
}

#[test]
fn a_folder_in_which_new_migrations_have_no_place_is_refused_before_anything_runs() {
    let project = project(WORKLOAD);
    let versions = project.0.path().join("versions");
    fs::create_dir(&versions).unwrap();
    for id in ["a", "b"] {
        let text = format!("revision = '{id}'\ndown_revision = None\n");
        fs::write(versions.join(format!("{id}.py")), text).unwrap();
    }
    let refused = |folder: &str, tool: &str, words: &[&str]| {
        let save = ["--save", folder, "--migrations", tool];
        advise(&project, "sqlite:no_such.db", &save).refuses(words);
    };
    refused(
        "versions",
        "alembic",
        &["several heads (a, b)", "alembic merge heads"],
    );
    refused(
        "versions",
        "django",
        &["--migrations django", "shop/migrations"],
    );
    refused("workload.txt", "sql", &["--save", "workload.txt"]);
}
