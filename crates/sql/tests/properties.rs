//! What must hold for every text and every statement, not only for those we thought of.

use proptest::prelude::*;
use speedwell_sql::{
    Dialect, Memo, Narrow, dependency, fingerprint, normalize, row_tags, shape, structure, tags,
    tokens,
};

const DIALECTS: [Dialect; 3] = [Dialect::Sqlite, Dialect::Postgres, Dialect::MySql];

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(DIALECTS.to_vec())
}

/// Calls everything that is public; the results do not matter.
fn use_all(text: &str, dialect: Dialect) {
    fingerprint(text, dialect);
    normalize(text, dialect);
    tags(text, dialect);
    shape(text, dialect);
    Memo::new(dialect, 1).digest(text);
    let _ = structure(text, dialect, &|_| vec!["a".to_owned()]);
    let narrow = Narrow::none().column("a", "b").column(text, text);
    dependency(text, dialect, &[Some(text), None], &narrow);
    row_tags(&narrow, text, &[(text, Some(text)), ("b", None)]);
}

/// Pieces of SQL that glued together make the lexer change its mind.
fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "SELECT", "FROM", "WHERE", "IN", "VALUES", "ARRAY", "NULL", "TRUE", "LIMIT", "AND", "ON",
        "a", "B", "\"Q\"", "`q`", "[s]", "t.x", "e", "U&", "'it''s'", "'", "\"", "$$", "$x$", "1",
        "-1", ".5", "1e9", "0x", "?", "?1", "$1", ":n", "@p", "%s", "%(a)s", "%", "@", "$", "…",
        "+", "-", "*", "/", "=", "<", "->>", "||", "::", ":", "?|", "(", ")", "[", "]", ",", ".",
        ";", "--", "/*", "*/", "#", "\\", " ", "\n", "é", "\0", "{", "(", ")", ",", " ", " ",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..24).prop_map(|pieces| pieces.concat())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        soup(),
        any::<String>(),
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    ]
}

const COLUMNS: [&str; 5] = ["id", "user_id", "created_at", "is_active", "Größe"];
const TABLES: [&str; 4] = ["users", "public.orders", "\"Flyers\"", "deals"];
const OPERATORS: [&str; 6] = ["=", "<>", "<", ">=", "LIKE", "||"];

/// A statement of which we know what counts and what does not.
#[derive(Debug, Clone)]
struct Known {
    column: usize,
    table: usize,
    operator: usize,
    descending: bool,
    placeholder: bool,
}

/// What does not count.
#[derive(Debug, Clone)]
struct Spelling {
    literal: String,
    list: Vec<String>,
    lower: bool,
    comment: bool,
    space: &'static str,
    semicolons: usize,
}

fn known() -> impl Strategy<Value = Known> {
    (
        0..COLUMNS.len(),
        0..TABLES.len(),
        0..OPERATORS.len(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(column, table, operator, descending, placeholder)| Known {
            column,
            table,
            operator,
            descending,
            placeholder,
        })
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u32>().prop_map(|number| format!("{number}.25e3")),
        "[a-z ?$:;,()%-]{0,12}".prop_map(|text| format!("'{text}'")),
        "[a-z]{0,5}".prop_map(|text| format!("'it''s {text}'")),
        Just("x'00ff'".to_owned()),
        Just("- 7".to_owned()),
    ]
}

fn spelling() -> impl Strategy<Value = Spelling> {
    (
        literal(),
        prop::collection::vec(literal(), 1..40),
        any::<bool>(),
        any::<bool>(),
        prop::sample::select(vec![" ", "\n", "\t  ", "\r\n  "]),
        0..3usize,
    )
        .prop_map(
            |(literal, list, lower, comment, space, semicolons)| Spelling {
                literal,
                list,
                lower,
                comment,
                space,
                semicolons,
            },
        )
}

