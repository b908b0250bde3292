//! Indexes for shapes of statements that a plain sorted index does not serve, and for statements
//! that never end without one.

// The whole file is a test, its helpers too, which clippy does not see.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use speedwell_plan::{Advice, AdviceOptions, Asked, Verdict, advise, build_indexes};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use throwaway::Postgres;

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
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    for statement in DOCUMENTS.split(';') {
        let statement = AssertSqlSafe(statement.to_owned());
        writer.execute(statement).await.unwrap();
    }
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
    let home = server.database().unwrap();
    let mut writer = PgConnection::connect(&home.url()).await.unwrap();
    for statement in ITEMS.split(';') {
        let statement = AssertSqlSafe(statement.to_owned());
        writer.execute(statement).await.unwrap();
    }
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
        most_time: Some(Duration::from_secs(2)),
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
