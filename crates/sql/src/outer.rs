//! The outermost statement of a text: its kind, and the clauses that are its own.

use crate::lexer::TokenKind;
use crate::shape::Kind;
use crate::tokens::Tokens;

/// The outermost statement: what kind it is and which tokens it covers.
pub(crate) struct Outer {
    pub(crate) kind: Kind,
    /// The word that begins the main statement, behind `WITH` and `EXPLAIN`.
    pub(crate) from: usize,
    /// Behind its last token.
    pub(crate) to: usize,
    /// Whether an `EXPLAIN` stands before it.
    pub(crate) explained: bool,
}

impl Outer {
    pub(crate) fn of(tokens: &Tokens<'_>) -> Self {
        let (mut from, mut to) = (0, tokens.len());
        while tokens.is(from, TokenKind::Semicolon) {
            from += 1;
        }
        if let Some(semicolon) = tokens
            .outer(from, to)
            .find(|&index| tokens.is(index, TokenKind::Semicolon))
        {
            to = semicolon;
        }
        let explained = tokens.word(from, "EXPLAIN");
        if explained {
            from = skip_explain(tokens, from + 1);
        }
        // A whole statement in brackets: the outermost query is the one inside.
        while tokens.is(from, TokenKind::LeftParen) && tokens.after(from) >= to {
            to = to.min(tokens.end_of(from));
            from += 1;
        }
        from = skip_with(tokens, from, to);
        let mut first = from;
        while tokens.is(first, TokenKind::LeftParen) {
            first += 1;
        }
        let kind = if explained {
            Kind::Utility
        } else {
            kind_of(tokens, first)
        };
        Self {
            kind,
            from,
            to,
            explained,
        }
    }

    /// The keyword `word` of the outermost statement itself, not of a nested query.
    pub(crate) fn find(&self, tokens: &Tokens<'_>, word: &str) -> Option<usize> {
        self.clauses(tokens).find(|&index| tokens.word(index, word))
    }

    /// Outermost words that are not the second part of a qualified name.
    pub(crate) fn clauses<'a>(&self, tokens: &'a Tokens<'a>) -> impl Iterator<Item = usize> + 'a {
        tokens.outer(self.from, self.to).filter(|&index| {
            tokens.is(index, TokenKind::Word)
                && !(index > 0 && tokens.is(index - 1, TokenKind::Dot))
        })
    }
}

fn skip_explain(tokens: &Tokens<'_>, mut at: usize) -> usize {
    while tokens.any_word(at, &["ANALYZE", "ANALYSE", "VERBOSE", "QUERY", "PLAN"])
        || (tokens.is(at, TokenKind::LeftParen) && !tokens.begins_query(at + 1))
    {
        at = tokens.after(at);
    }
    at
}

/// The index of the main statement behind the common table expressions.
fn skip_with(tokens: &Tokens<'_>, from: usize, to: usize) -> usize {
    if !tokens.word(from, "WITH") {
        return from;
    }
    let mains = [
        "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "VALUES", "TABLE",
    ];
    let mut behind_body = false;
    for index in tokens.outer(from + 1, to) {
        let bracket = tokens.is(index, TokenKind::LeftParen);
        // `WITH a AS (..) (SELECT ..)`: the second bracket in a row is the query.
        if behind_body && (bracket || tokens.any_word(index, &mains)) {
            return index;
        }
        behind_body = bracket;
    }
    from
}

fn kind_of(tokens: &Tokens<'_>, first: usize) -> Kind {
    if !tokens.is(first, TokenKind::Word) {
        return Kind::Other;
    }
    match tokens.text(first).to_ascii_uppercase().as_str() {
        "SELECT" | "VALUES" | "TABLE" => Kind::Select,
        "INSERT" | "REPLACE" => Kind::Insert,
        "UPDATE" | "MERGE" => Kind::Update,
        "DELETE" => Kind::Delete,
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "END" | "ABORT" => {
            Kind::Transaction
        }
        "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "RENAME" | "COMMENT" | "GRANT" | "REVOKE" => {
            Kind::Definition
        }
        "PRAGMA" | "SET" | "SHOW" | "RESET" | "EXPLAIN" | "ANALYZE" | "ANALYSE" | "VACUUM"
        | "REINDEX" | "CLUSTER" | "CHECKPOINT" | "DISCARD" | "LISTEN" | "UNLISTEN" | "NOTIFY"
        | "LOAD" | "LOCK" | "COPY" | "PREPARE" | "EXECUTE" | "DEALLOCATE" | "DECLARE" | "FETCH"
        | "MOVE" | "CLOSE" | "ATTACH" | "DETACH" | "REFRESH" | "USE" | "DESCRIBE" | "DESC"
        | "OPTIMIZE" | "CALL" | "DO" => Kind::Utility,
        _ => Kind::Other,
    }
}
