use proptest::prelude::*;

use super::*;
use crate::{Column, Table};

fn schema() -> Schema {
    let mut schema = Schema::default();
    for (name, columns) in [
        (
            "flyers",
            vec!["id", "creator_id", "title", "is_active", "created_at"],
        ),
        ("follows", vec!["id", "follower_id", "followed_id"]),
        ("users", vec!["id", "name", "team_id", "deleted_at"]),
    ] {
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: "bigint".to_owned(),
            distinct: None,
        };
        schema.tables.insert(
            name.to_owned(),
            Table {
                name: name.to_owned(),
                columns: columns.into_iter().map(column).collect(),
                primary_key: vec!["id".to_owned()],
                ..Table::default()
            },
        );
    }
    schema
}

fn read(sql: &str) -> Facts {
    let (one, other) = (
        facts(sql, Dialect::Postgres, &schema()),
        facts(sql, Dialect::Sqlite, &schema()),
    );
    let one = one.unwrap_or_else(|error| panic!("{sql}: {error}"));
    if let Ok(other) = other {
        assert_eq!(one.searches, other.searches, "{sql}");
    }
    one
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_feed_is_read_with_its_constant_its_keyset_and_its_order() {
    let facts = read(
        "SELECT f.* FROM flyers AS f WHERE (f.created_at, f.id) < ($1, $2) AND f.is_active = true \
         ORDER BY f.created_at DESC, id DESC LIMIT $3",
    );
    let [feed] = facts.searches.as_slice() else {
        panic!("{facts:?}");
    };
    assert_eq!(feed.equal, names(&["is_active"]));
    assert_eq!(feed.constants["is_active"], "is_active = true");
    assert_eq!(feed.ranges, names(&["created_at"]));
    let order = [("created_at", true), ("id", true)].map(|(name, down)| (name.to_owned(), down));
    assert_eq!(feed.order, order);
    assert!(feed.limited && feed.uses_all);
    let compared = |column: &str| Slot::Compared {
        table: "flyers".to_owned(),
        column: column.to_owned(),
        member: None,
        how: Compared::Below,
    };
    let expected = [
        (1, compared("created_at")),
        (2, compared("id")),
        (3, Slot::Limit),
    ];
    assert_eq!(facts.slots, BTreeMap::from(expected));
}

#[test]
fn joins_are_known_from_both_sides_and_through_exists() {
    for sql in [
        "SELECT f.title FROM flyers f JOIN follows o ON o.followed_id = f.creator_id WHERE o.follower_id = $1",
        "SELECT title FROM flyers WHERE EXISTS (SELECT 1 FROM follows o WHERE o.followed_id = creator_id AND o.follower_id = $1)",
        "WITH own AS (SELECT f.title FROM flyers f, follows o WHERE o.followed_id = f.creator_id AND o.follower_id = $1) SELECT title FROM own",
    ] {
        let facts = read(sql);
        let of = |table: &str| {
            facts
                .searches
                .iter()
                .find(|search| search.table == table)
                .unwrap()
        };
        assert_eq!(of("flyers").joined, names(&["creator_id"]), "{sql}");
        assert_eq!(of("follows").joined, names(&["followed_id"]), "{sql}");
        assert_eq!(of("follows").equal, names(&["follower_id"]), "{sql}");
        assert_eq!(
            of("follows").used,
            names(&["followed_id", "follower_id"]),
            "{sql}"
        );
        assert!(of("flyers").used.contains("title"), "{sql}");
    }
}

#[test]
fn each_branch_of_an_or_is_a_search() {
    let facts =
        read("SELECT id FROM users WHERE deleted_at IS NULL AND (team_id = $1 OR name = 'a')");
    let equal: Vec<_> = facts
        .searches
        .iter()
        .map(|search| search.equal.clone())
        .collect();
    let expected = [
        names(&["deleted_at"]),
        names(&["deleted_at", "team_id"]),
        names(&["deleted_at", "name"]),
    ];
    assert_eq!(equal, expected);
}

#[test]
fn expressions_and_patterns_are_read() {
    let facts = read("SELECT id FROM users u WHERE lower(u.name) = lower($1) AND name LIKE '%x'");
    assert_eq!(facts.searches[0].expressions, names(&["lower(name)"]));
    assert_eq!(facts.searches[0].contains, names(&["name"]));
    assert!(matches!(facts.slots[&1], Slot::Compared { .. }));
}

#[test]
fn a_member_of_a_document_is_an_expression_and_says_what_its_values_are() {
    let facts = read("SELECT id FROM users u WHERE u.name ->> 'order' = $1");
    assert_eq!(facts.searches[0].expressions, names(&["name ->> 'order'"]));
    assert_eq!(
        facts.slots[&1],
        Slot::Compared {
            table: "users".to_owned(),
            column: "name".to_owned(),
            member: Some("order".to_owned()),
            how: Compared::Equal,
        }
    );
}

#[test]
fn writes_say_what_they_write() {
    let kind = |sql: &str| read(sql).write.unwrap().kind;
    assert_eq!(
        kind("DELETE FROM users WHERE id = $1 RETURNING name"),
        WriteKind::Delete
    );
    assert_eq!(
        kind("UPDATE users SET name = $1, team_id = 3 WHERE id = $2"),
        WriteKind::Update(names(&["name", "team_id"]))
    );
    let insert = read("INSERT INTO users (id, name) VALUES ($1, $2)");
    let stored = |column: &str| Slot::Stored {
        table: "users".to_owned(),
        column: column.to_owned(),
    };
    assert_eq!(
        insert.slots,
        BTreeMap::from([(1, stored("id")), (2, stored("name"))])
    );
}

#[test]
fn what_cannot_be_read_is_an_error() {
    for sql in ["", "SELECT id FROM", "SELECT 1; SELECT 2", "VACUUM"] {
        assert!(facts(sql, Dialect::Postgres, &schema()).is_err(), "{sql}");
    }
    let deep = format!(
        "SELECT id FROM users WHERE {}1 = 1{}",
        "(".repeat(5000),
        ")".repeat(5000)
    );
    assert!(facts(&deep, Dialect::Postgres, &schema()).is_err());
}

/// Pieces of statements, so that many of the texts made of them can be read.
const PIECES: [&str; 30] = [
    "SELECT ",
    "* ",
    "id ",
    "f.title ",
    "FROM ",
    "flyers ",
    "f ",
    "users ",
    "JOIN ",
    "ON ",
    "WHERE ",
    "id = $1 ",
    "AND ",
    "OR ",
    "NOT ",
    "( ",
    ") ",
    "lower(name) ",
    "= ",
    "ORDER BY ",
    "1 ",
    "LIMIT ",
    "$2 ",
    "EXISTS ",
    "IN ",
    ", ",
    "DELETE ",
    "WITH x AS ",
    "UNION ",
    "'%a' ",
];

proptest! {
    #[test]
    fn any_text_is_read_without_panic(
        text in "\\PC*",
        pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..40),
    ) {
        for sql in [text, pieces.concat(), format!("SELECT * FROM flyers f WHERE {}", pieces.concat())] {
            let _ = facts(&sql, Dialect::Postgres, &schema());
            let _ = facts(&sql, Dialect::Sqlite, &schema());
        }
    }
}

