//! Indexes for shapes of statements that a plain sorted index does not serve, and for statements
//! that never end without one.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{path::Path, time::Duration};

use speedwell_plan::{
    Advice, AdviceOptions, Asked, Goal, RewriteKind, RewriteOutcome, Verdict, advise, build_indexes,
};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, SqliteConnection,
    sqlite::SqliteConnectOptions,
};
use throwaway::{Database, Postgres};

const DOCUMENTS: &str = "
    CREATE TABLE documents (
        id BIGINT PRIMARY KEY,
        code TEXT COLLATE \"en-x-icu\" NOT NULL,
        tags TEXT[] NOT NULL,
        payload JSONB NOT NULL);
    INSERT INTO documents
    SELECT g,
           md5(g::TEXT),
           ARRAY['t' || g % 900, 'u' || g % 7],
           jsonb_build_object('order', g % 4000, 'note', md5((g * 7)::TEXT))
    FROM generate_series(1, 20000) AS g;
    ANALYZE";

async fn database(server: &Postgres, statements: &str) -> (Database, PgConnection) {
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    for statement in statements.split(';') {
        let statement = AssertSqlSafe(statement.to_owned());
        writer.execute(statement).await.unwrap();
    }
    (home, writer)
}

/// A SQLite file in which these statements were executed.
async fn filled(path: &Path, statements: &[impl AsRef<str>]) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    let options = options.create_if_missing(true);
    let mut writer = SqliteConnection::connect_with(&options).await.unwrap();
    for statement in statements {
        let statement = AssertSqlSafe(statement.as_ref().to_owned());
        writer.execute(statement).await.unwrap();
    }
    writer
}

fn definitions(advice: &Advice) -> Vec<&str> {
    let indexes = advice.indexes.iter();
    indexes.map(|index| index.definition.as_str()).collect()
}

fn verdict<'a>(advice: &'a Advice, name: &str) -> &'a Verdict {
    let mut statements = advice.statements.iter();
    let found = statements.find(|judged| judged.name == name);
    &found.unwrap().verdict
}

#[tokio::test]
async fn documents_arrays_and_beginnings_of_texts_get_their_indexes() {
    let server = Postgres::shared().unwrap();
    let (home, _writer) = database(&server, DOCUMENTS).await;
    let workload = [
        Asked::new(
            "begins",
            "SELECT id FROM documents WHERE code LIKE $1 || '%'",
        ),
        Asked::new(
            "constant",
            "SELECT id FROM documents WHERE code LIKE 'abc%'",
        ),
        Asked::new("tagged", "SELECT id FROM documents WHERE tags @> $1"),
        Asked::new("member", "SELECT id FROM documents WHERE payload @> $1"),
    ];
    let options = AdviceOptions::default();
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    println!("{:#?}", advice.statements);
    assert_eq!(
        definitions(&advice),
        [
            "documents (code text_pattern_ops) INCLUDE (id)",
            "documents USING gin (payload jsonb_path_ops)",
            "documents USING gin (tags)",
        ]
    );
    for asked in &workload {
        assert_eq!(verdict(&advice, &asked.name), &Verdict::Improved);
    }
    build_indexes(&home.url(), &advice.indexes).await.unwrap();
    let migrated = advise(&home.url(), &workload, options).await.unwrap();
    assert_eq!(definitions(&migrated), Vec::<&str>::new());
}

const ITEMS: &str = "
    CREATE TABLE items (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, place BIGINT NOT NULL);
    INSERT INTO items SELECT g, g % 100, g / 100 FROM generate_series(1, 30000) AS g;
    ANALYZE";

