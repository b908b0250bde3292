use super::*;
use crate::{Column, advice::facts::facts};

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

/// The definitions of the candidates of one statement.
fn asked(sql: &str) -> Vec<String> {
    let schema = schema();
    let facts = facts(sql, Dialect::Postgres, &schema).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let found = candidates(&Workload {
        dialect: Dialect::Postgres,
        schema: &schema,
        samples: &Samples::default(),
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