#[test]
fn values_are_known_where_no_index_serves_their_comparison() {
    let compared = |table: &str, column: &str, how| Slot::Compared {
        table: table.to_owned(),
        column: column.to_owned(),
        member: None,
        how,
    };
    let hidden =
        read("SELECT id FROM flyers WHERE (created_at <= $1 AND title > $2) IS TRUE AND is_active");
    let expected = BTreeMap::from([
        (1, compared("flyers", "created_at", Compared::Below)),
        (2, compared("flyers", "title", Compared::Above)),
    ]);
    assert_eq!(hidden.slots, expected);
    assert_eq!(hidden.searches[0].ranges, names(&[]));
    let inside = read(
        "WITH mine AS (SELECT followed_id FROM follows WHERE follower_id = $1) \
         SELECT w.id FROM mine AS r JOIN (SELECT id, created_at FROM flyers) AS w ON w.id = r.followed_id \
         WHERE r.followed_id <> $2 AND w.created_at < $3",
    );
    let expected = BTreeMap::from([
        (1, compared("follows", "follower_id", Compared::Equal)),
        (2, compared("follows", "followed_id", Compared::Equal)),
        (3, compared("flyers", "created_at", Compared::Below)),
    ]);
    assert_eq!(inside.slots, expected);
}

#[test]
fn every_row_lock_of_postgresql_is_read() {
    for lock in [
        "UPDATE",
        "NO KEY UPDATE",
        "SHARE OF f, u",
        "KEY SHARE OF f NOWAIT",
    ] {
        let sql =
            format!("SELECT f.id FROM flyers AS f, users AS u WHERE f.creator_id = $1 FOR {lock}");
        let facts = facts(&sql, Dialect::Postgres, &Schema::default());
        assert!(facts.unwrap().text.ends_with(lock), "{lock}");
    }
}

