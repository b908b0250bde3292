//! Writes the one statement that replaces a loop of statements.
//!
//! This is advice for a person: where the text leaves a doubt there is no rewriting, and the
//! finding says in words what to do.

use speedwell_sql::{Dialect, Kind, shape};

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
    let tokens = tokens(text, dialect);
    let values = tokens
        .iter()
        .position(|token| token.depth == 0 && token.is_word(text, "VALUES"))?;
    let open = tokens
        .get(values + 1)
        .filter(|token| &text[token.start..token.end] == "(")?;
    let close = tokens[values + 2..].iter().find(|token| token.depth == 0)?;
    if &text[close.start..close.end] != ")" {
        return None;
    }
    let row = one_line_row(&text[open.start..close.end]);
    Some(format!(
        "{}{row}, {row}, …{}",
        &text[..open.start],
        &text[close.end..]
    ))
}

/// A row of a longer list has placeholders of its own: they are shown without numbers.
fn one_line_row(row: &str) -> String {
    let mut shown = String::new();
    let mut after_dollar = false;
    for c in row.chars() {
        match c {
            '$' => {
                after_dollar = true;
                shown.push('?');
            }
            c if after_dollar && c.is_ascii_digit() => {}
            c => {
                after_dollar = false;
                shown.push(c);
            }
        }
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
    column: std::ops::Range<usize>,
    placeholder: std::ops::Range<usize>,
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
    order: Option<std::ops::Range<usize>>,
    limit: Option<std::ops::Range<usize>>,
    /// All equalities with a placeholder at the top of the `WHERE`.
    conditions: Vec<Condition>,
    single_row: bool,
}

impl<'a> Clauses<'a> {
    /// `None` for anything but a plain statement whose conditions are joined by `AND`.
    fn read(text: &'a str, dialect: Dialect) -> Option<Self> {
        let text = text.trim_end().trim_end_matches(';').trim_end();
        let shape = shape(text, dialect);
        let tokens = tokens(text, dialect);
        let top = |word: &str| {
            tokens
                .iter()
                .position(|token| token.depth == 0 && token.is_word(text, word))
        };
        let begins = |word: &str| {
            tokens
                .first()
                .is_some_and(|token| token.is_word(text, word))
        };
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
        let at = |place: Option<usize>| place.map(|place| tokens[place].start);
        let condition = top("WHERE")?;
        let group = top("GROUP");
        let order = top("ORDER");
        let limit = top("LIMIT");
        let where_end = [at(group), at(order), at(limit), at(top("RETURNING"))]
            .into_iter()
            .flatten()
            .filter(|&start| start > tokens[condition].start)
            .min()
            .unwrap_or(text.len());
        let list = (kind == Kind::Select).then(|| {
            let distinct = tokens
                .get(1)
                .is_some_and(|token| token.is_word(text, "DISTINCT"));
            tokens[usize::from(distinct)].end
        });
        Some(Self {
            text,
            kind,
            list,
            from: at(top("FROM")),
            where_end,
            grouped: group.is_some(),
            order: at(order).map(|start| start..at(limit).unwrap_or(text.len())),
            limit: limit.map(|place| tokens[place].end..text.len()),
            conditions: conditions(text, &tokens, condition, where_end),
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
    tokens(list, dialect)
        .iter()
        .enumerate()
        .any(|(place, token)| {
            let text = &list[token.start..token.end];
            let is_star = text == "*" && place.checked_sub(1).is_none_or(|_| token.depth == 0);
            token.depth == 0 && (is_star || name(text) == wanted)
        })
}

fn conditions(text: &str, tokens: &[Token], from: usize, until: usize) -> Vec<Condition> {
    let show = |place: usize| {
        tokens
            .get(place)
            .map_or("", |token| &text[token.start..token.end])
    };
    let mut found = Vec::new();
    let mut number = tokens[..from]
        .iter()
        .filter(|token| token.class == Class::Placeholder)
        .count();
    for place in from + 1..tokens.len() {
        let token = tokens[place];
        if token.class != Class::Placeholder {
            continue;
        }
        let this = number;
        number += 1;
        if token.start >= until || token.depth != 0 || place < from + 3 || show(place - 1) != "=" {
            continue;
        }
        if tokens[place - 2].class != Class::Word {
            continue;
        }
        let qualified = show(place - 3) == "." && tokens[place - 4].class == Class::Word;
        let first = if qualified { place - 4 } else { place - 2 };
        let before = show(first - 1).to_ascii_uppercase();
        if !matches!(before.as_str(), "WHERE" | "AND") {
            continue;
        }
        let cast = show(place + 1) == "::";
        let end = if cast {
            tokens.get(place + 2).unwrap_or(&token).end
        } else {
            token.end
        };
        let after = if cast { place + 3 } else { place + 1 };
        let closed = tokens
            .get(after)
            .is_none_or(|next| next.start >= until || next.is_word(text, "AND"));
        if closed {
            found.push(Condition {
                column: tokens[first].start..tokens[place - 2].end,
                placeholder: token.start..token.end,
                end,
                number: this,
            });
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Class {
    /// A name or keyword, quoted or not.
    Word,
    Placeholder,
    /// A string, a number, or a sign.
    Other,
}

#[derive(Clone, Copy, Debug)]
struct Token {
    class: Class,
    start: usize,
    end: usize,
    /// Open parentheses around it.
    depth: usize,
}

impl Token {
    fn is_word(self, text: &str, word: &str) -> bool {
        self.class == Class::Word && text[self.start..self.end].eq_ignore_ascii_case(word)
    }
}

/// Splits a text roughly: enough to find clauses and conditions, total on any input.
fn tokens(text: &str, dialect: Dialect) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        let (class, end) = next_token(bytes, at, dialect);
        if bytes[at] == b')' {
            depth = depth.saturating_sub(1);
        }
        if let Some(class) = class {
            tokens.push(Token {
                class,
                start: at,
                end,
                depth,
            });
        }
        if bytes[at] == b'(' {
            depth += 1;
        }
        at = end;
    }
    tokens
}

/// Class and end of the token at `at`; no class for white space and comments. Every end lies on a
/// character: only ASCII bytes end a token, and other bytes are part of words.
fn next_token(bytes: &[u8], at: usize, dialect: Dialect) -> (Option<Class>, usize) {
    let next = bytes.get(at + 1).copied().unwrap_or(0);
    match bytes[at] {
        byte if byte.is_ascii_whitespace() => (None, at + 1),
        _ if bytes[at..].starts_with(BLANK.as_bytes()) => {
            (Some(Class::Placeholder), at + BLANK.len())
        }
        b'-' if next == b'-' => (None, until(bytes, at + 2, |byte| byte == b'\n')),
        b'/' if next == b'*' => {
            let end = bytes[at + 2..].windows(2).position(|pair| pair == b"*/");
            (None, end.map_or(bytes.len(), |end| at + 2 + end + 2))
        }
        b'\'' => (Some(Class::Other), quoted(bytes, at, b'\'')),
        b'"' => (Some(Class::Word), quoted(bytes, at, b'"')),
        b'`' => (Some(Class::Word), quoted(bytes, at, b'`')),
        b'[' if dialect == Dialect::Sqlite => (Some(Class::Word), quoted(bytes, at, b']')),
        b'$' if next.is_ascii_digit() => (Some(Class::Placeholder), name_end(bytes, at + 1)),
        b'?' => (Some(Class::Placeholder), name_end(bytes, at + 1)),
        b':' if next == b':' => (Some(Class::Other), at + 2),
        b':' | b'@' if is_name(next) => (Some(Class::Placeholder), name_end(bytes, at + 1)),
        b'%' if next == b's' => (Some(Class::Placeholder), at + 2),
        b'%' if next == b'(' => {
            let close = (until(bytes, at + 2, |byte| byte == b')') + 1).min(bytes.len());
            let end = close + usize::from(bytes.get(close) == Some(&b's'));
            (Some(Class::Placeholder), end)
        }
        byte if byte.is_ascii_digit() => (Some(Class::Other), name_end(bytes, at)),
        byte if is_name(byte) => (Some(Class::Word), name_end(bytes, at)),
        _ => (Some(Class::Other), at + 1),
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

fn name_end(bytes: &[u8], from: usize) -> usize {
    until(bytes, from, |byte| !is_name(byte))
}

fn until(bytes: &[u8], from: usize, stop: impl Fn(u8) -> bool) -> usize {
    let from = from.min(bytes.len());
    bytes[from..]
        .iter()
        .position(|&byte| stop(byte))
        .map_or(bytes.len(), |length| from + length)
}

/// Behind the closing quote; a doubled one is part of the text.
fn quoted(bytes: &[u8], at: usize, close: u8) -> usize {
    let mut place = at + 1;
    loop {
        place = until(bytes, place, |byte| byte == close) + 1;
        if place >= bytes.len() {
            return bytes.len();
        }
        if bytes[place] != close {
            return place;
        }
        place += 1;
    }
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
