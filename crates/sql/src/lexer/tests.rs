//! The lexer on texts that are easily cut wrongly.

use super::*;
use TokenKind::{
    Cast, Comma, Comment, Dot, LeftBracket, LeftParen, Number, Operator, Placeholder, Quoted,
    RightBracket, RightParen, Semicolon, String as Str, Word,
};

fn lex(sql: &str, dialect: Dialect) -> Vec<(TokenKind, &str)> {
    Lexer::new(sql, dialect)
        .map(|t| (t.kind, &sql[t.start..t.end]))
        .collect()
}

fn kinds(sql: &str, dialect: Dialect) -> Vec<TokenKind> {
    Lexer::new(sql, dialect).map(|t| t.kind).collect()
}

#[test]
fn strings_end_where_their_dialect_says() {
    use Dialect::{MySql, Postgres, Sqlite};
    assert_eq!(lex("'it''s' a", Sqlite), [(Str, "'it''s'"), (Word, "a")]);
    assert_eq!(lex(r"'a\' b", Sqlite), [(Str, r"'a\'"), (Word, "b")]);
    assert_eq!(lex(r"'a\' b", Postgres), [(Str, r"'a\'"), (Word, "b")]);
    assert_eq!(
        lex(r"E'a\' b' c", Postgres),
        [(Str, r"E'a\' b'"), (Word, "c")]
    );
    assert_eq!(lex(r"'a\' b' c", MySql), [(Str, r"'a\' b'"), (Word, "c")]);
    assert_eq!(lex(r#""a" b"#, MySql), [(Str, r#""a""#), (Word, "b")]);
    assert_eq!(lex("x'00ff' 1", Sqlite), [(Str, "x'00ff'"), (Number, "1")]);
    assert_eq!(
        lex("$$a 'b$$ c", Postgres),
        [(Str, "$$a 'b$$"), (Word, "c")]
    );
    assert_eq!(
        lex("$f$a $$ b$f$ c", Postgres),
        [(Str, "$f$a $$ b$f$"), (Word, "c")]
    );
    assert_eq!(
        lex("U&'d\\0061' c", Postgres),
        [(Str, "U&'d\\0061'"), (Word, "c")]
    );
    assert_eq!(lex("'open", Postgres), [(Str, "'open")]);
    assert_eq!(lex("$$open", Postgres), [(Str, "$$open")]);
}

#[test]
fn quoted_names_keep_their_quotes() {
    assert_eq!(
        lex(r#""a""b" `c` [d e]"#, Dialect::Sqlite),
        [(Quoted, r#""a""b""#), (Quoted, "`c`"), (Quoted, "[d e]")]
    );
    assert_eq!(
        kinds("a[1]", Dialect::Postgres),
        [Word, LeftBracket, Number, RightBracket]
    );
}

#[test]
fn comments_nest_only_in_postgres() {
    let text = "/* a /* b */ c */ d";
    assert_eq!(kinds(text, Dialect::Postgres), [Comment, Word]);
    assert_eq!(
        kinds(text, Dialect::Sqlite),
        [Comment, Word, Operator, Operator, Word]
    );
    assert_eq!(kinds("a -- b\nc", Dialect::Sqlite), [Word, Comment, Word]);
    assert_eq!(kinds("a # b\nc", Dialect::MySql), [Word, Comment, Word]);
    assert_eq!(
        kinds("a # b\nc", Dialect::Postgres),
        [Word, Operator, Word, Word]
    );
    assert_eq!(kinds("a /* b", Dialect::Sqlite), [Word, Comment]);
}

#[test]
fn numbers_in_every_spelling_are_one_token() {
    for number in [
        "1", "1.5", ".5", "1.", "1e9", "1.5E-3", "0xFF", "1_000", "0b01",
    ] {
        assert_eq!(
            lex(number, Dialect::Postgres),
            [(Number, number)],
            "{number}"
        );
    }
    assert_eq!(kinds("t.a", Dialect::Sqlite), [Word, Dot, Word]);
    assert_eq!(kinds("1..2", Dialect::Postgres), [Number, Dot, Number]);
}

#[test]
fn placeholders_in_every_spelling_are_one_token() {
    for text in [
        "?", "?12", "$1", ":name", "@name", "%s", "%(a)s", "%(a)d", "$name",
    ] {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let sql = format!("a={text}");
            let tokens = lex(&sql, dialect);
            assert_eq!(
                tokens,
                [(Word, "a"), (Operator, "="), (Placeholder, text)],
                "{sql}"
            );
        }
    }
    assert_eq!(
        kinds("$1::INTEGER", Dialect::Postgres),
        [Placeholder, Cast, Word]
    );
    assert_eq!(
        kinds("LIMIT ?;", Dialect::Postgres),
        [Word, Placeholder, Semicolon]
    );
    assert_eq!(
        kinds("(?,%s)", Dialect::Postgres),
        [LeftParen, Placeholder, Comma, Placeholder, RightParen]
    );
}

#[test]
fn a_question_mark_behind_an_operand_is_a_jsonb_operator_in_postgres() {
    let sql = "data ? 'a' AND d.x ?| $1 AND (y) ?& array['a'] AND z @? '$.a' AND w = ?";
    let operators: Vec<_> = lex(sql, Dialect::Postgres)
        .into_iter()
        .filter_map(|(kind, text)| (kind == Operator).then_some(text))
        .collect();
    assert_eq!(operators, ["?", "?|", "?&", "@?", "="]);
    assert_eq!(
        kinds("data ? 'a'", Dialect::Sqlite),
        [Word, Placeholder, Str]
    );
}

#[test]
fn operators_are_cut_as_the_database_cuts_them() {
    let operators = |sql: &str, dialect| -> Vec<String> {
        lex(sql, dialect)
            .into_iter()
            .filter(|(kind, _)| *kind == Operator)
            .map(|(_, text)| text.to_owned())
            .collect()
    };
    assert_eq!(operators("a=-1", Dialect::Postgres), ["=", "-"]);
    assert_eq!(operators("a->>'b'", Dialect::Postgres), ["->>"]);
    assert_eq!(
        operators("a #>> b !~~* c", Dialect::Postgres),
        ["#>>", "!~~*"]
    );
    assert_eq!(operators("a<@b", Dialect::Postgres), ["<@"]);
    assert_eq!(operators("a % b", Dialect::Postgres), ["%"]);
    assert_eq!(operators("a||%s", Dialect::Postgres), ["||"]);
    assert_eq!(operators("a<=b", Dialect::Sqlite), ["<="]);
    assert_eq!(operators("a[1:n]", Dialect::Postgres), [":"]);
}

#[test]
fn names_may_hold_letters_of_any_script() {
    assert_eq!(
        lex("größe = ñ", Dialect::Postgres),
        [(Word, "größe"), (Operator, "="), (Word, "ñ")]
    );
}
