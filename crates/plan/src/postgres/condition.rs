//! The conditions in PostgreSQL's plans: without values, and in the common form.

use speedwell_sql::{Dialect, Token, TokenKind};

/// What stands for any value.
const VALUE: &str = "?";

/// Words that go on with the name of a type: `timestamp with time zone`, `character varying`.
const TYPE_WORDS: [&str; 6] = ["with", "without", "time", "zone", "varying", "precision"];

/// A condition as it may be shown: every constant and parameter is `?`, what only repeats a type
/// or stands around the whole is left out.
pub(crate) fn shown(condition: &str) -> String {
    let pieces = pieces(condition);
    write(inside(&pieces))
}

/// The AND-ed parts of a condition, in the form of [`crate::PlanNode::constraints`].
pub(crate) fn parts(condition: &str) -> Vec<String> {
    let pieces = pieces(condition);
    split(inside(&pieces))
        .into_iter()
        .map(|part| common(inside(part)))
        .collect()
}

/// Columns that a condition casts to another type before it compares them: column and type.
pub(crate) fn casts(condition: &str) -> Vec<(String, String)> {
    let pieces = pieces(condition);
    let all = inside(&pieces);
    let mut found = Vec::new();
    for part in split(all) {
        let part = inside(part);
        let Some(at) = operator(part) else { continue };
        if !["=", "<", ">", "<=", ">="].contains(&part[at].text.as_str()) {
            continue;
        }
        let sides = [
            (&part[..at], &part[at + 1..]),
            (&part[at + 1..], &part[..at]),
        ];
        for (side, other) in sides {
            let is_value = !other.iter().any(|piece| piece.kind == Kind::Name);
            if let (Some((column, kind)), true) = (cast(side), is_value) {
                found.push((column, kind));
            }
        }
    }
    found
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    kind: Kind,
    text: String,
    /// Whether white space stood before it.
    spaced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    Name,
    Value,
    Operator,
    /// `::` with the type behind it.
    Cast,
    Comma,
    Dot,
    Other,
}

fn pieces(condition: &str) -> Vec<Piece> {
    let tokens: Vec<Token<'_>> = speedwell_sql::tokens(condition, Dialect::Postgres).collect();
    let mut pieces: Vec<Piece> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let spaced = at > 0 && tokens[at - 1].end() < token.start;
        let (kind, text, next) = match token.kind {
            TokenKind::Number | TokenKind::String | TokenKind::Placeholder => {
                (Kind::Value, VALUE.to_owned(), at + 1)
            }
            TokenKind::Cast => {
                let (name, next) = type_name(condition, &tokens, at + 1);
                if pieces.last().is_some_and(|last| last.kind == Kind::Value) {
                    at = next;
                    continue;
                }
                (Kind::Cast, name, next)
            }
            TokenKind::LeftParen | TokenKind::LeftBracket => {
                (Kind::Open, token.text.into(), at + 1)
            }
            TokenKind::RightParen | TokenKind::RightBracket => {
                (Kind::Close, token.text.into(), at + 1)
            }
            TokenKind::Word | TokenKind::Quoted => (Kind::Name, token.text.into(), at + 1),
            TokenKind::Operator => (Kind::Operator, token.text.into(), at + 1),
            TokenKind::Comma => (Kind::Comma, token.text.into(), at + 1),
            TokenKind::Dot => (Kind::Dot, token.text.into(), at + 1),
            TokenKind::Semicolon | TokenKind::Comment => (Kind::Other, token.text.into(), at + 1),
        };
        pieces.push(Piece { kind, text, spaced });
        at = next;
    }
    pieces
}

