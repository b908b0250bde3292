//! Statements as drivers and ORMs really send them, and what becomes of them.

use speedwell_sql::{Dialect, Memo, fingerprint, normalize, structure, tags};

use Dialect::{MySql, Postgres, Sqlite};

/// Dialect, statement, normalized text.
const STATEMENTS: [(Dialect, &str, &str); 26] = [
    // sqlx and hand-written SQL.
    (
        Postgres,
        "SELECT id, title\nFROM flyers\nWHERE is_active\n  AND (created_at, id) < ($1, $2)\nORDER BY created_at DESC, id DESC\nLIMIT 20",
        "SELECT id, title FROM flyers WHERE is_active AND (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT …",
    ),
    (
        Sqlite,
        "SELECT * FROM images WHERE flyer_id IN (SELECT value FROM json_each($1))",
        "SELECT * FROM images WHERE flyer_id IN (SELECT value FROM json_each(?))",
    ),
    (
        Postgres,
        "select * from images where flyer_id = any($1::bigint[])",
        "SELECT * FROM images WHERE flyer_id = ANY(?::bigint[])",
    ),
    (
        Sqlite,
        "INSERT INTO users (name, email) VALUES (?1, ?2), (?3, ?4) RETURNING id",
        "INSERT INTO users(name, email) VALUES (?+) RETURNING id",
    ),
    (
        Postgres,
        "INSERT INTO t (a, b) VALUES ($1, now()), ($2, now()) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
        "INSERT INTO t(a, b) VALUES (?+, now()) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
    ),
    // Django.
    (
        Postgres,
        r#"SELECT "auth_user"."id" FROM "auth_user" WHERE ("auth_user"."is_active" AND "auth_user"."id" IN (%s, %s, %s)) ORDER BY "auth_user"."id" ASC LIMIT 21"#,
        r#"SELECT "auth_user"."id" FROM "auth_user" WHERE ("auth_user"."is_active" AND "auth_user"."id" IN (?+)) ORDER BY "auth_user"."id" ASC LIMIT …"#,
    ),
    (
        Sqlite,
        r#"UPDATE "shop_item" SET "price" = '9.99', "sold" = 1 WHERE "shop_item"."id" = 7"#,
        r#"UPDATE "shop_item" SET "price" = …, "sold" = … WHERE "shop_item"."id" = …"#,
    ),
    // SQLAlchemy.
    (
        Postgres,
        "SELECT users.id AS users_id \nFROM users \nWHERE users.id IN (%(id_1_1)s, %(id_1_2)s) AND users.name = %(name_1)s",
        "SELECT users.id AS users_id FROM users WHERE users.id IN (?+) AND users.name = ?",
    ),
    (
        Postgres,
        "SELECT a.id FROM a WHERE a.id IN ($1::INTEGER, $2::INTEGER, $3::INTEGER)",
        "SELECT a.id FROM a WHERE a.id IN (?::integer)",
    ),
    // ActiveRecord.
    (
        Postgres,
        r#"SELECT "posts".* FROM "posts" WHERE "posts"."user_id" = $1 AND "posts"."id" IN (1, 2, 3) LIMIT $2 /*application:Blog,action:show*/"#,
        r#"SELECT "posts".* FROM "posts" WHERE "posts"."user_id" = ? AND "posts"."id" IN (…+) LIMIT ?"#,
    ),
    (
        MySql,
        "SELECT `users`.* FROM `users` WHERE `users`.`name` = \"O'Hara\" AND age > -1 # note\n LIMIT 10, 5;",
        "SELECT `users`.* FROM `users` WHERE `users`.`name` = … AND age > … LIMIT …, …",
    ),
    // Hibernate and JDBC.
    (
        Postgres,
        "select u1_0.id from users u1_0 where u1_0.email=? fetch first ? rows only",
        "SELECT u1_0.id FROM users u1_0 WHERE u1_0.email = ? FETCH FIRST ? ROWS ONLY",
    ),
    // Prisma.
    (
        Postgres,
        r#"SELECT "public"."Post"."id" FROM "public"."Post" WHERE "public"."Post"."authorId" IN ($1,$2,$3) OFFSET $4"#,
        r#"SELECT "public"."Post"."id" FROM "public"."Post" WHERE "public"."Post"."authorId" IN (?+) OFFSET ?"#,
    ),
    // What is easily got wrong.
    (
        Postgres,
        "SELECT -1, a-1, a - -1, -a, - - 1",
        "SELECT …, a - …, a - …, - a, …",
    ),
    (
        Postgres,
        "SELECT data ? 'k' FROM t WHERE data ?| array['a','b']",
        "SELECT data ? … FROM t WHERE data ?| ARRAY[…+]",
    ),
    (
        Postgres,
        "SELECT 'a'::text, $1::int, E'it\\'s', $q$x$q$",
        "SELECT …::text, ?::int, …, …",
    ),
    (
        Postgres,
        "SELECT a[1:2], b[i] FROM t",
        "SELECT a[… : …], b[i] FROM t",
    ),
    (
        Sqlite,
        "SELECT f(1, 2), f(?), count(*) FROM t",
        "SELECT f(…, …), f(?), count(*) FROM t",
    ),
    (Sqlite, "VALUES (1, NULL), (TRUE, 'x')", "VALUES (…+)"),
    (
        Sqlite,
        "SELECT a IN (1, NULL, 2) IS NOT NULL",
        "SELECT a IN (…+, NULL) IS NOT NULL",
    ),
    (
        Sqlite,
        "SELECT a FROM t WHERE (a, b) IN ((1, 2), (3, 4))",
        "SELECT a FROM t WHERE (a, b) IN ((…+))",
    ),
    (
        Sqlite,
        "SELECT a FROM t WHERE a IN (1, ?, 2, ?)",
        "SELECT a FROM t WHERE a IN (…+, ?+)",
    ),
    (
        Sqlite,
        "SELECT a FROM t WHERE a IN (1 + 2, b)",
        "SELECT a FROM t WHERE a IN (… + …, b)",
    ),
    (Sqlite, "SELECT 'never closed", "SELECT …"),
    (
        Sqlite,
        "SELECT a FROM t WHERE b IN (1, 2",
        "SELECT a FROM t WHERE b IN (…+",
    ),
    (Sqlite, ";; SELECT 1;; SELECT 2 ;", "SELECT …; SELECT …"),
];

