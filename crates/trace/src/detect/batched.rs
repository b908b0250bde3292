//! Writes the one statement that replaces a loop of statements.
//!
//! This is advice for a person: where the text leaves a doubt there is no rewriting, and the
//! finding says in words what to do.

use std::ops::Range;

use speedwell_sql::{Dialect, Kind, TokenKind, shape};

/// A statement for many values, made from one for a single value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batched {
    /// The statement; its placeholder takes a list of values.
    pub text: String,
    /// The column by which the rows belong to the values, as written.
    pub column: String,
    /// Whether that column was added to the select list.
    pub adds_column: bool,
}

/// `SELECT` or `DELETE … WHERE column = $1` for a whole list of values: `= ANY($1)` in PostgreSQL,
/// `IN (SELECT value FROM json_each($1))` in SQLite, `IN (?, …)` in MySQL. A `LIMIT` becomes one
/// per value. `varying` is the placeholder that changes, counted from zero; without it there must
/// be only one equality. `None` if the text does not say clearly what to batch.
pub fn batched_statement(text: &str, dialect: Dialect, varying: Option<usize>) -> Option<Batched> {
    let clauses = Clauses::read(text, dialect)?;
    let condition = clauses.condition(varying)?;
    let column = text[condition.column.clone()].to_owned();
    let placeholder = &text[condition.placeholder.clone()];
    let list = value_list(placeholder, dialect);
    let mut rest = String::new();
    rest.push_str(&text[clauses.from.unwrap_or(condition.column.start)..condition.column.start]);
    rest.push_str(&format!("{column} {list}"));
    rest.push_str(&text[condition.end..clauses.where_end]);
    let rest = rest.trim_end().to_owned();
    match clauses.kind {
        Kind::Delete => {
            let start = &text[..condition.column.start];
            let end = &text[condition.end..];
            let text = format!("{start}{column} {list}{end}").trim_end().to_owned();
            Some(Batched {
                text,
                column,
                adds_column: false,
            })
        }
        _ => clauses.select(dialect, rest, column),
    }
}

/// `INSERT … VALUES (…)` for many rows; `None` if there is not exactly one row of values.
pub(super) fn rows_of_values(text: &str, dialect: Dialect) -> Option<String> {
    let pieces = pieces(text, dialect);
    let values = pieces
        .iter()
        .position(|piece| piece.depth == 0 && piece.is_word("VALUES"))?;
    let open = values + 1;
    if pieces.get(open)?.kind() != TokenKind::LeftParen {
        return None;
    }
    let behind = &pieces[open + 1..];
    let close = open + 1 + behind.iter().position(|piece| piece.depth == 0)?;
    if pieces[close].kind() != TokenKind::RightParen {
        return None;
    }
    let row = unnumbered(text, &pieces[open..=close]);
    Some(format!(
        "{}{row}, {row}, …{}",
        &text[..pieces[open].start()],
        &text[pieces[close].end()..]
    ))
}

/// A row as written, but for the numbers of its placeholders: a longer list has others.
fn unnumbered(text: &str, row: &[Piece<'_>]) -> String {
    let mut shown = String::new();
    let mut copied = row.first().map_or(0, Piece::start);
    for piece in row {
        shown.push_str(&text[copied..piece.start()]);
        let numbered = piece.is_placeholder() && piece.text().starts_with('$');
        shown.push_str(if numbered { "?" } else { piece.text() });
        copied = piece.end();
    }
    shown
}

fn value_list(placeholder: &str, dialect: Dialect) -> String {
    match dialect {
        Dialect::Postgres if !placeholder.starts_with(['$', ':', '@']) => "= ANY($1)".to_owned(),
        Dialect::Sqlite if placeholder == BLANK => {
            "IN (SELECT value FROM json_each(?1))".to_owned()
        }
        Dialect::Postgres => format!("= ANY({placeholder})"),
        Dialect::Sqlite => format!("IN (SELECT value FROM json_each({placeholder}))"),
        Dialect::MySql => format!("IN ({placeholder}, …)"),
    }
}

/// What stands for a literal in a text whose literals were blanked.
const BLANK: &str = "…";

/// `column = placeholder`, as ranges of the text.
#[derive(Clone)]
struct Condition {
    column: Range<usize>,
    placeholder: Range<usize>,
    /// Behind the placeholder and its cast.
    end: usize,
    /// Which placeholder of the text it is, counted from zero.
    number: usize,
}

/// Where the clauses of a plain `SELECT` or `DELETE` begin.
struct Clauses<'a> {
    text: &'a str,
    kind: Kind,
    /// Behind `SELECT` and `DISTINCT`.
    list: Option<usize>,
    from: Option<usize>,
    where_end: usize,
    grouped: bool,
    order: Option<Range<usize>>,
    limit: Option<Range<usize>>,
    /// All equalities with a placeholder at the top of the `WHERE`.
    conditions: Vec<Condition>,
    single_row: bool,
}

