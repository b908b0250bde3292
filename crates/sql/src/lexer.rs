//! The lexer: cuts a text into tokens, whatever the text is.
//!
//! It is total. Every byte belongs to white space or to exactly one token, a string,
//! quoted name or comment without an end runs to the end of the text, and a byte that
//! means nothing in SQL is an operator of its own. Cuts are made at ASCII bytes only
//! (all others are part of names), so a token of a `&str` is a `&str`.

use crate::Dialect;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A keyword or an unquoted name.
    Word,
    /// A quoted name, quotes included.
    Quoted,
    /// A number, or the mark that stands for a literal in normalized text.
    Number,
    /// A string or blob, quotes and prefix included.
    String,
    /// A placeholder, in any spelling.
    Placeholder,
    /// An operator, or a byte that means nothing.
    Operator,
    /// `::`
    Cast,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `[`
    LeftBracket,
    /// `]`
    RightBracket,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `;`
    Semicolon,
    /// A comment, delimiters included.
    Comment,
}

/// A token: what it is and which bytes of the text it covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The mark that stands for a literal in normalized text. The lexer reads it as one.
pub(crate) const LITERAL_MARK: &str = "…";

/// The longest name read in `%(name)s`, in bytes.
const LONGEST_PYTHON_NAME: usize = 128;

const SPACE: u8 = 1;
const WORD_START: u8 = 2;
const WORD: u8 = 4;
const DIGIT: u8 = 8;
/// The bytes PostgreSQL builds operators from, without `?` and the back quote.
const OPERATOR: u8 = 16;

/// What each byte can be part of.
static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = match b {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => WORD_START | WORD,
            b'0'..=b'9' => DIGIT | WORD,
            b'$' => WORD,
            b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%'
            | b'^' | b'&' | b'|' => OPERATOR,
            _ => 0,
        };
        byte += 1;
    }
    table
}

#[inline]
fn is(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

/// Operators of more than one byte outside PostgreSQL, longest first.
const FIXED_OPERATORS: [&[u8]; 13] = [
    b"->>", b"<=>", b"||", b"<=", b">=", b"<>", b"!=", b"==", b"<<", b">>", b"->", b"&&", b":=",
];

/// Operators of PostgreSQL that begin with `?`, longest first. `??` is how JDBC escapes them.
const QUESTION_OPERATORS: [&[u8]; 9] = [
    b"??|", b"??&", b"?||", b"?-|", b"??", b"?|", b"?&", b"?-", b"?#",
];

/// An iterator over the tokens of a text, comments included, white space left out.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    dialect: Dialect,
    /// The last token that was not a comment, to tell `a ? b` from `a = ?`.
    previous: Option<Token>,
    open_brackets: usize,
}

