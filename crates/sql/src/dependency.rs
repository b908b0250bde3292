//! What the answer to a statement depends on, and what a statement changes, as tags for a cache.
//!
//! # The rule
//!
//! A cached value is safe if **every write that can change it invalidates at least one of its
//! tags**. There are three kinds of tags:
//!
//! | tag | carried by | invalidated by |
//! |---|---|---|
//! | `deals` | a read that any row of `deals` may change | every write to `deals` |
//! | `deals:id=5` | a read of those rows of which `id` is 5 | a write that knows that it touches such a row |
//! | `deals:*` | every read with a tag of the second kind | every write that does not know all its rows |
//!
//! The second kind is narrow, and dangerous by itself: `UPDATE deals SET owner = 9 WHERE id = 5`
//! changes what `WHERE owner = 3` finds, if 3 was the owner before. A narrow tag is invalidated by a
//! write only if the write gives the row's **before and after image** of its column. So narrow tags
//! are off by default: a read carries `deals`, and a write invalidates it. Where a column is named in
//! [`Narrow`], a read that compares it with a known value carries `deals:id=5` *and* `deals:*`. A
//! write whose text does not show all its rows invalidates `deals` and `deals:*`, which is every read
//! of `deals`; a write that gives its images ([`row_tags`]), or whose text shows them, spares the
//! reads of other rows. Forgetting an image therefore costs hits, never truth.
//!
//! # What no text shows
//!
//! Views, functions that read tables, triggers, rules and `ON DELETE CASCADE` read or write tables
//! that the statement does not name. Name those tables yourself, for reads and for writes.
//!
//! Narrow columns must be compared by a value with one written form but for case, white space at the
//! ends and the form of a number: integers, texts, UUIDs with hyphens, truth values. No dates, no
//! floating point, no collation that ignores accents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    Comparison, Dialect, Kind, Operand, Predicate, TokenKind, shape, structure,
    tokens::{Tokens, unquote},
};

/// Something that cached values depend on. Compare it as text: `deals`, `deals:*`, `deals:id=5`.
///
/// Names are in lower case, quoted ones too, and without schema: two tables of one name share their
/// tags, which costs hits and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tag {
    /// Any row of a table, for reads that say nothing narrower.
    Table(String),
    /// Any row of a table, for reads that carry a tag of some rows.
    Rows(String),
    /// The rows of a table in which a column has a value.
    Row {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The value in a form that equal values share.
        value: String,
    },
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => f.write_str(table),
            Self::Rows(table) => write!(f, "{table}:*"),
            Self::Row {
                table,
                column,
                value,
            } => write!(f, "{table}:{column}={value}"),
        }
    }
}

/// What a statement depends on and what it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dependency {
    /// These tags.
    Known {
        /// Tags that a value made of the answer must carry.
        reads: BTreeSet<Tag>,
        /// Tags that must be invalidated once the statement is committed.
        changes: BTreeSet<Tag>,
    },
    /// Not even the tables are known: cache nothing that it reads, and throw everything away if it
    /// may have written.
    Unknown,
}

/// The columns that narrow tags may be made of; none by default.
///
/// All processes that share a cache must name the same columns, for a writer gives the images of
/// those that it knows. When they change, begin with an empty cache. A process that knows of none is
/// safe beside the others: it invalidates all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrow(BTreeMap<String, BTreeSet<String>>);

impl Narrow {
    /// No column: every tag is a table.
    pub fn none() -> Self {
        Self::default()
    }

    /// Also this column. See the module for which columns serve.
    pub fn column(mut self, table: &str, column: &str) -> Self {
        let columns = self.0.entry(folded(table)).or_default();
        columns.insert(folded(column));
        self
    }

    fn columns(&self, table: &str) -> Option<&BTreeSet<String>> {
        self.0.get(table)
    }
}