#[tokio::test]
async fn a_statement_that_never_ends_is_helped_by_the_index_with_which_it_does() {
    let server = Postgres::shared().unwrap();
    let (home, _writer) = database(&server, ITEMS).await;
    // Without an index it reads the table once for each of its rows.
    let before_it = "SELECT SUM((SELECT MAX(b.place) FROM items AS b
                                 WHERE b.owner = a.owner AND b.place < a.place)) FROM items AS a";
    let endless =
        "SELECT COUNT(*) FROM items AS a JOIN items AS b ON a.id <> b.id AND a.place <> b.owner";
    let workload = [
        Asked::new("before it", before_it),
        Asked::new("endless", endless),
    ];
    let options = AdviceOptions {
        most_time: Some(Duration::from_secs(1)),
        ..AdviceOptions::default()
    };
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    assert_eq!(definitions(&advice), ["items (owner, place)"]);
    assert_eq!(verdict(&advice, "before it"), &Verdict::Improved);
    assert_eq!(advice.statements[0].before, None);
    assert!(advice.statements[0].after.is_some());
    let Verdict::Cannot(reason) = verdict(&advice, "endless") else {
        panic!("{:?}", advice.statements[1]);
    };
    assert!(reason.starts_with("it takes too long"), "{reason}");
}

#[tokio::test]
async fn where_hypopg_is_an_index_that_no_plan_would_use_is_not_built() {
    let server = Postgres::shared().unwrap();
    let (home, mut writer) = database(&server, ITEMS).await;
    let version: Option<String> = sqlx::query_scalar(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'hypopg'",
    )
    .fetch_optional(&mut writer)
    .await
    .unwrap();
    assert!(
        version.is_some(),
        "HypoPG is not installed; install it with `apt-get install postgresql-15-hypopg` (or that of your version)"
    );
    // All rows come after the smallest of all places, and before the largest.
    let useless = "SELECT * FROM items WHERE place >= 0 AND owner >= 0";
    let workload = [
        Asked::new("useless", useless),
        Asked::new("place", "SELECT * FROM items WHERE place = $1"),
    ];
    let options = AdviceOptions {
        most_built: Some(0),
        ..AdviceOptions::default()
    };
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    assert_eq!(definitions(&advice), ["items (place)"]);
    assert_eq!(advice.tried, 1);

    // What is soon built is built: another choice may need it.
    let options = AdviceOptions::default();
    let all = advise(&home.url(), &workload, options).await.unwrap();
    assert_eq!(definitions(&all), definitions(&advice));
    assert!(all.tried > 1);
}

const NOTES: [&str; 2] = [
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, title TEXT NOT NULL, body TEXT)",
    "INSERT INTO notes
     WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 30000)
     SELECT g,
            g % 50,
            hex(g * 7919 % 10007) || ' of ' || hex(g * 104729 % 65537),
            CASE WHEN g % 9 > 0 THEN hex(g * 31337 % 99991) || ' it says' END
     FROM n",
];

#[tokio::test]
async fn a_pattern_that_may_begin_anywhere_gets_a_full_text_table_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trial.db");
    let mut writer = filled(&path, &NOTES).await;
    let url = path.to_string_lossy().into_owned();
    let workload = [Asked::new(
        "search",
        "SELECT n.id, n.title FROM notes AS n WHERE n.title LIKE ? OR n.body LIKE ? ORDER BY n.id",
    )];
    let before = std::fs::read(&path).unwrap();
    let advice = advise(&url, &workload, AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let [rewrite] = advice.rewrites.as_slice() else {
        panic!("{:#?}", advice.rewrites);
    };
    assert_eq!(rewrite.kind, RewriteKind::FullText);
    assert_eq!(rewrite.outcome, RewriteOutcome::Proved, "{rewrite:#?}");
    assert_eq!(
        rewrite.sql,
        "SELECT n.id, n.title FROM notes AS n \
         WHERE id IN (SELECT rowid FROM notes_body_title_fts WHERE title LIKE $1) \
         OR id IN (SELECT rowid FROM notes_body_title_fts WHERE body LIKE $2) ORDER BY n.id"
    );

    assert!(rewrite.insert.unwrap().micros > 0.0, "{rewrite:#?}");
    assert!(rewrite.update.is_some() && rewrite.delete.is_some());

    // What it says is to be executed works, and follows what is written afterwards.
    for statement in &rewrite.prepare {
        let statement = AssertSqlSafe(statement.clone());
        writer.execute(statement).await.unwrap();
    }
    for statement in [
        "INSERT INTO notes VALUES (30001, 1, 'a needle', NULL)",
        "UPDATE notes SET body = 'the needle too' WHERE id = 7",
        "UPDATE notes SET title = 'needles' WHERE id = 8",
        "DELETE FROM notes WHERE id = 8",
    ] {
        writer.execute(statement).await.unwrap();
    }
    let found: Vec<i64> = sqlx::query_as::<_, (i64, String)>(AssertSqlSafe(rewrite.sql.clone()))
        .bind("%needle%")
        .bind("%needle%")
        .fetch_all(&mut writer)
        .await
        .unwrap()
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(found, [7, 30001]);

    // Once the table is there, nothing is to be prepared any more.
    let again = advise(&url, &workload, AdviceOptions::default())
        .await
        .unwrap();
    assert_eq!(again.rewrites[0].prepare, Vec::<String>::new());

    // And it can be taken back.
    for statement in &rewrite.undo {
        let statement = AssertSqlSafe(statement.clone());
        writer.execute(statement).await.unwrap();
    }
    let left: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema")
        .fetch_all(&mut writer)
        .await
        .unwrap();
    assert_eq!(left, ["notes"]);
}