impl<'a> Lexer<'a> {
    /// A lexer at the beginning of `text`.
    #[inline]
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            text: text.as_bytes(),
            at: 0,
            dialect,
            previous: None,
            open_brackets: 0,
        }
    }

    /// The byte at `index`, or 0 behind the end.
    #[inline]
    fn byte(&self, index: usize) -> u8 {
        self.text.get(index).copied().unwrap_or(0)
    }

    #[inline]
    fn starts_with(&self, index: usize, prefix: &[u8]) -> bool {
        self.text
            .get(index..)
            .is_some_and(|rest| rest.starts_with(prefix))
    }

    /// The first index from `index` on whose byte is not of `class`.
    #[inline]
    fn past(&self, index: usize, class: u8) -> usize {
        let rest = self.text.get(index..).unwrap_or_default();
        index
            + rest
                .iter()
                .position(|&b| !is(b, class))
                .unwrap_or(rest.len())
    }

    /// Whether the token before this one ends an operand, so that an operator must follow.
    fn after_operand(&self) -> bool {
        self.previous
            .is_some_and(|token| ends_operand(self.text, token))
    }

    /// Kind and end of the token that begins at `start`.
    fn token_at(&self, start: usize) -> (TokenKind, usize) {
        let first = self.byte(start);
        match first {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => self.word(start),
            b'0'..=b'9' => (TokenKind::Number, self.number(start)),
            b'(' => (TokenKind::LeftParen, start + 1),
            b')' => (TokenKind::RightParen, start + 1),
            b',' => (TokenKind::Comma, start + 1),
            b';' => (TokenKind::Semicolon, start + 1),
            b'.' if is(self.byte(start + 1), DIGIT) && !self.after_name(start) => {
                (TokenKind::Number, self.number(start))
            }
            b'.' => (TokenKind::Dot, start + 1),
            b'\'' => {
                let backslash = self.dialect == Dialect::MySql;
                (TokenKind::String, self.quoted(start, b'\'', backslash))
            }
            b'"' if self.dialect == Dialect::MySql => {
                (TokenKind::String, self.quoted(start, b'"', true))
            }
            b'"' | b'`' => (TokenKind::Quoted, self.quoted(start, first, false)),
            b'[' if self.dialect == Dialect::Sqlite => (TokenKind::Quoted, self.bracketed(start)),
            b'[' => (TokenKind::LeftBracket, start + 1),
            b']' => (TokenKind::RightBracket, start + 1),
            b'-' if self.byte(start + 1) == b'-' => (TokenKind::Comment, self.line_end(start)),
            b'/' if self.byte(start + 1) == b'*' => (TokenKind::Comment, self.comment(start)),
            b'#' if self.dialect == Dialect::MySql => (TokenKind::Comment, self.line_end(start)),
            b'$' => self.dollar(start),
            b':' => self.colon(start),
            b'?' => self.question(start),
            b'@' | b'%' => self.at_or_percent(start),
            _ => (TokenKind::Operator, self.operator(start)),
        }
    }

    /// Whether a `.` here joins two parts of a name: `t.1` is odd, but no number.
    fn after_name(&self, start: usize) -> bool {
        self.previous.is_some_and(|token| {
            token.end == start && matches!(token.kind, TokenKind::Word | TokenKind::Quoted)
        })
    }

    #[inline]
    fn word(&self, start: usize) -> (TokenKind, usize) {
        if self.starts_with(start, LITERAL_MARK.as_bytes()) {
            return (TokenKind::Number, start + LITERAL_MARK.len());
        }
        let end = self.past(start, WORD);
        match self.byte(end) {
            b'\'' if end == start + 1 => self.prefixed_string(start),
            b'&' if end == start + 1 && self.dialect == Dialect::Postgres => {
                self.unicode_escaped(start)
            }
            _ => (TokenKind::Word, end),
        }
    }

    /// `E'..'`, `X'..'`, `B'..'`, `N'..'`, or a word of one letter that a string follows.
    fn prefixed_string(&self, start: usize) -> (TokenKind, usize) {
        let backslash = match self.byte(start).to_ascii_lowercase() {
            b'x' | b'b' | b'n' => self.dialect == Dialect::MySql,
            b'e' if self.dialect == Dialect::Postgres => true,
            _ => return (TokenKind::Word, start + 1),
        };
        (TokenKind::String, self.quoted(start + 1, b'\'', backslash))
    }

    /// `U&'..'` and `U&".."`.
    fn unicode_escaped(&self, start: usize) -> (TokenKind, usize) {
        if !self.byte(start).eq_ignore_ascii_case(&b'u') {
            return (TokenKind::Word, start + 1);
        }
        match self.byte(start + 2) {
            b'\'' => (TokenKind::String, self.quoted(start + 2, b'\'', false)),
            b'"' => (TokenKind::Quoted, self.quoted(start + 2, b'"', false)),
            _ => (TokenKind::Word, start + 1),
        }
    }

    /// The end of a number: `12`, `1_000`, `0xff`, `.5`, `1.5e-3`.
    fn number(&self, start: usize) -> usize {
        if self.byte(start) == b'0'
            && matches!(
                self.byte(start + 1),
                b'x' | b'X' | b'o' | b'O' | b'b' | b'B'
            )
            && self.byte(start + 2).is_ascii_hexdigit()
        {
            let rest = &self.text[start + 2..];
            let stop = rest
                .iter()
                .position(|b| !(b.is_ascii_hexdigit() || *b == b'_'));
            return start + 2 + stop.unwrap_or(rest.len());
        }
        let mut end = self.digits(start);
        if self.byte(end) == b'.' && self.byte(end + 1) != b'.' {
            end = self.digits(end + 1);
        }
        if matches!(self.byte(end), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            if is(self.byte(end + 1 + sign), DIGIT) {
                end = self.digits(end + 1 + sign);
            }
        }
        end
    }

    fn digits(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let stop = rest.iter().position(|b| !(is(*b, DIGIT) || *b == b'_'));
        start + stop.unwrap_or(rest.len())
    }

    /// The end of what opens with a quote at `start`; a doubled quote does not close it.
    fn quoted(&self, start: usize, quote: u8, backslash: bool) -> usize {
        let mut at = start + 1;
        while let Some(&byte) = self.text.get(at) {
            if byte == quote {
                if self.byte(at + 1) != quote {
                    return at + 1;
                }
                at += 2;
            } else if byte == b'\\' && backslash {
                at += 2;
            } else {
                at += 1;
            }
        }
        self.text.len()
    }

    fn bracketed(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        rest.iter()
            .position(|&b| b == b']')
            .map_or(self.text.len(), |stop| start + stop + 1)
    }

    fn line_end(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        rest.iter()
            .position(|&b| b == b'\n')
            .map_or(self.text.len(), |stop| start + stop)
    }

    /// The end of a block comment; PostgreSQL nests them.
    fn comment(&self, start: usize) -> usize {
        let mut at = start + 2;
        let mut depth = 1;
        while at < self.text.len() {
            match (self.byte(at), self.byte(at + 1)) {
                (b'*', b'/') => {
                    depth -= 1;
                    at += 2;
                    if depth == 0 {
                        return at;
                    }
                }
                (b'/', b'*') if self.dialect == Dialect::Postgres => {
                    depth += 1;
                    at += 2;
                }
                _ => at += 1,
            }
        }
        self.text.len()
    }

    /// `$1`, `$name`, and in PostgreSQL `$tag$ .. $tag$`.
    fn dollar(&self, start: usize) -> (TokenKind, usize) {
        let end = self.name_without_dollar(start + 1);
        let digits_first = is(self.byte(start + 1), DIGIT);
        if self.dialect == Dialect::Postgres && self.byte(end) == b'$' && !digits_first {
            let tag = &self.text[start..=end];
            let body = &self.text[end + 1..];
            let stop = body.windows(tag.len()).position(|window| window == tag);
            let end = stop.map_or(self.text.len(), |stop| end + 1 + stop + tag.len());
            return (TokenKind::String, end);
        }
        if end == start + 1 {
            return (TokenKind::Operator, end);
        }
        let end = if digits_first {
            self.past(start + 1, DIGIT)
        } else {
            end
        };
        (TokenKind::Placeholder, end)
    }

    fn name_without_dollar(&self, start: usize) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        let stop = rest.iter().position(|&b| !is(b, WORD) || b == b'$');
        start + stop.unwrap_or(rest.len())
    }

    /// `::`, `:=`, `:name`, `:1`, or the colon of an array slice.
    fn colon(&self, start: usize) -> (TokenKind, usize) {
        let next = self.byte(start + 1);
        if next == b':' {
            return (TokenKind::Cast, start + 2);
        }
        if next == b'=' {
            return (TokenKind::Operator, start + 2);
        }
        let slice = self.open_brackets > 0 && self.after_operand();
        if is(next, WORD_START | DIGIT) && !slice {
            return (TokenKind::Placeholder, self.past(start + 1, WORD));
        }
        (TokenKind::Operator, start + 1)
    }

    /// `?`, `?1`, or in PostgreSQL behind an operand one of the jsonb operators.
    fn question(&self, start: usize) -> (TokenKind, usize) {
        if self.dialect == Dialect::Postgres && self.after_operand() {
            let known = QUESTION_OPERATORS
                .iter()
                .find(|known| self.starts_with(start, known));
            return (
                TokenKind::Operator,
                start + known.map_or(1, |known| known.len()),
            );
        }
        (TokenKind::Placeholder, self.past(start + 1, DIGIT))
    }

    /// `@name`, `@@name` (MySQL), `%s`, `%(name)s`, or an operator.
    fn at_or_percent(&self, start: usize) -> (TokenKind, usize) {
        if self.dialect == Dialect::MySql
            && self.starts_with(start, b"@@")
            && is(self.byte(start + 2), WORD_START)
        {
            return (TokenKind::Word, self.past(start + 2, WORD));
        }
        if !self.after_operand() {
            if self.byte(start) == b'@' && is(self.byte(start + 1), WORD_START) {
                return (TokenKind::Placeholder, self.past(start + 1, WORD));
            }
            if let Some(end) = self.percent_placeholder(start) {
                return (TokenKind::Placeholder, end);
            }
        }
        (TokenKind::Operator, self.operator(start))
    }

    /// The end of `%s`, `%b`, `%t`, `%d` or `%(name)s` at `start`, as Python's drivers write them.
    fn percent_placeholder(&self, start: usize) -> Option<usize> {
        if self.byte(start) != b'%' {
            return None;
        }
        let mut at = start + 1;
        if self.byte(at) == b'(' {
            // A name has a bound, or a text of many `%(` would be read as many times.
            let name = &self.text[at..self.text.len().min(at + LONGEST_PYTHON_NAME)];
            let close = name.iter().position(|&b| b == b')')?;
            if name[..close].iter().any(|&b| is(b, SPACE)) {
                return None;
            }
            at += close + 1;
        }
        let letter = matches!(self.byte(at), b's' | b'd' | b'b' | b't');
        (letter && !is(self.byte(at + 1), WORD)).then_some(at + 1)
    }

    fn operator(&self, start: usize) -> usize {
        if self.dialect != Dialect::Postgres {
            let known = FIXED_OPERATORS
                .iter()
                .find(|known| self.starts_with(start, known));
            return start + known.map_or(1, |known| known.len());
        }
        if !is(self.byte(start), OPERATOR) {
            return start + 1;
        }
        let mut end = start + 1;
        while self.extends_operator(end) {
            end += 1;
        }
        // `a @? 'path'` is the only operator in which the question mark is not the first.
        if self.byte(end) == b'?' && self.byte(end - 1) == b'@' {
            return end + 1;
        }
        // PostgreSQL's own rule, so that `a=-1` is `=` and `-`: an operator of several bytes
        // ends in a sign only if it holds one of these.
        let special = |b: &u8| b"~!@#%^&|".contains(b);
        while end > start + 1
            && matches!(self.byte(end - 1), b'+' | b'-')
            && !self.text[start..end].iter().any(special)
        {
            end -= 1;
        }
        end
    }

    /// Whether the byte at `at` continues the operator before it, in PostgreSQL.
    fn extends_operator(&self, at: usize) -> bool {
        let byte = self.byte(at);
        if !is(byte, OPERATOR) {
            return false;
        }
        match byte {
            b'-' => self.byte(at + 1) != b'-',
            b'/' => self.byte(at + 1) != b'*',
            b'%' => self.percent_placeholder(at).is_none(),
            b'@' => !is(self.byte(at + 1), WORD_START) || self.byte(at - 1) == b'<',
            _ => true,
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        let start = self.past(self.at, SPACE);
        if start >= self.text.len() {
            self.at = self.text.len();
            return None;
        }
        let (kind, end) = self.token_at(start);
        let end = end.min(self.text.len());
        let token = Token { kind, start, end };
        self.at = end;
        match kind {
            TokenKind::Comment => return Some(token),
            TokenKind::LeftBracket => self.open_brackets += 1,
            TokenKind::RightBracket => self.open_brackets = self.open_brackets.saturating_sub(1),
            _ => {}
        }
        self.previous = Some(token);
        Some(token)
    }
}

/// Whether `token` ends an operand, so that an operator may follow and a sign is not unary.
pub(crate) fn ends_operand(text: &[u8], token: Token) -> bool {
    match token.kind {
        TokenKind::Word => !crate::keyword::expects_operand(&text[token.start..token.end]),
        TokenKind::Quoted
        | TokenKind::Number
        | TokenKind::String
        | TokenKind::Placeholder
        | TokenKind::RightParen
        | TokenKind::RightBracket => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