/// The tags of one statement.
///
/// `values` are the bound values as text, in the order of the parameters; `None` for NULL and for
/// what is not known. A shorter list is fine, an empty one says that none is known. Total: any text
/// has a dependency.
///
/// - A read carries, for each table, the tag of the table. If the column is in `narrow`, and the
///   statement is one query block without outer joins that names the table once and has an AND-ed
///   `column = value`, it carries the narrow tag and that of the rows instead.
/// - A write changes the tag of each table that it writes to, and that of its rows. An `UPDATE` or
///   `DELETE` whose text shows each narrow column of the table unchanged at one value changes those
///   narrow tags instead of all rows.
/// - A statement without tables, or transaction control, has no tags.
///
/// ```
/// use speedwell_sql::{Dependency, Dialect, Narrow, dependency};
///
/// let told = |sql, narrow: &Narrow| match dependency(sql, Dialect::Postgres, &[Some("5")], narrow) {
///     Dependency::Known { reads, changes } => {
///         let text = |tags: std::collections::BTreeSet<speedwell_sql::Tag>| {
///             tags.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
///         };
///         format!("reads [{}] changes [{}]", text(reads), text(changes))
///     }
///     Dependency::Unknown => "unknown".to_owned(),
/// };
/// let read = "SELECT name FROM deals WHERE id = $1";
/// let write = "UPDATE deals SET name = 'x' WHERE owner = $1";
/// assert_eq!(told(read, &Narrow::none()), "reads [deals] changes []");
/// assert_eq!(told(write, &Narrow::none()), "reads [] changes [deals deals:*]");
/// let narrow = Narrow::none().column("deals", "id");
/// assert_eq!(told(read, &narrow), "reads [deals:* deals:id=5] changes []");
/// assert_eq!(told(write, &narrow), "reads [] changes [deals deals:*]");
/// ```
pub fn dependency(
    sql: &str,
    dialect: Dialect,
    values: &[Option<&str>],
    narrow: &Narrow,
) -> Dependency {
    let shape = shape(sql, dialect);
    let known = match shape.kind {
        Kind::Select => !shape.tables.is_empty() || !names_a_source(sql, dialect),
        Kind::Insert | Kind::Update | Kind::Delete => {
            shape.tables.iter().any(|table| table.written)
        }
        Kind::Definition => !shape.tables.is_empty(),
        Kind::Transaction => true,
        Kind::Utility | Kind::Other => false,
    };
    if !known {
        return Dependency::Unknown;
    }
    let tables: Vec<(String, bool)> = shape
        .tables
        .iter()
        .map(|table| (folded(&table.name), table.written))
        .collect();
    let wanted = tables
        .iter()
        .any(|(table, _)| narrow.columns(table).is_some());
    let pinned = match wanted {
        true => pinned(sql, dialect, shape.kind, values),
        false => Vec::new(),
    };
    let (mut reads, mut changes) = (BTreeSet::new(), BTreeSet::new());
    for (table, written) in tables {
        let columns = narrow.columns(&table);
        if !written {
            match columns.and_then(|columns| narrowest(&table, columns, &pinned)) {
                Some(tag) => reads.extend([tag, Tag::Rows(table)]),
                None => reads.extend([Tag::Table(table)]),
            }
            continue;
        }
        let unchanged = matches!(shape.kind, Kind::Update | Kind::Delete);
        let image: Vec<(&str, Option<&str>)> = pinned
            .iter()
            .filter(|pin| unchanged && pin.table == table && !pin.may_be_assigned)
            .map(|pin| (pin.column.as_str(), Some(pin.value.as_str())))
            .collect();
        // Without narrow columns no read carries the tag of the rows, but another process may know
        // more of them than this one.
        changes.extend(match columns {
            Some(_) => row_tags(narrow, &table, &image),
            None => BTreeSet::from([Tag::Table(table.clone()), Tag::Rows(table)]),
        });
    }
    Dependency::Known { reads, changes }
}