const LETTERS: [&str; 2] = [
    "CREATE TABLE letters (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL)",
    "INSERT INTO letters
     WITH RECURSIVE n (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < 500)
     SELECT g, g % 50, 'letter ' || g, REPLACE(HEX(ZEROBLOB(300)), '00', 'so ' || g || ' ') FROM n",
];

const STARS: [(&str, &str); 4] = [
    ("star", "SELECT * FROM letters WHERE owner = $1 ORDER BY id"),
    (
        "of one",
        "SELECT b.*, a.title AS twin FROM letters AS a JOIN letters AS b ON b.id = a.id + 1 WHERE a.owner = $1",
    ),
    ("named", "SELECT id, title FROM letters WHERE owner = $1"),
    // USING makes one column of two.
    (
        "together",
        "SELECT * FROM letters AS a JOIN letters AS b USING (id) WHERE a.owner = $1",
    ),
];

fn stars() -> Vec<Asked> {
    let stars = STARS.into_iter();
    stars.map(|(name, sql)| Asked::new(name, sql)).collect()
}

fn check_stars(advice: &Advice) {
    let [star, of_one] = advice.rewrites.as_slice() else {
        panic!("{:#?}", advice.rewrites);
    };
    assert_eq!(
        star.sql,
        "SELECT id, owner, title FROM letters WHERE owner = $1 ORDER BY id"
    );
    assert_eq!(
        of_one.sql,
        "SELECT b.id, b.owner, b.title, a.title AS twin FROM letters AS a JOIN letters AS b ON b.id = a.id + 1 WHERE a.owner = $1"
    );
    for rewrite in [star, of_one] {
        assert_eq!(rewrite.kind, RewriteKind::Columns);
        assert_eq!(rewrite.outcome, RewriteOutcome::Proved, "{rewrite:#?}");
        let words: Vec<&str> = rewrite.tried_on.split(' ').collect();
        let bytes = words.iter().filter_map(|word| word.parse().ok());
        let bytes: Vec<u64> = bytes.skip(1).collect();
        assert!(bytes[0] > 20 * bytes[1], "{}", rewrite.tried_on);
    }
}

#[tokio::test]
async fn a_star_that_reads_very_many_rows_is_not_held_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trial.db");
    let many = LETTERS.map(|statement| statement.replace("g < 500", "g < 20001"));
    filled(&path, &many).await;
    let url = path.to_string_lossy().into_owned();
    let workload = [Asked::new("all", "SELECT * FROM letters")];
    let options = AdviceOptions::default();
    let advice = advise(&url, &workload, options).await.unwrap();
    assert_eq!(
        advice.rewrites[0].outcome,
        RewriteOutcome::Cannot("it reads too many rows to compare them".to_owned())
    );
}

