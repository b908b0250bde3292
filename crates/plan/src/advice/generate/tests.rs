use super::*;
use crate::{
    Column,
    advice::{facts::facts, sample::Sample},
};

/// Tickets of tenants, and labels on them: the key of `ticket_labels` is both its columns.
fn schema() -> Schema {
    let mut schema = Schema::default();
    for (name, columns, key) in [
        ("labels", "id tenant_id name", "id"),
        ("ticket_labels", "ticket_id label_id", "ticket_id label_id"),
        ("tickets", "id tenant_id status due_at deleted_at", "id"),
    ] {
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: "text".to_owned(),
            distinct: None,
        };
        let table = Table {
            name: name.to_owned(),
            columns: columns.split(' ').map(column).collect(),
            primary_key: key.split(' ').map(str::to_owned).collect(),
            ..Table::default()
        };
        schema.tables.insert(name.to_owned(), table);
    }
    schema
}

/// Tickets of which each was deleted at another moment, and which are in one of few states.
fn samples() -> Samples {
    let row = |number: usize| {
        let status = ["open", "pending", "closed"][number % 3];
        vec![Some(number.to_string()), Some(status.to_owned())]
    };
    let sample = Sample {
        columns: vec!["deleted_at".to_owned(), "status".to_owned()],
        rows: (0..30).map(row).collect(),
    };
    Samples(BTreeMap::from([("tickets".to_owned(), sample)]))
}

/// The definitions of the candidates of one statement.
fn asked(sql: &str) -> Vec<String> {
    let (schema, samples) = (schema(), samples());
    let facts = facts(sql, Dialect::Postgres, &schema).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let found = candidates(&Workload {
        dialect: Dialect::Postgres,
        schema: &schema,
        samples: &samples,
        facts: vec![&facts],
        trigrams: false,
    });
    let definitions = found.iter();
    definitions
        .map(|index| index.body(Dialect::Postgres))
        .collect()
}

#[test]
fn a_table_between_two_others_is_found_by_either() {
    let found = asked(
        "SELECT t.id FROM labels l JOIN ticket_labels tl ON tl.label_id = l.id \
         JOIN tickets t ON t.id = tl.ticket_id WHERE l.name = $1",
    );
    assert!(
        found.contains(&"ticket_labels (label_id)".to_owned()),
        "{found:?}"
    );
    // The key begins so already.
    assert!(
        !found.contains(&"ticket_labels (ticket_id)".to_owned()),
        "{found:?}"
    );
}

#[test]
fn an_order_stands_alone_only_where_no_value_can_be_found_first() {
    let of_one = asked("SELECT * FROM tickets WHERE tenant_id = $1 ORDER BY due_at LIMIT 20");
    assert_eq!(of_one, ["tickets (tenant_id, due_at)"]);
    let since = asked("SELECT id FROM tickets WHERE tenant_id = $1 AND due_at > $2");
    assert!(
        since
            .iter()
            .all(|index| index.starts_with("tickets (tenant_id")),
        "{since:?}"
    );
    let of_all = asked("SELECT * FROM tickets WHERE deleted_at IS NULL ORDER BY due_at LIMIT 20");
    assert!(
        of_all.contains(&"tickets (due_at)".to_owned()),
        "{of_all:?}"
    );
}

#[test]
fn a_join_is_searched_by_alone_where_no_value_is_or_others_join_alike() {
    let by_join = "labels (tenant_id)".to_owned();
    let of_one = "SELECT l.id FROM tickets t JOIN labels l ON l.tenant_id = t.tenant_id";
    assert!(asked(of_one).contains(&by_join));
    let with_value = format!("{of_one} WHERE l.name = $1");
    assert!(!asked(&with_value).contains(&by_join));
    let of_two = "SELECT l.id FROM tickets t JOIN labels l ON l.tenant_id = t.tenant_id \
         JOIN labels m ON m.tenant_id = t.tenant_id WHERE l.name = $1 AND m.name = $2";
    assert!(asked(of_two).contains(&by_join), "{:?}", asked(of_two));
}