#[test]
fn what_a_query_gives_to_an_insert_is_stored() {
    let sql = "INSERT INTO follows (follower_id, followed_id) SELECT $1, u.id FROM users AS u WHERE u.id = $2";
    let facts = facts(sql, Dialect::Postgres, &schema()).unwrap();
    let stored = Slot::Stored {
        table: "follows".to_owned(),
        column: "follower_id".to_owned(),
    };
    assert_eq!(facts.slots[&1], stored);
    assert!(matches!(facts.slots[&2], Slot::Compared { .. }));
}

#[test]
fn a_number_is_changed_by_an_amount_and_not_by_another_number() {
    let sql = "UPDATE users SET team_id = team_id - $1, name = $2 WHERE id = $3";
    let facts = facts(sql, Dialect::Postgres, &schema()).unwrap();
    assert_eq!(facts.slots[&1], Slot::Amount);
    assert!(matches!(facts.slots[&2], Slot::Stored { .. }));
}

#[test]
fn values_with_a_name_are_those_of_the_columns_that_they_are_compared_with() {
    let sql = "SELECT f.id FROM (WITH box(low, high, word) AS (VALUES (CAST($1 AS BIGINT), $2, $3), ($4, $5, $6)) \
               SELECT low, high, word AS called FROM box) AS s CROSS JOIN flyers AS f \
               WHERE f.created_at BETWEEN s.low AND s.high AND f.title = called";
    let facts = facts(sql, Dialect::Postgres, &schema()).unwrap();
    let compared = |number: usize| match &facts.slots[&number] {
        Slot::Compared { column, how, .. } => (column.as_str(), *how),
        other => panic!("{other:?}"),
    };
    for (number, is) in [
        (1, ("created_at", Compared::Above)),
        (2, ("created_at", Compared::Below)),
        (3, ("title", Compared::Equal)),
        (4, ("created_at", Compared::Above)),
        (6, ("title", Compared::Equal)),
    ] {
        assert_eq!(compared(number), is);
    }
}

#[test]
fn a_text_is_sought_by_a_part_of_what_it_holds() {
    let facts =
        read("SELECT id FROM flyers WHERE (strpos(title, $1) > $2) IS TRUE AND instr(f.x, $3) = 0");
    let middle = Slot::Compared {
        table: "flyers".to_owned(),
        column: "title".to_owned(),
        member: None,
        how: Compared::Middle,
    };
    let expected = BTreeMap::from([(1, middle), (2, Slot::Place), (3, Slot::Other)]);
    assert_eq!(facts.slots, expected);
}