#[tokio::test]
async fn a_star_that_reads_long_texts_is_tried_without_them_on_both_databases() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trial.db");
    filled(&path, &LETTERS).await;
    let url = path.to_string_lossy().into_owned();
    let options = AdviceOptions::default();
    check_stars(&advise(&url, &stars(), options).await.unwrap());

    let server = Postgres::shared().unwrap();
    let filling = "
        CREATE TABLE letters (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL);
        INSERT INTO letters
        SELECT g, g % 50, 'letter ' || g, REPEAT('so ' || g || ' ', 300) FROM GENERATE_SERIES(1, 500) AS g;
        ANALYZE";
    let (home, _writer) = database(&server, filling).await;
    check_stars(&advise(&home.url(), &stars(), options).await.unwrap());
}

const SALES: &str = "
    CREATE TABLE sales (id BIGINT PRIMARY KEY, shop BIGINT NOT NULL, day BIGINT NOT NULL, cents BIGINT NOT NULL);
    INSERT INTO sales SELECT g, g % 400, g % 3000, g * 37 % 9973 FROM GENERATE_SERIES(1, 60000) AS g;
    ANALYZE";

/// Reports of which one is as long as all the others together.
fn reports() -> Vec<Asked> {
    let mut reports = vec![Asked::new(
        "by shop",
        "SELECT a.shop, COUNT(*) FROM sales AS a JOIN sales AS b ON b.day = a.day AND b.shop = a.shop WHERE a.shop < 4 GROUP BY a.shop",
    )];
    reports.push(Asked::new(
        "of a day",
        "SELECT SUM(cents) FROM sales WHERE day = $1",
    ));
    reports
}

#[tokio::test]
async fn the_least_total_is_sought_within_the_room_there_is() {
    let server = Postgres::shared().unwrap();
    let (home, _writer) = database(&server, SALES).await;
    let total = AdviceOptions {
        goal: Goal::Total,
        ..AdviceOptions::default()
    };
    let free = advise(&home.url(), &reports(), total).await.unwrap();
    assert!(!free.indexes.is_empty());
    let estimated = free.estimated.unwrap();
    assert!(estimated.requests > 0 && estimated.with < estimated.without);
    for judged in &free.statements {
        assert_eq!(judged.verdict, Verdict::Improved, "{judged:#?}");
    }
    let bytes: u64 = free.indexes.iter().map(|index| index.bytes).sum();
    let narrow = AdviceOptions {
        most_bytes: Some(bytes / 2),
        ..total
    };
    let narrow = advise(&home.url(), &reports(), narrow).await.unwrap();
    let less: u64 = narrow.indexes.iter().map(|index| index.bytes).sum();
    assert!(0 < less && less <= bytes / 2, "{less} of {bytes}");
    // The same question has the same answer, and nothing is left to do where it was followed.
    let again = advise(&home.url(), &reports(), total).await.unwrap();
    assert_eq!(definitions(&again), definitions(&free));
    build_indexes(&home.url(), &free.indexes).await.unwrap();
    let migrated = advise(&home.url(), &reports(), total).await.unwrap();
    assert_eq!(definitions(&migrated), Vec::<&str>::new());
}

#[tokio::test]
async fn an_index_is_said_to_take_what_it_takes_though_a_sample_was_copied() {
    let server = Postgres::shared().unwrap();
    let (home, mut writer) = database(&server, SALES).await;
    let options = AdviceOptions {
        most_rows: Some(15_000),
        ..AdviceOptions::default()
    };
    let workload = [Asked::new(
        "of a day",
        "SELECT id FROM sales WHERE day = $1 ORDER BY cents LIMIT 5",
    )];
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    assert_eq!(definitions(&advice), ["sales (day, cents) INCLUDE (id)"]);
    build_indexes(&home.url(), &advice.indexes).await.unwrap();
    let bytes: i64 = sqlx::query_scalar("SELECT pg_relation_size($1::REGCLASS)")
        .bind(&advice.indexes[0].name)
        .fetch_one(&mut writer)
        .await
        .unwrap();
    let times = advice.indexes[0].bytes as f64 / bytes as f64;
    assert!((0.9..1.1).contains(&times), "{times}");
}

