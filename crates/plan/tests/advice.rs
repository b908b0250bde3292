//! Advice for real databases: it helps, it is the same each time, it changes nothing, and it
//! leaves nothing behind.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use speedwell_plan::{
    Advice, AdviceOptions, Asked, Needless, RewriteKind, RewriteOutcome, Verdict, advise,
    build_indexes,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _, SqliteConnection,
    sqlite::SqliteConnectOptions,
};
use throwaway::Postgres;

/// Text that both databases read, but for the series.
const TABLES: &str = "
    CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE);
    CREATE TABLE flyers (id BIGINT PRIMARY KEY, creator_id BIGINT NOT NULL REFERENCES users (id),
        title TEXT NOT NULL, is_active BOOLEAN NOT NULL, created_at TEXT NOT NULL);
    CREATE TABLE favorites (id BIGINT PRIMARY KEY, user_id BIGINT NOT NULL REFERENCES users (id),
        flyer_id BIGINT NOT NULL REFERENCES flyers (id) ON DELETE CASCADE);
    CREATE INDEX flyers_active ON flyers (is_active);
    CREATE INDEX flyers_active_title ON flyers (is_active, title)";

const ROWS: &str = "
    INSERT INTO users SELECT g, 'User ' || g, 'u' || g || '@x.io' FROM (SERIES(3000)) AS s (g);
    INSERT INTO flyers
        SELECT g, 1 + (g * g) % 300, 'flyer ' || (g * 7919) % 20000 || ' of the town', g % 10 < 6,
               'at ' || (100000 + g * 13 % 20000)
        FROM (SERIES(20000)) AS s (g);
    INSERT INTO favorites SELECT g, 1 + g % 299, 1 + (g * 31) % 20000 FROM (SERIES(30000)) AS s (g)";

fn workload() -> Vec<Asked> {
    let statements = [
        (
            "creator",
            "SELECT * FROM flyers WHERE creator_id = $1 ORDER BY created_at DESC LIMIT 20",
        ),
        (
            "feed",
            "SELECT * FROM flyers WHERE is_active = TRUE AND (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT 20",
        ),
        (
            "search",
            "SELECT id FROM users WHERE lower(name) = lower($1)",
        ),
        ("one", "SELECT title FROM flyers WHERE id = $1"),
        (
            "favorites",
            "SELECT f.title FROM favorites v JOIN flyers f ON f.id = v.flyer_id WHERE v.user_id = $1",
        ),
        ("delete", "DELETE FROM flyers WHERE id = $1"),
        ("missing", "SELECT nothing FROM flyers"),
        ("broken", "SELECT FROM WHERE"),
        (
            "add",
            "INSERT INTO favorites (id, user_id, flyer_id) VALUES ($1, $2, $3)",
        ),
    ];
    statements.map(|(name, sql)| Asked::new(name, sql)).to_vec()
}

/// Statements that no index helps as they are written.
fn badly_written() -> Vec<Asked> {
    let once = [
        (
            "page",
            "SELECT id, title FROM flyers WHERE is_active = TRUE ORDER BY created_at DESC LIMIT $1 OFFSET $2",
        ),
        (
            "count",
            "SELECT COUNT(*) FROM flyers WHERE is_active = TRUE",
        ),
        (
            "by title",
            "SELECT id FROM flyers ORDER BY lower(title) LIMIT 20 OFFSET 400",
        ),
    ];
    let repeated = [
        ("author", "SELECT name FROM users WHERE id = $1"),
        (
            "hearts",
            "SELECT COUNT(*) FROM favorites WHERE flyer_id = $1",
        ),
    ];
    let mut all: Vec<Asked> = once.map(|(name, sql)| Asked::new(name, sql)).to_vec();
    all.extend(repeated.map(|(name, sql)| Asked {
        repeated: 20,
        ..Asked::new(name, sql)
    }));
    all
}

