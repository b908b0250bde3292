//! A short name for a statement: what it does, to which tables, and by which columns it finds rows.

use speedwell_sql::{Comparison, Dialect, Kind, Operand, Structure, shape, structure};

/// A name that stands in the first column of a table.
const LONGEST: usize = 48;

/// `SELECT flyers WHERE creator_id`; nothing for what is not a read or a write of tables.
pub(super) fn short(sql: &str, dialect: Dialect) -> Option<String> {
    let shape = shape(sql, dialect);
    let verb = match shape.kind {
        Kind::Select => "SELECT",
        Kind::Insert => "INSERT",
        Kind::Update => "UPDATE",
        Kind::Delete => "DELETE",
        _ => return None,
    };
    let found = structure(sql, dialect, &|_| Vec::new()).unwrap_or_default();
    let written = shape.tables.iter().filter(|table| table.written);
    let mut tables: Vec<&str> = written.map(|table| table.name.as_str()).collect();
    if tables.is_empty() {
        tables = found.tables.iter().map(|(name, _)| name.as_str()).collect();
    }
    if tables.is_empty() {
        tables = shape.tables.iter().map(|table| &*table.name).collect();
    }
    let (tables, columns) = (list(tables), list(columns(&found)));
    let name = match (tables.as_str(), columns.as_str()) {
        ("", _) => return None,
        (tables, "") => format!("{verb} {tables}"),
        (tables, columns) => format!("{verb} {tables} WHERE {columns}"),
    };
    Some(cut(&name))
}

/// Columns that are compared with a value.
fn columns(structure: &Structure) -> Vec<&str> {
    let predicates = structure.predicates.iter();
    let compared = predicates.filter(|predicate| {
        predicate.comparison != Comparison::Other
            && !matches!(predicate.operand, Operand::Column { .. })
    });
    compared.map(|predicate| &*predicate.column).collect()
}

/// Each once, in order of appearance.
fn list(names: Vec<&str>) -> String {
    let mut once: Vec<&str> = Vec::new();
    for name in names {
        if !once.contains(&name) {
            once.push(name);
        }
    }
    once.join(", ")
}

/// Whole words only, if there are any.
fn cut(name: &str) -> String {
    let Some((end, _)) = name.char_indices().nth(LONGEST) else {
        return name.to_owned();
    };
    let words = name[..end].rsplit_once(' ').map(|(words, _)| words);
    format!("{} …", words.unwrap_or(&name[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_person_would() {
        for (sql, name) in [
            (
                "SELECT * FROM flyers WHERE creator_id = $1 AND is_active ORDER BY created_at LIMIT $2",
                "SELECT flyers WHERE creator_id, is_active",
            ),
            (
                "SELECT f.title FROM favorites v JOIN flyers f ON f.id = v.flyer_id WHERE v.user_id = $1",
                "SELECT favorites, flyers WHERE user_id",
            ),
            ("SELECT COUNT(*) FROM flyers", "SELECT flyers"),
            (
                "INSERT INTO flyers (id, title) VALUES ($1, $2)",
                "INSERT flyers",
            ),
            (
                "UPDATE flyers SET title = $1 WHERE id = $2",
                "UPDATE flyers WHERE id",
            ),
            (
                "DELETE FROM flyers WHERE id IN ($1, $2)",
                "DELETE flyers WHERE id",
            ),
            ("SELECT a FROM t WHERE (", "SELECT t"),
            (
                "SELECT 1 FROM a_rather_long_name WHERE another_column = $1 AND one_more_of_them = $2",
                "SELECT a_rather_long_name WHERE another_column, …",
            ),
        ] {
            assert_eq!(
                short(sql, Dialect::Postgres).as_deref(),
                Some(name),
                "{sql}"
            );
        }
        assert_eq!(short("BEGIN", Dialect::Postgres), None);
        assert_eq!(short("SELECT 1", Dialect::Postgres), None);
    }
}
