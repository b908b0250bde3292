//! Which words are keywords, and which of them an operand follows.

/// Keywords that normalized text shows in capitals, sorted. Names that tables and columns
/// often bear (`name`, `type`, `date`, ...) are left out: capitals there would only confuse.
#[rustfmt::skip]
const KEYWORDS: [&str; 145] = [
    "ABORT", "ADD", "ALL", "ALTER", "ANALYSE", "ANALYZE", "AND", "ANY", "ARRAY", "AS", "ASC",
    "BEGIN", "BETWEEN", "BY", "CASCADE", "CASE", "CAST", "CHECK", "COLLATE", "COLUMN", "COMMIT",
    "CONFLICT", "CONSTRAINT", "CREATE", "CROSS", "CURRENT_DATE", "CURRENT_TIME",
    "CURRENT_TIMESTAMP", "DEFAULT", "DEFERRABLE", "DELETE", "DESC", "DISTINCT", "DO", "DROP",
    "DUPLICATE", "ELSE", "END", "ESCAPE", "EXCEPT", "EXCLUDE", "EXCLUSIVE", "EXISTS",
    "EXPLAIN", "FALSE", "FETCH", "FILTER", "FIRST", "FOLLOWING", "FOR", "FOREIGN", "FROM", "FULL",
    "GLOB", "GROUP", "HAVING", "IF", "IGNORE", "ILIKE", "IMMEDIATE", "IN", "INDEX", "INDEXED",
    "INNER", "INSERT", "INTERSECT", "INTERVAL", "INTO", "IS", "ISNULL", "JOIN", "KEY", "LAST",
    "LATERAL", "LEFT", "LIKE", "LIMIT", "LOCKED", "MATCH", "MATERIALIZED", "MERGE", "NATURAL",
    "NEXT", "NOT", "NOTHING", "NOTNULL", "NOWAIT", "NULL", "NULLS", "OFFSET", "ON", "ONLY", "OR",
    "ORDER", "ORDINALITY", "OUTER", "OVER", "PARTITION", "PLAN", "PRAGMA", "PRECEDING", "PRIMARY",
    "RANGE", "RECURSIVE", "REFERENCES", "RELEASE", "REPLACE", "RESTRICT", "RETURNING", "RIGHT",
    "ROLLBACK", "ROW", "ROWS", "SAVEPOINT", "SELECT", "SET", "SHARE", "SIMILAR", "SKIP", "SOME",
    "TABLE", "TABLESAMPLE", "TEMP", "TEMPORARY", "THEN", "TIES", "TO", "TRANSACTION", "TRIGGER",
    "TRUE", "TRUNCATE", "UNBOUNDED", "UNION", "UNIQUE", "UPDATE", "USING", "VACUUM", "VALUES",
    "VIEW", "WHEN", "WHERE", "WINDOW", "WITH", "WITHIN", "WITHOUT",
];

/// The longest keyword, in bytes.
const LONGEST: usize = 17;

/// Whether `word` is a keyword, in any case.
pub(crate) fn is_keyword(word: &[u8]) -> bool {
    let mut upper = [0u8; LONGEST];
    let Some(upper) = upper.get_mut(..word.len()) else {
        return false;
    };
    upper.copy_from_slice(word);
    upper.make_ascii_uppercase();
    KEYWORDS
        .binary_search_by(|known| known.as_bytes().cmp(upper))
        .is_ok()
}

/// Words behind which an operand stands, not an operator, so that `?` is a placeholder
/// and a sign belongs to the number.
const BEFORE_OPERAND: [&str; 48] = [
    "ALL",
    "AND",
    "ANY",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "COLLATE",
    "DEFAULT",
    "DISTINCT",
    "ELSE",
    "ESCAPE",
    "EXCEPT",
    "EXISTS",
    "FETCH",
    "FIRST",
    "FROM",
    "GLOB",
    "HAVING",
    "ILIKE",
    "IN",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "LIKE",
    "LIMIT",
    "MATCH",
    "NEXT",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "REGEXP",
    "RETURNING",
    "RLIKE",
    "SELECT",
    "SET",
    "SOME",
    "THEN",
    "TO",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Whether an operand follows `word` rather than an operator.
pub(crate) fn expects_operand(word: &[u8]) -> bool {
    word.len() <= 9
        && BEFORE_OPERAND
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_and_fit() {
        assert!(KEYWORDS.is_sorted());
        assert!(KEYWORDS.iter().all(|word| word.len() <= LONGEST));
        assert!(BEFORE_OPERAND.iter().all(|word| word.len() <= 9));
    }

    #[test]
    fn case_does_not_matter() {
        assert!(is_keyword(b"select") && is_keyword(b"SELECT") && is_keyword(b"Limit"));
        assert!(!is_keyword(b"users") && !is_keyword(b"a_very_long_name_indeed"));
        assert!(expects_operand(b"where") && !expects_operand(b"name"));
    }
}