/// The tags that a write of one row changes: that of the table, and the narrow ones of `image`, the
/// row's columns with their values as text (`None` for NULL). Call it with the row **before** and
/// with the row **after** the write, and invalidate both; an inserted row has only an after image, a
/// deleted one only a before image.
///
/// An image without one of the table's columns in `narrow` does not tell which reads it concerns:
/// then the tag of all rows is among them. So it is if the table has no such columns, because
/// another process may know some.
pub fn row_tags(narrow: &Narrow, table: &str, image: &[(&str, Option<&str>)]) -> BTreeSet<Tag> {
    let table = folded(table);
    let mut tags = BTreeSet::from([Tag::Table(table.clone())]);
    let given: BTreeMap<String, &Option<&str>> = image
        .iter()
        .map(|(column, value)| (folded(column), value))
        .collect();
    let columns = narrow.columns(&table);
    for column in columns.into_iter().flatten() {
        match given.get(column) {
            // No read compares a column with NULL by `=`, nor carries a value too long for a tag.
            Some(None) => {}
            Some(Some(value)) => tags.extend(same_form(value).map(|value| Tag::Row {
                table: table.clone(),
                column: column.clone(),
                value,
            })),
            None => {
                tags.insert(Tag::Rows(table.clone()));
            }
        }
    }
    if columns.is_none() {
        tags.insert(Tag::Rows(table));
    }
    tags
}

/// A column that one value pins down, for all rows that the statement finds in its table.
struct Pin {
    table: String,
    column: String,
    value: String,
    /// Whether the column's name stands elsewhere in the text, so that it may be given a new value.
    may_be_assigned: bool,
}

/// The first pinned column of a table that narrow tags may be made of.
fn narrowest(table: &str, columns: &BTreeSet<String>, pinned: &[Pin]) -> Option<Tag> {
    let pin = pinned
        .iter()
        .find(|pin| pin.table == table && columns.contains(&pin.column))?;
    Some(Tag::Row {
        table: table.to_owned(),
        column: pin.column.clone(),
        value: pin.value.clone(),
    })
}

/// Words that make more than one query block, keep rows that a condition does not hold for, make
/// another value of the one that is compared, name a column by another name, or touch rows beside
/// those found. A column of such a name costs a narrow tag.
const NOT_PLAIN: [&str; 19] = [
    "WITH",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "VALUES",
    "TABLE",
    "LATERAL",
    "LEFT",
    "RIGHT",
    "FULL",
    "OUTER",
    "NATURAL",
    "CAST",
    "COLLATE",
    "ROWID",
    "OID",
    "_ROWID_",
    "MERGE",
    "REPLACE",
];

/// The columns that an AND-ed equality pins down; none if the statement is more than one plain query
/// block, or names a table twice.
fn pinned(sql: &str, dialect: Dialect, kind: Kind, values: &[Option<&str>]) -> Vec<Pin> {
    let tokens = Tokens::of(sql, dialect);
    let selects = (0..tokens.len())
        .filter(|&at| tokens.word(at, "SELECT"))
        .count();
    let plain = (0..tokens.len())
        .all(|at| !tokens.any_word(at, &NOT_PLAIN) && !tokens.is(at, TokenKind::Cast));
    let blocks = match kind {
        Kind::Select => selects == 1,
        Kind::Update | Kind::Delete => selects == 0,
        _ => false,
    };
    // Which values MySQL calls equal depends on the collation: accents may not count.
    if !plain || !blocks || dialect == Dialect::MySql {
        return Vec::new();
    }
    let Ok(structure) = structure(sql, dialect, &|_| Vec::new()) else {
        return Vec::new();
    };
    let parameters = parameters(&tokens);
    let bound = |predicate: &Predicate| match predicate.placeholders.as_slice() {
        [place] => {
            let parameter = *parameters.as_ref()?.get(*place)?;
            values.get(parameter).copied().flatten()
        }
        _ => None,
    };
    let once = |table: &str| {
        let appears = structure
            .tables
            .iter()
            .filter(|(name, _)| folded(name) == table);
        appears.count() == 1
    };
    let equal = structure
        .predicates
        .iter()
        .filter(|predicate| predicate.comparison == Comparison::Equal);
    equal
        .filter_map(|predicate| {
            let value = match &predicate.operand {
                Operand::Literal(text) => same_form(&plain_literal(text)?)?,
                Operand::Placeholder => same_form(bound(predicate)?)?,
                Operand::Column { .. } | Operand::Expression => return None,
            };
            let (table, column) = (folded(&predicate.table), folded(&predicate.column));
            once(&table).then(|| Pin {
                may_be_assigned: mentions(&tokens, &column) != 1,
                table,
                column,
                value,
            })
        })
        .collect()
}