impl<'a> Clauses<'a> {
    /// `None` for anything but a plain statement whose conditions are joined by `AND`.
    fn read(text: &'a str, dialect: Dialect) -> Option<Self> {
        let text = text.trim_end().trim_end_matches(';').trim_end();
        let shape = shape(text, dialect);
        let pieces = pieces(text, dialect);
        let top = |word: &str| {
            pieces
                .iter()
                .position(|piece| piece.depth == 0 && piece.is_word(word))
        };
        let begins = |word: &str| pieces.first().is_some_and(|piece| piece.is_word(word));
        let kind = shape.kind;
        let plain = match kind {
            Kind::Select => begins("SELECT"),
            Kind::Delete => begins("DELETE"),
            _ => false,
        };
        let forbidden = [
            "UNION",
            "INTERSECT",
            "EXCEPT",
            "OR",
            "WINDOW",
            "FOR",
            "OFFSET",
            "FETCH",
        ];
        if !plain || forbidden.iter().any(|word| top(word).is_some()) || shape.offset.is_some() {
            return None;
        }
        let at = |place: Option<usize>| place.map(|place| pieces[place].start());
        let condition = top("WHERE")?;
        let group = top("GROUP");
        let order = top("ORDER");
        let limit = top("LIMIT");
        let where_end = [at(group), at(order), at(limit), at(top("RETURNING"))]
            .into_iter()
            .flatten()
            .filter(|&start| start > pieces[condition].start())
            .min()
            .unwrap_or(text.len());
        let list = (kind == Kind::Select).then(|| {
            let distinct = pieces.get(1).is_some_and(|piece| piece.is_word("DISTINCT"));
            pieces[usize::from(distinct)].end()
        });
        Some(Self {
            text,
            kind,
            list,
            from: at(top("FROM")),
            where_end,
            grouped: group.is_some(),
            order: at(order).map(|start| start..at(limit).unwrap_or(text.len())),
            limit: limit.map(|place| pieces[place].end()..text.len()),
            conditions: conditions(&pieces, condition, where_end),
            single_row: shape.single_row,
        })
    }