#[test]
fn real_statements_have_the_expected_normal_text() {
    for (dialect, sql, expected) in STATEMENTS {
        assert_eq!(normalize(sql, dialect), expected, "{sql}");
        assert_eq!(normalize(expected, dialect), expected);
        assert_eq!(
            fingerprint(expected, dialect),
            fingerprint(sql, dialect),
            "{sql}"
        );
    }
}

#[test]
fn real_statements_all_differ() {
    let mut fingerprints: Vec<_> = STATEMENTS
        .iter()
        .map(|(_, sql, _)| fingerprint(sql, Postgres))
        .collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), STATEMENTS.len());
}

#[test]
fn pairs_that_must_stay_apart_stay_apart() {
    let pairs = [
        (
            "SELECT a FROM t WHERE b = 1",
            "SELECT a FROM t WHERE b = $1",
        ),
        (
            "SELECT a FROM t WHERE b IN (1)",
            "SELECT a FROM t WHERE b IN ($1)",
        ),
        (
            "SELECT a FROM t WHERE b = TRUE",
            "SELECT a FROM t WHERE b = 1",
        ),
        (
            "SELECT a FROM t WHERE b = TRUE",
            "SELECT a FROM t WHERE b = FALSE",
        ),
        (
            "SELECT a FROM t WHERE b IS NULL",
            "SELECT a FROM t WHERE b IS NOT NULL",
        ),
        ("SELECT f(1) FROM t", "SELECT f(1, 2) FROM t"),
        ("SELECT a FROM t LIMIT 5", "SELECT a FROM t LIMIT 5, 10"),
        (
            "SELECT a FROM t ORDER BY b",
            "SELECT a FROM t ORDER BY b DESC",
        ),
        ("SELECT a FROM users u", "SELECT a FROM orders u"),
        ("SELECT a FROM x.t", "SELECT a FROM y.t"),
        ("SELECT a FROM t1", "SELECT a FROM t2"),
        ("SELECT a FROM \"T\"", "SELECT a FROM t"),
        (
            "SELECT a FROM t WHERE b < 1",
            "SELECT a FROM t WHERE b <= 1",
        ),
        ("SELECT a, b FROM t", "SELECT b, a FROM t"),
        (
            "SELECT a FROM t WHERE b IN (f(1))",
            "SELECT a FROM t WHERE b IN (g(1))",
        ),
        (
            "SELECT a FROM t WHERE b IN (1, NULL)",
            "SELECT a FROM t WHERE b IN (1)",
        ),
        (
            "SELECT a FROM t WHERE b IN (SELECT c, c FROM d)",
            "SELECT a FROM t WHERE b IN (SELECT c FROM d)",
        ),
        ("SELECT a FROM t", "SELECT a FROM t; SELECT a FROM t"),
    ];
    for (one, two) in pairs {
        assert_ne!(
            fingerprint(one, Postgres),
            fingerprint(two, Postgres),
            "{one} | {two}"
        );
    }
}