/// The type that is named at `at`, and the place behind it.
fn type_name(condition: &str, tokens: &[Token<'_>], at: usize) -> (String, usize) {
    let mut end = at + 1;
    while let Some(token) = tokens.get(end) {
        let goes_on = TYPE_WORDS.iter().any(|word| token.is_word(word));
        let array = token.kind == TokenKind::LeftBracket
            || token.kind == TokenKind::RightBracket
                && tokens[end - 1].kind == TokenKind::LeftBracket;
        if let Some(behind) = behind_size(tokens, end) {
            end = behind;
        } else if goes_on || array || token.kind == TokenKind::Dot {
            end += if token.kind == TokenKind::Dot { 2 } else { 1 };
        } else {
            break;
        }
    }
    let end = end.min(tokens.len());
    let text = match (
        tokens.get(at),
        end.checked_sub(1).and_then(|last| tokens.get(last)),
    ) {
        (Some(first), Some(last)) => condition.get(first.start..last.end()).unwrap_or_default(),
        _ => "",
    };
    (text.to_owned(), end.max(at))
}

/// The place behind `(50)` or `(10,2)` behind a type, if that stands at `open`.
fn behind_size(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    let number = Some(TokenKind::Number);
    match (kind(open), kind(open + 1), kind(open + 2)) {
        (Some(TokenKind::LeftParen), n, Some(TokenKind::RightParen)) if n == number => {
            Some(open + 3)
        }
        (Some(TokenKind::LeftParen), n, Some(TokenKind::Comma))
            if n == number
                && kind(open + 3) == number
                && kind(open + 4) == Some(TokenKind::RightParen) =>
        {
            Some(open + 5)
        }
        _ => None,
    }
}

/// Without the brackets around the whole.
fn inside(pieces: &[Piece]) -> &[Piece] {
    let mut pieces = pieces;
    while let [first, middle @ .., last] = pieces {
        let whole = first.kind == Kind::Open && last.kind == Kind::Close && {
            let mut depth = 0_i32;
            middle.iter().all(|piece| {
                match piece.kind {
                    Kind::Open => depth += 1,
                    Kind::Close => depth -= 1,
                    _ => {}
                }
                depth >= 0
            })
        };
        if !whole {
            break;
        }
        pieces = middle;
    }
    pieces
}

/// The parts between the outermost `AND`.
fn split(pieces: &[Piece]) -> Vec<&[Piece]> {
    let mut parts = Vec::new();
    let (mut depth, mut from) = (0_i32, 0);
    for (at, piece) in pieces.iter().enumerate() {
        match piece.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            Kind::Name if depth == 0 && piece.text == "AND" => {
                parts.push(&pieces[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pieces[from..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The outermost comparison.
fn operator(pieces: &[Piece]) -> Option<usize> {
    let mut depth = 0_i32;
    pieces.iter().position(|piece| {
        match piece.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ => {}
        }
        depth == 0
            && (piece.kind == Kind::Operator || piece.kind == Kind::Name && piece.text == "IS")
    })
}

/// `creator_id=?`, `(created_at,id)<(?,?)`, or the whole as shown.
fn common(part: &[Piece]) -> String {
    let Some(at) = operator(part) else {
        return match part {
            [name] if name.kind == Kind::Name => format!("{}=?", name.text),
            [not, rest @ ..] if not.text == "NOT" => match inside(rest) {
                [name] => format!("{}=?", name.text),
                _ => write(part),
            },
            _ => write(part),
        };
    };
    let left = part[..at].to_vec();
    let operator = match part[at].text.as_str() {
        "IS" => "=",
        "~=~" => "=",
        "~>=~" | "~>~" => ">",
        "~<=~" | "~<~" => "<",
        other => other,
    };
    if let [row, rest @ ..] = left.as_slice()
        && row.text == "ROW"
    {
        let columns: Vec<String> = row_columns(inside(rest));
        let values = vec![VALUE; columns.len()];
        return format!("({}){operator}({})", columns.join(","), values.join(","));
    }
    format!("{}{operator}?", compact(&left))
}

fn row_columns(pieces: &[Piece]) -> Vec<String> {
    pieces
        .split(|piece| piece.kind == Kind::Comma)
        .map(compact)
        .collect()
}

/// A column without its table, a cast and brackets; an expression without white space.
fn compact(side: &[Piece]) -> String {
    if let Some((column, _)) = cast(side) {
        return column;
    }
    match inside(side) {
        [name] => name.text.clone(),
        [_, dot, name] if dot.kind == Kind::Dot => name.text.clone(),
        other => other.iter().map(piece_text).collect(),
    }
}

/// `(column)::type`: both.
fn cast(side: &[Piece]) -> Option<(String, String)> {
    let side = inside(side);
    let (last, column) = side.split_last()?;
    let column = inside(column);
    let name = match column {
        [name] => name,
        [_, dot, name] if dot.kind == Kind::Dot => name,
        _ => return None,
    };
    (last.kind == Kind::Cast && name.kind == Kind::Name)
        .then(|| (unquoted(&name.text), last.text.clone()))
}

fn unquoted(name: &str) -> String {
    name.trim_matches('"').replace("\"\"", "\"")
}

fn piece_text(piece: &Piece) -> String {
    match piece.kind {
        Kind::Cast => format!("::{}", piece.text),
        _ => piece.text.clone(),
    }
}

fn write(pieces: &[Piece]) -> String {
    let mut text = String::new();
    for piece in pieces {
        if piece.spaced && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&piece_text(piece));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conditions_are_shown_without_values() {
        for (condition, expected) in [
            ("(status = 'secret'::text)", "status = ?"),
            (
                "((created_at < '2024-01-01 00:00:00+00'::timestamp with time zone) AND (id > 5))",
                "(created_at < ?) AND (id > ?)",
            ),
            ("(id = ANY ('{1,2}'::bigint[]))", "id = ANY (?)"),
            ("((id)::numeric = 5.5)", "(id)::numeric = ?"),
            (
                "(is_active AND (NOT is_read))",
                "is_active AND (NOT is_read)",
            ),
            ("((name)::text ~~ E'a\\\\b%'::text)", "(name)::text ~~ ?"),
            ("(lower((email)::text) = $1)", "lower((email)::text) = ?"),
            ("(price = '-5'::numeric(10,2))", "price = ?"),
        ] {
            assert_eq!(shown(condition), expected);
        }
    }

    #[test]
    fn parts_are_written_as_in_other_databases() {
        for (condition, expected) in [
            ("(id = $1)", vec!["id=?"]),
            (
                "((creator_id = $1) AND (created_at < $2))",
                vec!["creator_id=?", "created_at<?"],
            ),
            (
                "((is_active = true) AND (ROW(created_at, id) < ROW($1, $2)))",
                vec!["is_active=?", "(created_at,id)<(?,?)"],
            ),
            ("(flyer_id = p.id)", vec!["flyer_id=?"]),
            ("(id = ANY ($1))", vec!["id=?"]),
            ("((email)::text = $1)", vec!["email=?"]),
            (
                "(lower((email)::text) = $1)",
                vec!["lower((email)::text)=?"],
            ),
            ("(name IS NULL)", vec!["name=?"]),
            ("is_active", vec!["is_active=?"]),
            ("(NOT is_read)", vec!["is_read=?"]),
        ] {
            assert_eq!(parts(condition), expected, "{condition}");
        }
    }

    #[test]
    fn casts_of_columns_are_found() {
        let own = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let pairs = pairs.iter();
            pairs.map(|(a, b)| ((*a).into(), (*b).into())).collect()
        };
        for (condition, expected) in [
            ("((id)::numeric = $1)", own(&[("id", "numeric")])),
            (
                "(((f.id)::double precision > '5'::double precision) AND (a = 1))",
                own(&[("id", "double precision")]),
            ),
            ("(id = $1)", own(&[])),
            ("((a.id)::text = (b.ref)::text)", own(&[])),
        ] {
            assert_eq!(casts(condition), expected, "{condition}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*|[-()\\[\\]:'\" $1a-z.,=<>AND]*") {
            let _ = (shown(&text), parts(&text), casts(&text));
        }
    }
}