/// How often a name stands in the text, quoted or not.
fn mentions(tokens: &Tokens<'_>, name: &str) -> usize {
    (0..tokens.len())
        .filter(|&at| match tokens.kind(at) {
            Some(TokenKind::Word) => folded(tokens.text(at)) == name,
            Some(TokenKind::Quoted) => folded(&unquote(tokens.text(at))) == name,
            _ => false,
        })
        .count()
}

/// Which parameter, counted from 0, each placeholder stands for. `None` if the text mixes spellings
/// or names them: who binds them in which order is then not to be seen.
fn parameters(tokens: &Tokens<'_>) -> Option<Vec<usize>> {
    let texts: Vec<&str> = (0..tokens.len())
        .filter(|&at| tokens.is(at, TokenKind::Placeholder))
        .map(|at| tokens.text(at))
        .collect();
    if texts.iter().all(|text| matches!(*text, "?" | "%s")) {
        return Some((0..texts.len()).collect());
    }
    let numbered = |text: &&str| {
        let number: usize = text.strip_prefix(['$', '?'])?.parse().ok()?;
        number.checked_sub(1)
    };
    texts.iter().map(numbered).collect()
}

/// Whether the text has a `FROM`, so that rows come from somewhere.
fn names_a_source(sql: &str, dialect: Dialect) -> bool {
    let tokens = Tokens::of(sql, dialect);
    (0..tokens.len()).any(|at| tokens.any_word(at, &["FROM", "JOIN", "TABLE"]))
}

/// The value of a literal that means the same whoever reads it: a decimal number, a plain string, a
/// truth value.
fn plain_literal(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('\'') {
        return Some(inner.strip_suffix('\'')?.replace("''", "'"));
    }
    let is_number = Decimal::read(text).is_some();
    let is_truth = matches!(text, "TRUE" | "FALSE");
    (is_number || is_truth).then(|| text.to_owned())
}

/// Longest value in a tag, in bytes. No read carries a longer one, so no write needs to name it.
const LONGEST_VALUE: usize = 200;

/// The form that equal values share: what a database may call equal to something else (another case,
/// space at the ends, `5.0`, `true`) must not differ here. That different values share a form costs
/// hits and nothing else.
fn same_form(value: &str) -> Option<String> {
    let text = value.trim().to_lowercase();
    let form = match text.as_str() {
        "true" | "t" | "yes" | "y" | "on" => "1".to_owned(),
        "false" | "f" | "no" | "n" | "off" => "0".to_owned(),
        other => Decimal::read(other).map_or(text.clone(), |number| number.to_string()),
    };
    (form.len() <= LONGEST_VALUE).then_some(form)
}

/// A decimal number without needless zeros.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
}

impl<'a> Decimal<'a> {
    /// Reads `-5`, `05`, `5.`, `.5`; nothing with an exponent, for those are floating point.
    fn read(text: &'a str) -> Option<Self> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let empty = whole.is_empty() && fraction.is_empty();
        if empty || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let (whole, fraction) = (
            whole.trim_start_matches('0'),
            fraction.trim_end_matches('0'),
        );
        Some(Self {
            negative: text.starts_with('-') && !(whole.is_empty() && fraction.is_empty()),
            whole,
            fraction,
        })
    }
}

impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let whole = if self.whole.is_empty() {
            "0"
        } else {
            self.whole
        };
        match self.fraction {
            "" => write!(f, "{sign}{whole}"),
            fraction => write!(f, "{sign}{whole}.{fraction}"),
        }
    }
}

/// A name as tags have it. SQLite does not tell the cases of quoted names apart.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests;