#[test]
fn a_column_that_must_be_null_makes_a_partial_index_however_many_values_it_has() {
    for (condition, index) in [
        (
            "deleted_at IS NULL",
            "tickets (tenant_id, due_at) WHERE deleted_at IS NULL",
        ),
        (
            "deleted_at IS NOT NULL",
            "tickets (tenant_id, due_at) WHERE deleted_at IS NOT NULL",
        ),
        (
            "status IN ('open', 'pending')",
            "tickets (tenant_id, due_at) WHERE status IN ('open', 'pending')",
        ),
    ] {
        let found = asked(&format!(
            "SELECT * FROM tickets WHERE tenant_id = $1 AND {condition} ORDER BY due_at LIMIT 20"
        ));
        assert!(found.contains(&index.to_owned()), "{found:?}");
    }
    let found = asked(
        "SELECT l.name FROM labels l LEFT JOIN tickets t ON t.tenant_id = l.tenant_id WHERE t.id IS NULL",
    );
    assert!(
        !found.iter().any(|index| index.contains("NULL")),
        "a key is never null: {found:?}"
    );
}

#[test]
fn an_expression_is_known_in_the_words_of_the_database() {
    let index = |term: &str| Index {
        name: "of_status".to_owned(),
        columns: vec![crate::IndexColumn {
            name: term.to_owned(),
            expression: true,
            descending: false,
        }],
        unique: false,
        partial: None,
        declared: false,
        included: Vec::new(),
        method: "btree".to_owned(),
        valid: true,
    };
    let candidate = |term: &str| Candidate {
        table: "tickets".to_owned(),
        method: Method::Btree,
        keys: vec![Key {
            term: term.to_owned(),
            expression: true,
            descending: false,
            class: None,
        }],
        included: Vec::new(),
        condition: None,
    };
    for (database, ours) in [
        ("lower((status)::text)", "lower(status)"),
        ("(status ->> 'order'::text)", "status ->> 'order'"),
    ] {
        let (index, candidate) = (index(database), candidate(ours));
        assert!(same(&index, &candidate, Dialect::Postgres), "{ours}");
    }
}

#[test]
fn what_is_there_makes_no_room_for_further_candidates() {
    let all: Vec<String> = (0..18).map(|n| format!("c{n}")).collect();
    let mut schema = schema();
    let table = schema.tables.get_mut("tickets").unwrap();
    let column = |name: &String| Column {
        name: name.clone(),
        kind: "text".to_owned(),
        distinct: None,
    };
    table.columns = all.iter().map(column).collect();
    let each = |schema: &Schema| -> Vec<Facts> {
        let pairs = all.iter().flat_map(|a| all.iter().map(move |b| (a, b)));
        let asked = pairs.filter(|(a, b)| a < b).map(|(a, b)| {
            let sql = format!("SELECT * FROM tickets WHERE {a} = $1 ORDER BY {b} LIMIT 5");
            facts(&sql, Dialect::Postgres, schema).unwrap()
        });
        asked.collect()
    };
    let found = |schema: &Schema| {
        let facts = each(schema);
        candidates(&Workload {
            dialect: Dialect::Postgres,
            schema,
            samples: &samples(),
            facts: facts.iter().collect(),
            trigrams: false,
        })
    };
    let first = found(&schema);
    assert_eq!(first.len(), MOST_OF_A_TABLE);
    let table = schema.tables.get_mut("tickets").unwrap();
    table.indexes = first
        .iter()
        .take(20)
        .map(|candidate| Index {
            name: candidate.name(),
            columns: Vec::new(),
            unique: false,
            partial: None,
            declared: true,
            included: Vec::new(),
            method: "btree".to_owned(),
            valid: true,
        })
        .collect();
    assert_eq!(found(&schema), first[20..]);
}
