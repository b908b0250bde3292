//! What a fingerprint costs, bare and from the memo, beside sqlparser's tokenizer.
//!
//! `cargo bench -p speedwell-sql`. Each figure is for all of [`STATEMENTS`]; divide by their number.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use speedwell_sql::{Dialect, Memo, fingerprint, normalize, shape, structure};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::Tokenizer;

/// Statements as drivers and ORMs send them, 150 to 250 bytes each.
const STATEMENTS: [&str; 8] = [
    "SELECT id, title, description, creator_id, created_at FROM flyers WHERE is_active = TRUE AND (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT 20",
    r#"SELECT "auth_user"."id", "auth_user"."username", "auth_user"."email", "auth_user"."is_active" FROM "auth_user" WHERE ("auth_user"."is_active" AND "auth_user"."username" LIKE %s) ORDER BY "auth_user"."id" ASC LIMIT 21"#,
    "SELECT users.id AS users_id, users.name AS users_name, users.email AS users_email FROM users JOIN orders ON users.id = orders.user_id WHERE orders.status IN (%(status_1)s, %(status_2)s) AND users.id > %(id_1)s",
    r#"SELECT "posts".* FROM "posts" INNER JOIN "comments" ON "comments"."post_id" = "posts"."id" WHERE "comments"."author_id" = 42 AND "posts"."state" = 'published' ORDER BY "posts"."id" ASC LIMIT 50 OFFSET 100"#,
    "INSERT INTO challenge_entries (challenge_id, user_id, score, submitted_at, note) VALUES ($1, $2, $3, now(), 'first'), ($4, $5, $6, now(), 'second') ON CONFLICT (challenge_id, user_id) DO UPDATE SET score = excluded.score",
    "UPDATE accounts SET balance = balance - 125.50, updated_at = CURRENT_TIMESTAMP, version = version + 1 WHERE id = 8812773 AND balance >= 125.50 AND version = 17 AND closed_at IS NULL RETURNING id, balance",
    "SELECT count(*) FROM events e WHERE e.tenant_id = 17 AND e.kind = ANY($1::text[]) AND e.payload @> '{\"status\": \"open\"}' AND e.at BETWEEN '2026-01-01' AND '2026-02-01' /*route='%2Fevents'*/",
    "WITH recent AS (SELECT id, user_id FROM orders WHERE created_at > now() - interval '7 days') SELECT u.id, u.name, count(r.id) FROM users u LEFT JOIN recent r ON r.user_id = u.id GROUP BY u.id, u.name",
];

fn lexer(criterion: &mut Criterion) {
    let dialect = Dialect::Postgres;
    let bytes: usize = STATEMENTS.iter().map(|sql| sql.len()).sum();
    let mut group = criterion.benchmark_group("8 statements");
    group.throughput(Throughput::Bytes(bytes as u64));

    group.bench_function("fingerprint", |bencher| {
        bencher.iter(|| {
            for sql in STATEMENTS {
                black_box(fingerprint(black_box(sql), dialect));
            }
        });
    });
    let memo = Memo::new(dialect, 1024);
    group.bench_function("memo hit", |bencher| {
        bencher.iter(|| {
            for sql in STATEMENTS {
                black_box(memo.digest(black_box(sql)));
            }
        });
    });
    group.bench_function("sqlparser tokenizer", |bencher| {
        bencher.iter(|| {
            for sql in STATEMENTS {
                let _ = black_box(Tokenizer::new(&PostgreSqlDialect {}, black_box(sql)).tokenize());
            }
        });
    });
    group.bench_function("normalize", |bencher| {
        bencher.iter(|| {
            for sql in STATEMENTS {
                black_box(normalize(black_box(sql), dialect));
            }
        });
    });
    group.bench_function("shape", |bencher| {
        bencher.iter(|| {
            for sql in STATEMENTS {
                black_box(shape(black_box(sql), dialect));
            }
        });
    });
    group.bench_function("structure", |bencher| {
        bencher.iter(|| {
            for sql in STATEMENTS {
                let _ = black_box(structure(black_box(sql), dialect, &|_| Vec::new()));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, lexer);
criterion_main!(benches);
