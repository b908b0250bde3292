//! An index that may be worth building: its definition, its text and its name.

use std::fmt::Write as _;

use speedwell_sql::Dialect;

/// How an index is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Method {
    /// Sorted.
    Btree,
    /// PostgreSQL's index of the parts of a value: the three-letter pieces of a text, the members of
    /// a document or an array, the words of a `tsvector`.
    Gin,
}

/// One term of an index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    /// A column as declared, or an expression as SQL.
    pub(crate) term: String,
    /// Whether it is an expression.
    pub(crate) expression: bool,
    /// Whether it is sorted downwards.
    pub(crate) descending: bool,
    /// What is written behind the term: an operator class or a collation.
    pub(crate) class: Option<&'static str>,
}

/// Pieces of texts (`pg_trgm`).
pub(crate) const TRIGRAMS: &str = "gin_trgm_ops";
/// Paths of documents.
pub(crate) const PATHS: &str = "jsonb_path_ops";
/// Texts by their bytes, so that all that begin alike stand together.
pub(crate) const BYTES: &str = "text_pattern_ops";
/// Texts as SQLite's `LIKE` compares them.
pub(crate) const NO_CASE: &str = "COLLATE NOCASE";

impl Key {
    pub(crate) fn column(name: &str) -> Self {
        Self::sorted(name, false)
    }

    pub(crate) fn sorted(name: &str, descending: bool) -> Self {
        Self {
            term: name.to_owned(),
            expression: false,
            descending,
            class: None,
        }
    }

    pub(crate) fn with_class(name: &str, class: Option<&'static str>) -> Self {
        Self {
            class,
            ..Self::column(name)
        }
    }

    fn text(&self) -> String {
        let term = match self.expression {
            true => format!("({})", self.term),
            false => quoted(&self.term),
        };
        let class = self.class.map(|class| format!(" {class}"));
        let direction = if self.descending { " DESC" } else { "" };
        format!("{term}{}{direction}", class.unwrap_or_default())
    }
}

/// An index that may be worth building. The order of candidates is that of their definitions, so
/// that the same input is always tried in the same order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Candidate {
    pub(crate) table: String,
    pub(crate) method: Method,
    pub(crate) keys: Vec<Key>,
    /// Columns stored beside, so that the table need not be looked at.
    pub(crate) included: Vec<String>,
    /// The condition of a partial index.
    pub(crate) condition: Option<String>,
}

/// PostgreSQL cuts names at this length.
const LONGEST_NAME: usize = 63;

impl Candidate {
    /// A name that follows from the definition alone: the same advice has the same name.
    pub(crate) fn name(&self) -> String {
        let mut name = self.table.clone();
        for key in &self.keys {
            let words = key.term.split(|c: char| !c.is_alphanumeric());
            for word in words.filter(|word| !word.is_empty()) {
                let _ = write!(name, "_{word}");
            }
        }
        let plain = self.condition.is_none()
            && self.included.is_empty()
            && self.method == Method::Btree
            && self
                .keys
                .iter()
                .all(|key| !key.descending && !key.expression && key.class.is_none());
        let mut ending = String::from("_idx");
        let longest = LONGEST_NAME - ending.len() - 5;
        if !plain || name.len() > longest {
            ending = format!("_{:04x}{ending}", fold(&self.body(Dialect::Postgres)));
        }
        let mut end = name.len().min(longest);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        name + &ending
    }

    /// The columns that it is sorted by and holds.
    pub(crate) fn columns(&self) -> Vec<String> {
        let keys = self.keys.iter().filter(|key| !key.expression);
        let names = keys.map(|key| &key.term).chain(&self.included);
        names.cloned().collect()
    }

    /// The statement that builds it.
    pub(crate) fn ddl(&self, dialect: Dialect) -> String {
        let name = quoted(&self.name());
        format!("CREATE INDEX {name} ON {}", self.body(dialect))
    }

    /// The statement that builds it while others write to the table.
    pub(crate) fn migration(&self, dialect: Dialect) -> String {
        match dialect {
            Dialect::Postgres => self.ddl(dialect).replacen(
                "CREATE INDEX",
                "CREATE INDEX CONCURRENTLY IF NOT EXISTS",
                1,
            ),
            _ => self
                .ddl(dialect)
                .replacen("CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1),
        }
    }

    /// The statement that takes the migration back.
    pub(crate) fn undo(&self, dialect: Dialect) -> String {
        let concurrently = match dialect {
            Dialect::Postgres => "CONCURRENTLY ",
            _ => "",
        };
        format!(
            "DROP INDEX {concurrently}IF EXISTS {}",
            quoted(&self.name())
        )
    }

    /// `table (columns) WHERE condition`, as people speak of it.
    pub(crate) fn body(&self, dialect: Dialect) -> String {
        let mut keys: Vec<String> = self.keys.iter().map(Key::text).collect();
        let mut text = quoted(&self.table);
        if self.method == Method::Gin {
            let _ = write!(text, " USING gin ({})", keys.join(", "));
            return text;
        }
        let mut included: Vec<String> = self.included.iter().map(|name| quoted(name)).collect();
        if dialect != Dialect::Postgres {
            // SQLite stores beside only what it also sorts by.
            keys.append(&mut included);
        }
        let _ = write!(text, " ({})", keys.join(", "));
        if !included.is_empty() {
            let _ = write!(text, " INCLUDE ({})", included.join(", "));
        }
        if let Some(condition) = &self.condition {
            let _ = write!(text, " WHERE {condition}");
        }
        text
    }
}

/// Sixteen bits of a text (FNV-1a, folded), the same on every machine and version.
fn fold(text: &str) -> u16 {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in text.bytes() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (hash >> 16) as u16 ^ (hash & 0xffff) as u16
}

/// A name as it must be written in SQL.
pub(crate) fn quoted(name: &str) -> String {
    crate::suggest::quote(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed() -> Candidate {
        Candidate {
            table: "flyers".to_owned(),
            method: Method::Btree,
            keys: vec![Key::sorted("created_at", true), Key::sorted("id", true)],
            included: vec!["creator_id".to_owned()],
            condition: Some("is_active = true".to_owned()),
        }
    }

    #[test]
    fn each_database_has_its_own_text_and_both_the_same_name() {
        let index = feed();
        assert_eq!(
            index.body(Dialect::Postgres),
            "flyers (created_at DESC, id DESC) INCLUDE (creator_id) WHERE is_active = true"
        );
        assert_eq!(
            index.body(Dialect::Sqlite),
            "flyers (created_at DESC, id DESC, creator_id) WHERE is_active = true"
        );
        assert!(index.ddl(Dialect::Sqlite).contains(&index.name()));
    }

    #[test]
    fn names_are_short_and_tell_definitions_apart() {
        let (one, mut other) = (feed(), feed());
        other.condition = Some("is_active = false".to_owned());
        assert_ne!(one.name(), other.name());
        let mut long = feed();
        long.keys = (0..30).map(|n| Key::column(&format!("é_{n}"))).collect();
        assert!(long.name().len() <= LONGEST_NAME, "{}", long.name());
        let plain = Candidate {
            keys: vec![Key::column("a"), Key::column("b")],
            included: Vec::new(),
            condition: None,
            ..feed()
        };
        assert_eq!(plain.name(), "flyers_a_b_idx");
    }
}