#[tokio::test]
async fn of_a_large_table_that_was_never_analyzed_a_sample_is_copied_too() {
    let server = Postgres::shared().unwrap();
    let never = "ALTER TABLE sales SET (autovacuum_enabled = FALSE)";
    let (home, mut writer) = database(&server, &SALES.replace("ANALYZE", never)).await;
    let known: f32 = sqlx::query_scalar("SELECT reltuples FROM pg_class WHERE relname = 'sales'")
        .fetch_one(&mut writer)
        .await
        .unwrap();
    assert!(known < 0.0, "{known}");
    let options = AdviceOptions {
        most_rows: Some(1000),
        ..AdviceOptions::default()
    };
    let workload = [Asked::new(
        "count",
        "SELECT COUNT(*) FROM sales WHERE cents < 0",
    )];
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    let pages = advice.statements[0].before.unwrap().pages;
    // The whole table has some four hundred.
    assert!(pages < 40.0, "{pages}");
}

#[tokio::test]
async fn sqlite_seeks_the_least_total_by_executing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trial.db");
    filled(&path, &NOTES).await;
    let url = path.to_string_lossy().into_owned();
    let workload = [
        Asked::new("of one", "SELECT title FROM notes WHERE owner = ?"),
        Asked::new("count", "SELECT COUNT(*) FROM notes WHERE owner = ?"),
    ];
    let total = AdviceOptions {
        goal: Goal::Total,
        ..AdviceOptions::default()
    };
    let advice = advise(&url, &workload, total).await.unwrap();
    assert_eq!(definitions(&advice), ["notes (owner)"]);
    assert_eq!(verdict(&advice, "of one"), &Verdict::Improved);
}

#[tokio::test]
async fn what_costs_nothing_by_any_estimate_gets_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trial.db");
    filled(&path, &NOTES).await;
    let url = path.to_string_lossy().into_owned();
    let unknown = "SELECT nowhere_defined(title) FROM notes WHERE owner = ?";
    let total = AdviceOptions {
        goal: Goal::Total,
        ..AdviceOptions::default()
    };
    let workload = [Asked::new("unknown", unknown)];
    let advice = advise(&url, &workload, total).await.unwrap();
    assert!(advice.tried > 0);
    assert_eq!(definitions(&advice), Vec::<&str>::new());
    let reason = verdict(&advice, "unknown");
    assert!(matches!(reason, Verdict::Cannot(_)), "{reason:?}");
}

const VISITS: &str = "
    CREATE TABLE visits (
        id BIGINT PRIMARY KEY,
        member BIGINT NOT NULL,
        day BIGINT NOT NULL,
        points BIGINT NOT NULL,
        note TEXT NOT NULL);
    INSERT INTO visits
    SELECT g, g % 300, g % 37, g % 11, repeat('x', 60) FROM generate_series(1, 30000) AS g;
    CREATE INDEX visits_member ON visits (member);
    ANALYZE";

#[tokio::test]
async fn a_cheap_statement_that_searches_gets_no_second_index_but_for_a_sort() {
    let server = Postgres::shared().unwrap();
    let (home, _writer) = database(&server, VISITS).await;
    let options = AdviceOptions::default();
    let counts = "SELECT count(*) FROM visits WHERE member = $1 AND points > $2";
    let workload = [Asked::new("counts", counts)];
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    println!("{:#?}", advice.statements);
    assert!(advice.tried > 0);
    assert_eq!(definitions(&advice), Vec::<&str>::new());
    assert_eq!(verdict(&advice, "counts"), &Verdict::AlreadyGood);

    let latest = "SELECT * FROM visits WHERE member = $1 ORDER BY day DESC LIMIT 5";
    let workload = [Asked::new("latest", latest)];
    let advice = advise(&home.url(), &workload, options).await.unwrap();
    assert_eq!(definitions(&advice), ["visits (member, day DESC)"]);
}