/// What must hold of them on both databases.
fn check_rewrites(advice: &Advice) {
    let found: Vec<_> = advice
        .rewrites
        .iter()
        .map(|each| (each.statement.as_str(), each.kind, &each.outcome))
        .collect();
    let proved = &RewriteOutcome::Proved;
    let [page, count, title, author, hearts] = found.as_slice() else {
        panic!("{:#?}", advice.rewrites);
    };
    assert_eq!(
        page,
        &("page", RewriteKind::Keyset, proved),
        "{:#?}",
        advice.rewrites
    );
    assert_eq!(count, &("count", RewriteKind::NoCount, proved));
    assert_eq!(author, &("author", RewriteKind::Batch, proved));
    assert_eq!(hearts, &("hearts", RewriteKind::Batch, proved));
    assert!(matches!(title.2, RewriteOutcome::Cannot(_)), "{title:?}");
    let (before, after) = (
        advice.rewrites[0].before.unwrap(),
        advice.rewrites[0].after.unwrap(),
    );
    assert!(after.pages * 10.0 < before.pages, "{before:?} {after:?}");
    assert_eq!(advice.rewrites[3].statements, 20);
    let texts: Vec<&str> = advice
        .rewrites
        .iter()
        .map(|each| each.sql.as_str())
        .collect();
    assert_eq!(
        texts[0],
        "SELECT id, title FROM flyers WHERE is_active = true AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $1"
    );
}

fn rows(series: &dyn Fn(&str) -> String) -> String {
    let mut text = ROWS.to_owned();
    while let Some((before, rest)) = text.clone().split_once("SERIES(") {
        let (count, after) = rest.split_once(')').unwrap();
        text = format!("{before}{}{after}", series(count));
    }
    text
}

fn verdict<'a>(advice: &'a Advice, name: &str) -> &'a Verdict {
    let mut statements = advice.statements.iter();
    &statements
        .find(|judged| judged.name == name)
        .unwrap()
        .verdict
}

fn definitions(advice: &Advice) -> Vec<&str> {
    let indexes = advice.indexes.iter();
    indexes.map(|index| index.definition.as_str()).collect()
}

/// What must hold on both databases.
fn check(advice: &Advice) {
    for name in ["creator", "feed", "favorites", "delete"] {
        assert_eq!(
            verdict(advice, name),
            &Verdict::Improved,
            "{name}: {advice:#?}"
        );
    }
    assert_eq!(verdict(advice, "one"), &Verdict::AlreadyGood);
    assert_eq!(verdict(advice, "add"), &Verdict::AlreadyGood, "{advice:#?}");
    for name in ["missing", "broken"] {
        assert!(
            matches!(verdict(advice, name), Verdict::Cannot(_)),
            "{name}"
        );
    }
    for judged in &advice.statements {
        if let (Some(before), Some(after), true) =
            (judged.before, judged.after, judged.name != "add")
        {
            assert!(after.pages <= before.pages * 1.1 + 16.0, "{judged:?}");
        }
    }
    let needless: Vec<_> = advice
        .needless
        .iter()
        .map(|n| (n.index.as_str(), n.why))
        .collect();
    let expected = [
        ("flyers_active", Needless::Prefix),
        ("flyers_active_title", Needless::Unused),
    ];
    assert_eq!(needless, expected);
    assert!(
        advice.indexes.iter().all(|index| !index.buys.is_empty()),
        "{advice:#?}"
    );
}