#[test]
fn a_fingerprint_is_the_same_in_every_version() {
    // If this changes, every stored baseline and finding id changes with it.
    let sql = "SELECT a FROM t WHERE b = 1 AND \"C\" IN ($1, $2)";
    assert_eq!(fingerprint(sql, Postgres).to_string(), "64b39546260e2fb1");
}

#[test]
fn tags_come_from_the_comments_around_a_statement_only() {
    let sql = "/*a='1'*/ -- b=2\nSELECT /*c='3'*/ 1; /*route='%2Fx',traceparent='00-1-2-01'*/";
    let found: Vec<_> = tags(sql, Sqlite).into_iter().collect();
    let expected = [
        ("a", "1"),
        ("b", "2"),
        ("route", "/x"),
        ("traceparent", "00-1-2-01"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(found, expected);
}

#[test]
fn a_digest_holds_the_bare_statement() {
    let memo = Memo::new(Postgres, 8);
    let digest = memo.digest("\n\n  /* x */ SELECT a /* y */ FROM t WHERE b = $1 ; -- z\n");
    assert_eq!(&*digest.text, "SELECT a /* y */ FROM t WHERE b = $1");
    assert!(digest.has_placeholders);
    assert!(!memo.digest("SELECT '$1'").has_placeholders);
}

#[test]
fn the_memo_remembers_up_to_its_capacity_and_keeps_what_is_used() {
    let memo = Memo::new(Sqlite, 100);
    let used = memo.digest("SELECT used");
    for number in 0..1000 {
        memo.digest(&format!("SELECT {number}"));
        let again = memo.digest("SELECT used");
        assert!(
            std::sync::Arc::ptr_eq(&used, &again),
            "forgotten after {number} others"
        );
        assert!(memo.len() <= 100);
    }
    assert!(memo.len() >= 50);
}

#[test]
fn the_memo_leaves_out_texts_that_are_long_or_never_come_again() {
    let memo = Memo::new(Sqlite, 100);
    memo.digest(&format!("SELECT '{}'", "x".repeat(70_000)));
    memo.digest("SELECT 1 /*traceparent='00-1-2-01'*/");
    assert!(memo.is_empty());
    memo.digest("SELECT 1 /*route='a'*/");
    assert_eq!(memo.len(), 1);
}

#[test]
fn the_memo_is_bounded_in_bytes_too() {
    let memo = Memo::new(Sqlite, 1000);
    for number in 0..3000 {
        memo.digest(&format!("SELECT {number}, '{}'", "x".repeat(40_000)));
    }
    // 1000 texts of 4 KiB are 4 MB: about a hundred of these.
    assert!(memo.len() < 300, "{}", memo.len());
}

#[test]
fn threads_share_a_memo() {
    let memo = Memo::new(Sqlite, 64);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let memo = &memo;
            scope.spawn(move || {
                for number in 0..2000 {
                    let sql = format!("SELECT a{} FROM t", (number * (thread + 1)) % 150);
                    assert_eq!(memo.digest(&sql).fingerprint, fingerprint(&sql, Sqlite));
                }
            });
        }
    });
    assert!(memo.len() <= 64);
}