    fn condition(&self, varying: Option<usize>) -> Option<Condition> {
        match (varying, self.conditions.as_slice()) {
            (Some(number), conditions) => conditions
                .iter()
                .find(|condition| condition.number == number)
                .cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// The batched `SELECT`; `rest` is all from `FROM` to the end of `WHERE`.
    fn select(&self, dialect: Dialect, rest: String, column: String) -> Option<Batched> {
        if self.grouped {
            return None;
        }
        let list_start = self.list?;
        let head = &self.text[..list_start];
        // Numbering the rows would make all of them distinct.
        if self.limit.is_some() && head.len() > "SELECT".len() {
            return None;
        }
        let list = self.text[list_start..self.from?].trim();
        let adds_column = !selects(list, &column, dialect);
        let list = if adds_column {
            format!("{column}, {list}")
        } else {
            list.to_owned()
        };
        let order = self
            .order
            .clone()
            .map(|order| self.text[order].trim().to_owned());
        let limit = self
            .limit
            .clone()
            .map(|limit| self.text[limit].trim().to_owned());
        let text = match limit {
            _ if self.single_row => format!("{head} {list}\n{rest}\nGROUP BY {column}"),
            // One row of a key needs no limit.
            Some(limit) if order.is_none() && limit == "1" => format!("{head} {list}\n{rest}"),
            Some(limit) => {
                let order = order.map(|order| format!(" {order}")).unwrap_or_default();
                format!(
                    "SELECT *\nFROM (\n{head} {list}, ROW_NUMBER() OVER (PARTITION BY {column}\
                     {order}) AS place\n{rest}\n) AS ranked\nWHERE place <= {limit}"
                )
            }
            None => {
                let order = order.map(|order| format!("\n{order}")).unwrap_or_default();
                format!("{head} {list}\n{rest}{order}")
            }
        };
        Some(Batched {
            text,
            column,
            adds_column,
        })
    }
}

/// Whether a select list holds the column already, or everything.
fn selects(list: &str, column: &str, dialect: Dialect) -> bool {
    let name = |text: &str| {
        text.rsplit('.')
            .next()
            .unwrap_or(text)
            .trim()
            .to_ascii_lowercase()
    };
    let wanted = name(column);
    pieces(list, dialect)
        .iter()
        .any(|piece| piece.depth == 0 && (piece.text() == "*" || name(piece.text()) == wanted))
}

/// The equalities with a placeholder between `from`, the place of `WHERE`, and `until`, a byte.
fn conditions(pieces: &[Piece<'_>], from: usize, until: usize) -> Vec<Condition> {
    let placeholders = pieces
        .iter()
        .enumerate()
        .filter(|(_, piece)| piece.is_placeholder());
    placeholders
        .enumerate()
        .filter(|(_, (place, _))| *place > from)
        .filter_map(|(number, (place, _))| equality(pieces, place, number, until))
        .collect()
}

/// The condition that ends in the placeholder at `place`: `WHERE column =` or `AND column =`
/// before it, and behind it the end of the condition.
fn equality(pieces: &[Piece<'_>], place: usize, number: usize, until: usize) -> Option<Condition> {
    let placeholder = pieces[place];
    let before = |steps: usize| place.checked_sub(steps).map(|at| pieces[at]);
    let plain = placeholder.depth == 0 && placeholder.start() < until && before(1)?.text() == "=";
    let column = before(2).filter(|piece| piece.is_name())?;
    let qualifier = match before(3)?.kind() {
        TokenKind::Dot => Some(before(4).filter(|piece| piece.is_name())?),
        _ => None,
    };
    let opening = before(if qualifier.is_some() { 5 } else { 3 })?;
    let opens = opening.is_word("WHERE") || opening.is_word("AND");
    let cast = pieces
        .get(place + 1)
        .is_some_and(|next| next.kind() == TokenKind::Cast);
    let last = if cast { place + 2 } else { place };
    let closed = pieces
        .get(last + 1)
        .is_none_or(|next| next.start() >= until || next.is_word("AND"));
    (plain && opens && closed).then(|| Condition {
        column: qualifier.unwrap_or(column).start()..column.end(),
        placeholder: placeholder.start()..placeholder.end(),
        end: pieces.get(last).unwrap_or(&placeholder).end(),
        number,
    })
}

/// A token and how deep it lies.
#[derive(Clone, Copy)]
struct Piece<'a> {
    token: speedwell_sql::Token<'a>,
    /// Open parentheses around it.
    depth: usize,
}

impl<'a> Piece<'a> {
    fn kind(&self) -> TokenKind {
        self.token.kind
    }

    fn text(&self) -> &'a str {
        self.token.text
    }

    fn start(&self) -> usize {
        self.token.start
    }

    fn end(&self) -> usize {
        self.token.end()
    }

    fn is_word(&self, word: &str) -> bool {
        self.token.is_word(word)
    }

    fn is_name(&self) -> bool {
        self.token.is_name()
    }

    /// Whether a value belongs here: a placeholder, or the mark of a blanked literal.
    fn is_placeholder(&self) -> bool {
        self.kind() == TokenKind::Placeholder || self.text() == BLANK
    }
}

fn pieces(text: &str, dialect: Dialect) -> Vec<Piece<'_>> {
    let mut depth = 0_usize;
    speedwell_sql::tokens(text, dialect)
        .map(|token| {
            if token.kind == TokenKind::RightParen {
                depth = depth.saturating_sub(1);
            }
            let piece = Piece { token, depth };
            if token.kind == TokenKind::LeftParen {
                depth += 1;
            }
            piece
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn postgres(text: &str) -> Option<String> {
        batched_statement(text, Dialect::Postgres, None).map(|batched| batched.text)
    }

    #[test]
    fn an_equality_becomes_any_in_postgres() {
        let text = "SELECT url FROM images WHERE flyer_id = $1 ORDER BY position";
        insta::assert_snapshot!(postgres(text).unwrap(), @r"
        SELECT flyer_id, url
        FROM images WHERE flyer_id = ANY($1)
        ORDER BY position
        ");
    }

    #[test]
    fn an_equality_becomes_json_each_in_sqlite() {
        let text =
            "SELECT i.flyer_id, i.url\nFROM images AS i\nWHERE i.flyer_id = ?1 AND i.kept = 1";
        let batched = batched_statement(text, Dialect::Sqlite, None).unwrap();
        assert!(!batched.adds_column);
        insta::assert_snapshot!(batched.text, @r"
        SELECT i.flyer_id, i.url
        FROM images AS i
        WHERE i.flyer_id IN (SELECT value FROM json_each(?1)) AND i.kept = 1
        ");
    }

    #[test]
    fn a_limit_becomes_one_per_value() {
        let text = "SELECT url FROM images WHERE flyer_id = $1 ORDER BY position LIMIT 3";
        insta::assert_snapshot!(postgres(text).unwrap(), @r"
        SELECT *
        FROM (
        SELECT flyer_id, url, ROW_NUMBER() OVER (PARTITION BY flyer_id ORDER BY position) AS place
        FROM images WHERE flyer_id = ANY($1)
        ) AS ranked
        WHERE place <= 3
        ");
    }

    #[test]
    fn an_aggregate_is_grouped() {
        let text = "SELECT COUNT(*) FROM likes WHERE flyer_id = $1::BIGINT";
        insta::assert_snapshot!(postgres(text).unwrap(), @r"
        SELECT flyer_id, COUNT(*)
        FROM likes WHERE flyer_id = ANY($1)
        GROUP BY flyer_id
        ");
    }

    #[test]
    fn the_value_that_changes_chooses_the_condition() {
        let text = "SELECT role FROM members WHERE team = $1 AND person = $2";
        assert_eq!(postgres(text), None);
        let batched = batched_statement(text, Dialect::Postgres, Some(1)).unwrap();
        assert_eq!(batched.column, "person");
        assert!(
            batched
                .text
                .ends_with("WHERE team = $1 AND person = ANY($2)"),
            "{}",
            batched.text
        );
    }

    #[test]
    fn a_delete_takes_a_list() {
        let text = "DELETE FROM tags WHERE id = $1";
        assert_eq!(
            postgres(text).unwrap(),
            "DELETE FROM tags WHERE id = ANY($1)"
        );
    }

    #[test]
    fn a_doubt_gives_no_rewriting() {
        for text in [
            "SELECT a FROM t WHERE b = $1 OR c = $2",
            "SELECT a FROM t WHERE b = $1 UNION SELECT a FROM u",
            "SELECT a FROM t WHERE b > $1",
            "WITH x AS (SELECT 1) SELECT a FROM t WHERE b = $1",
            "SELECT a FROM t WHERE b = $1 + 1",
            "SELECT a FROM t WHERE NOT b = $1",
            "SELECT a FROM t WHERE b = $1 LIMIT 2 OFFSET 4",
            "SELECT a, COUNT(*) FROM t WHERE b = $1 GROUP BY a",
            "SELECT DISTINCT a FROM t WHERE b = $1 LIMIT 3",
            "",
        ] {
            assert_eq!(postgres(text), None, "{text}");
        }
    }

    #[test]
    fn an_insert_takes_many_rows() {
        assert_eq!(
            rows_of_values(
                "INSERT INTO t (a, b) VALUES ($1, $2) RETURNING a",
                Dialect::Postgres
            ),
            Some("INSERT INTO t (a, b) VALUES (?, ?), (?, ?), … RETURNING a".to_owned())
        );
        assert_eq!(
            rows_of_values("INSERT INTO t VALUES ($1, '$2')", Dialect::Postgres),
            Some("INSERT INTO t VALUES (?, '$2'), (?, '$2'), …".to_owned())
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}", words in prop::collection::vec(
            prop::sample::select(vec![
                "SELECT", "DELETE", "FROM", "WHERE", "AND", "=", "$1", "?", "a", "t.", ".", "(",
                ")", "LIMIT", "1", "ORDER BY", "::", "int", "'", "\"", "VALUES", "%(", "ä", "--",
            ]), 0..20,
        )) {
            for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql] {
                for text in [text.as_str(), words.join(" ").as_str(), words.concat().as_str()] {
                    let _ = batched_statement(text, dialect, None);
                    let _ = batched_statement(text, dialect, Some(0));
                    let _ = rows_of_values(text, dialect);
                }
            }
        }
    }
}