#[tokio::test]
async fn postgresql_is_advised_from_trials() {
    let server = Postgres::shared().unwrap();
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    writer.execute(TABLES).await.unwrap();
    let rows = rows(&|count| format!("SELECT generate_series(1::BIGINT, {count})"));
    writer.execute(AssertSqlSafe(rows)).await.unwrap();
    writer.execute("VACUUM ANALYZE").await.unwrap();
    let before = state(&mut writer).await;

    let advice = advise(&home.url(), &workload(), AdviceOptions::default())
        .await
        .unwrap();
    check(&advice);
    assert_eq!(verdict(&advice, "search"), &Verdict::Improved);
    assert_eq!(
        state(&mut writer).await,
        before,
        "the audited database has changed"
    );
    let url = server.url();
    let elsewhere = AdviceOptions {
        scratch: Some(&url),
        ..AdviceOptions::default()
    };
    let again = advise(&home.url(), &workload(), elsewhere).await.unwrap();
    assert_eq!(definitions(&advice), definitions(&again));
    assert_eq!(scratches(&mut writer).await, 0);
    check_rewrites(
        &advise(&home.url(), &badly_written(), AdviceOptions::default())
            .await
            .unwrap(),
    );

    for index in &advice.indexes {
        writer
            .execute(AssertSqlSafe(index.up.clone()))
            .await
            .unwrap();
    }
    writer.execute("VACUUM ANALYZE").await.unwrap();
    let migrated = advise(&home.url(), &workload(), AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(definitions(&migrated), Vec::<&str>::new());
    for index in &advice.indexes {
        writer
            .execute(AssertSqlSafe(index.down.clone()))
            .await
            .unwrap();
    }
}

/// Schema, rows and statistics as texts.
async fn state(connection: &mut PgConnection) -> Vec<String> {
    let mut state = Vec::new();
    for question in [
        "SELECT format('%s %s %s %s', relname, relkind, relpages, reltuples) FROM pg_class
         WHERE relnamespace = 'public'::REGNAMESPACE ORDER BY 1",
        "SELECT md5(string_agg(f::TEXT, '' ORDER BY id)) FROM flyers AS f",
        "SELECT md5(string_agg(f::TEXT, '' ORDER BY id)) FROM favorites AS f",
        "SELECT md5(string_agg(s::TEXT, '' ORDER BY tablename, attname)) FROM pg_stats AS s
         WHERE schemaname = 'public'",
        "SELECT extname::TEXT FROM pg_extension ORDER BY 1",
    ] {
        let rows = connection.fetch_all(question).await.unwrap();
        state.extend(rows.iter().map(|row| row.get::<String, _>(0)));
    }
    state
}

/// Scratch databases of this process that are left.
async fn scratches(connection: &mut PgConnection) -> i64 {
    let name = format!("speedwell_advice_{}_%", std::process::id());
    sqlx::query_scalar("SELECT COUNT(*) FROM pg_database WHERE datname LIKE $1")
        .bind(name)
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_server_without_the_right_to_copy_says_so() {
    let server = Postgres::shared().unwrap();
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    let user = format!("advised_{}", std::process::id());
    let create = format!("CREATE TABLE t (id BIGINT); CREATE ROLE {user} LOGIN");
    writer.execute(AssertSqlSafe(create)).await.unwrap();
    let url = home.url().replace("postgres@", &format!("{user}@"));
    let error = advise(&url, &workload(), AdviceOptions::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("permission"), "{error}");
    writer
        .execute(AssertSqlSafe(format!("DROP ROLE {user}")))
        .await
        .unwrap();
}

#[tokio::test]
async fn sqlite_is_advised_from_trials() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audited.db");
    let mut writer = SqliteConnection::connect_with(
        &SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true),
    )
    .await
    .unwrap();
    writer.execute(TABLES).await.unwrap();
    // SQLite names the column of a subquery by its own name only.
    let rows = rows(&|count| {
        format!(
            "WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < {count}) SELECT g FROM n"
        )
    });
    writer
        .execute(AssertSqlSafe(rows.replace(" AS s (g)", " AS s")))
        .await
        .unwrap();
    writer.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();

    let url = path.to_string_lossy().into_owned();
    let advice = advise(&url, &workload(), AdviceOptions::default())
        .await
        .unwrap();
    check(&advice);
    assert_eq!(
        std::fs::read(&path).unwrap(),
        before,
        "the audited file has changed"
    );
    let again = advise(&url, &workload(), AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(definitions(&advice), definitions(&again));
    check_rewrites(
        &advise(&url, &badly_written(), AdviceOptions::default())
            .await
            .unwrap(),
    );

    build_indexes(&url, &advice.indexes).await.unwrap();
    let migrated = advise(&url, &workload(), AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(definitions(&migrated), Vec::<&str>::new());
}