fn write(known: &Known, spelling: &Spelling) -> String {
    let word = |word: &str| {
        if spelling.lower {
            word.to_lowercase()
        } else {
            word.to_owned()
        }
    };
    let list = if known.placeholder {
        vec!["?".to_owned(); spelling.list.len()].join(", ")
    } else {
        spelling.list.join(" , ")
    };
    let parts = [
        word("SELECT"),
        COLUMNS[known.column].to_owned(),
        word("FROM"),
        TABLES[known.table].to_owned(),
        word("WHERE"),
        word("A"),
        OPERATORS[known.operator].to_owned(),
        spelling.literal.clone(),
        word("AND B IN"),
        format!("({list})"),
        word("ORDER BY ID"),
        word(if known.descending { "DESC" } else { "ASC" }),
        word("LIMIT 5, 10"),
    ];
    let between = if spelling.comment {
        format!("{}/* a ; ' comment */{}", spelling.space, spelling.space)
    } else {
        spelling.space.to_owned()
    };
    format!(
        "{}{}",
        parts.join(&between),
        ";".repeat(spelling.semicolons)
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_anything_panic(text in any_text(), dialect in dialect()) {
        use_all(&text, dialect);
    }

    #[test]
    fn tokens_are_slices_of_the_text_in_its_order(text in any_text(), dialect in dialect()) {
        let mut end = 0;
        for token in tokens(&text, dialect) {
            prop_assert!(token.start >= end && !token.text.is_empty());
            prop_assert_eq!(&text[token.start..token.end()], token.text);
            prop_assert_eq!(token.name().is_some(), token.is_name());
            end = token.end();
        }
    }

    #[test]
    fn normalizing_twice_is_normalizing_once(text in any_text(), dialect in dialect()) {
        let once = normalize(&text, dialect);
        prop_assert_eq!(normalize(&once, dialect), once);
    }

    #[test]
    fn the_normal_text_has_the_fingerprint_of_its_statement(
        text in any_text(),
        dialect in dialect(),
    ) {
        let normal = normalize(&text, dialect);
        prop_assert_eq!(fingerprint(&normal, dialect), fingerprint(&text, dialect), "{}", normal);
    }

    #[test]
    fn texts_with_one_fingerprint_have_one_normal_text(
        one in soup(),
        two in soup(),
        dialect in dialect(),
    ) {
        prop_assert_eq!(
            fingerprint(&one, dialect) == fingerprint(&two, dialect),
            normalize(&one, dialect) == normalize(&two, dialect)
        );
    }

    #[test]
    fn spelling_does_not_change_a_fingerprint(
        known in known(),
        one in spelling(),
        two in spelling(),
        dialect in dialect(),
    ) {
        let (one, two) = (write(&known, &one), write(&known, &two));
        prop_assert_eq!(fingerprint(&one, dialect), fingerprint(&two, dialect), "{}\n{}", one, two);
        prop_assert_eq!(normalize(&one, dialect), normalize(&two, dialect));
    }

    #[test]
    fn tables_columns_operators_and_order_change_a_fingerprint(
        one in known(),
        two in known(),
        spelling in spelling(),
        dialect in dialect(),
    ) {
        let same = format!("{one:?}") == format!("{two:?}");
        let (one, two) = (write(&one, &spelling), write(&two, &spelling));
        prop_assert_eq!(
            fingerprint(&one, dialect) == fingerprint(&two, dialect),
            same,
            "{}\n{}", one, two
        );
    }

    #[test]
    fn a_statement_cut_anywhere_still_has_a_fingerprint(
        known in known(),
        spelling in spelling(),
        cut in any::<prop::sample::Index>(),
        dialect in dialect(),
    ) {
        let text = write(&known, &spelling);
        let bytes = &text.as_bytes()[..cut.index(text.len() + 1)];
        use_all(&String::from_utf8_lossy(bytes), dialect);
    }

    #[test]
    fn the_memo_says_what_the_functions_say(
        texts in prop::collection::vec(prop_oneof![soup(), Just("SELECT 1 /*a='b'*/".to_owned())], 1..60),
        capacity in 0..20usize,
        dialect in dialect(),
    ) {
        let memo = Memo::new(dialect, capacity);
        for text in texts.iter().chain(&texts) {
            let digest = memo.digest(text);
            prop_assert_eq!(digest.fingerprint, fingerprint(text, dialect));
            prop_assert_eq!(digest.fingerprint, fingerprint(&digest.text, dialect));
            prop_assert_eq!(&digest.tags, &tags(text, dialect));
            prop_assert_eq!(digest.has_placeholders, shape(text, dialect).placeholders > 0);
            prop_assert!(memo.len() <= capacity);
        }
    }
}

#[test]
fn every_cut_of_real_statements_is_survived() {
    let statements = [
        "SELECT E'a\\'b', $tag$ x $$ y $tag$, U&\"d\\0061t\" FROM t /* a /* b */ */ WHERE \
         j ?| array['a'] AND k = ANY($1::int[]) -- end",
        "INSERT OR REPLACE INTO \"größe\" (a, [b c]) VALUES (?1, x'00', -1.5e-3), (:a, @b, NULL)",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT * FROM c LIMIT 5, 10",
    ];
    for statement in statements {
        for end in 0..=statement.len() {
            let text = String::from_utf8_lossy(&statement.as_bytes()[..end]);
            for dialect in DIALECTS {
                use_all(&text, dialect);
            }
        }
    }
}

#[test]
fn long_and_deep_texts_are_survived() {
    let depth = 20_000;
    let texts = [
        "(".repeat(depth),
        "[".repeat(depth),
        "IN (".repeat(depth),
        "VALUES (".repeat(depth),
        "-".repeat(depth),
        "- ".repeat(depth),
        "/*".repeat(depth),
        "%(".repeat(depth),
        "$a".repeat(depth),
        "a AND ".repeat(depth),
        "NOT ".repeat(depth),
        format!("SELECT 1 WHERE {} b", "a = 1 AND ".repeat(450)),
        format!("SELECT 1 IN ({})", vec!["f(a)"; 5_000].join(",")),
    ];
    for text in texts {
        for dialect in DIALECTS {
            use_all(&text, dialect);
        }
    }
}