#[test]
fn the_structure_of_statements_that_services_send_is_read() {
    let both = [
        "SELECT f.id, f.title, json_group_array(json_object('id', i.id, 'url', i.url)) FROM flyers f LEFT JOIN images i ON i.flyer_id = f.id WHERE f.is_active = TRUE GROUP BY f.id ORDER BY f.created_at DESC LIMIT $1",
        "SELECT count(*) FILTER (WHERE a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = excluded.b WHERE t.b < excluded.b RETURNING id",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT DO NOTHING",
        "INSERT INTO t DEFAULT VALUES",
        "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n+1 FROM c WHERE n < 10) SELECT * FROM c",
        "UPDATE t SET (a, b) = ($1, $2) WHERE id = $3",
        "UPDATE t AS x SET a = a + 1 WHERE x.id = $1 RETURNING *",
        "DELETE FROM t WHERE rowid IN (SELECT rowid FROM t LIMIT 5)",
        "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id) AND NOT EXISTS (SELECT 1 FROM v WHERE v.t_id = t.id)",
        "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1 LIMIT 3",
        "SELECT CASE WHEN a THEN 1 ELSE 2 END FROM t WHERE date(created_at) = $1 ORDER BY a NULLS LAST",
        "SELECT a FROM (SELECT a, row_number() OVER (PARTITION BY b ORDER BY c DESC) AS rn FROM t) s WHERE rn <= 3",
        "SELECT a FROM t WHERE (created_at < $1 OR (created_at = $1 AND id < $2)) AND x = 1",
        "SELECT DISTINCT a FROM t WHERE b LIKE $1 ESCAPE '\\'",
    ];
    let postgres = [
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b DESC",
        "SELECT id FROM jobs WHERE state = 'q' ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1",
        "SELECT id FROM jobs WHERE state = 'q' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
        "SELECT * FROM t, LATERAL (SELECT * FROM u WHERE u.a = t.a LIMIT 3) x",
        "SELECT * FROM t CROSS JOIN LATERAL unnest(t.tags) AS tag",
        "SELECT a FROM t WHERE payload @> '{\"a\":1}' AND payload ? 'k' AND tags && ARRAY['a'] AND created_at > now() - interval '7 days'",
        "SELECT json_agg(row_to_json(x)) FROM (SELECT a FROM t WHERE b = ANY($1)) x",
        "SELECT ts_rank(v, q) FROM docs, to_tsquery('english', $1) q WHERE v @@ q",
        "INSERT INTO t SELECT * FROM unnest($1::int[], $2::text[])",
        "SELECT a FROM t WHERE b ~ '^x' AND c::date = $1 AND d AT TIME ZONE 'utc' < $2",
        "SELECT nextval('s'), currval('s'), EXTRACT(EPOCH FROM now())",
        "SELECT * FROM t TABLESAMPLE SYSTEM (1)",
        "SELECT a FROM t OFFSET 5 ROWS FETCH NEXT 10 ROWS ONLY",
        "SELECT grouping(a) FROM t GROUP BY ROLLUP (a, b)",
        "SELECT (payload->>'a')::int FROM t WHERE payload->>'b' = $1 AND payload #>> '{a,b}' = 'x'",
    ];
    let sqlite = [
        "INSERT OR IGNORE INTO t (a) VALUES (?)",
        "REPLACE INTO t (a) VALUES (?)",
        "SELECT * FROM t WHERE t MATCH ? ORDER BY rank",
        "SELECT rowid, * FROM t WHERE a IS NOT ?1",
        "SELECT value ->> '$.a' FROM json_each(?) WHERE json_extract(value, '$.b') = 1",
        "SELECT a FROM t LIMIT 5, 10",
        "SELECT a FROM [my table] WHERE \"b c\" = `d`",
        "SELECT a FROM t WHERE a == 1 AND b NOTNULL AND c ISNULL",
        "SELECT group_concat(a, ',') FROM t WHERE b COLLATE NOCASE = ? AND c NOT GLOB 'x*'",
        "SELECT x'00', 1e3, 0xff FROM t WHERE a REGEXP 'x'",
        "SELECT f.id FROM flyers AS f INDEXED BY ix_f WHERE f.id IN (?, ?)",
        "SELECT a FROM t WHERE a IN u",
        "SELECT CAST(a AS INTEGER) FROM t WHERE likelihood(a = 1, 0.5) AND +b = 2",
        "SELECT a FROM t WHERE b IS NOT DISTINCT FROM ?",
        "UPDATE OR REPLACE t SET a = 1 WHERE b = 2",
        "DELETE FROM t WHERE a = 1 ORDER BY b LIMIT 1",
    ];
    for (dialect, own) in [(Postgres, &postgres[..]), (Sqlite, &sqlite[..])] {
        for sql in both.iter().chain(own) {
            let found = structure(sql, dialect, &|_| Vec::new());
            assert!(found.is_ok(), "{sql}: {found:?}");
        }
    }
    for (dialect, sql, normal) in STATEMENTS {
        if !normal.contains(';') && !sql.contains("never closed") && !sql.ends_with("(1, 2") {
            let found = structure(sql, dialect, &|_| Vec::new());
            assert!(found.is_ok(), "{sql}: {found:?}");
        }
    }
}
