//! The canonical form of a statement: what is left when literals, list lengths,
//! comments, case and white space are taken away.
//!
//! The form is written twice from the same walk over the tokens: as compact bytes that
//! are hashed into the fingerprint, and as text for people (the forms of [`crate::form`]).
//! The text reads back as the same tokens, so both are stable under repetition.

use crate::Dialect;
use crate::form::{Form, Piece, ends_operand};
use crate::lexer::{Lexer, Token, TokenKind};

/// How many different elements of one list are remembered to find repeated ones. Real lists
/// have one or two; the bound keeps a list of thousands of distinct expressions linear.
const REMEMBERED_ELEMENTS: usize = 16;

/// What an open bracket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// A list that collapses: `IN (..)`, `ARRAY[..]`, or a row inside one.
    List,
    /// A row of `VALUES`: a list, in which `NULL` is a value like others.
    ValuesRow,
    /// The rows behind `VALUES`; it has no bracket of its own.
    ValuesRows,
    /// Anything else: order and number of its parts count.
    Plain,
}

/// An open bracket and, for a list, the element being written.
#[derive(Debug, Clone, Copy)]
struct Frame {
    bracket: Bracket,
    /// Index of this list's first element in `Scratch::elements`.
    first_element: usize,
    /// Where the separator before the current element begins in the output.
    separator: usize,
    /// Where the current element begins in the output.
    element: usize,
    /// How many pieces the current element has, not counting what is nested.
    pieces: usize,
    /// Whether the current element is, so far, one literal or one placeholder.
    constant: bool,
}

/// Buffers that are used again for the next statement.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The canonical form.
    pub(crate) out: Vec<u8>,
    frames: Vec<Frame>,
    /// Elements of the open lists, as ranges of `out`.
    elements: Vec<(usize, usize)>,
}

/// Above this size a buffer is given back rather than kept for the next statement.
const KEPT_BYTES: usize = 256 * 1024;

impl Scratch {
    fn clear(&mut self) {
        if self.out.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
        self.out.clear();
        self.frames.clear();
        self.elements.clear();
    }
}

/// Writes the canonical form of `sql` to `scratch.out`.
pub(crate) fn write_form<F: Form>(sql: &str, dialect: Dialect, scratch: &mut Scratch) {
    scratch.clear();
    let mut writer = Writer::<F>::new(sql.as_bytes(), dialect, scratch);
    for token in Lexer::new(sql, dialect) {
        if token.kind != TokenKind::Comment {
            writer.token(token);
        }
    }
    writer.finish();
}

/// Signs in front of something that may turn out to be a literal.
#[derive(Debug, Clone, Copy, Default)]
struct Signs {
    count: u32,
    /// Bit `i` is set if sign `i` is a minus.
    minus: u64,
}

impl Signs {
    /// More than 64 signs in a row say nothing that 64 do not.
    fn push(&mut self, minus: bool) {
        if self.count < u64::BITS {
            self.minus |= u64::from(minus) << self.count;
            self.count += 1;
        }
    }
}

struct Writer<'a, F> {
    text: &'a [u8],
    dialect: Dialect,
    scratch: &'a mut Scratch,
    previous: Option<Piece<'a>>,
    signs: Signs,
    /// A `;` was read; it is written only if something follows it.
    pending_semicolon: bool,
    /// A `,` was read behind a row of `VALUES`; it may separate rows or end them.
    pending_row_comma: bool,
    /// The `+` of a collapsed list in text that is canonical already.
    pending_many: bool,
    form: std::marker::PhantomData<F>,
}

impl<'a, F: Form> Writer<'a, F> {
    fn new(text: &'a [u8], dialect: Dialect, scratch: &'a mut Scratch) -> Self {
        Self {
            text,
            dialect,
            scratch,
            previous: None,
            signs: Signs::default(),
            pending_semicolon: false,
            pending_row_comma: false,
            pending_many: false,
            form: std::marker::PhantomData,
        }
    }

    #[inline]
    fn token(&mut self, token: Token) {
        let text = &self.text[token.start..token.end];
        if token.kind == TokenKind::Semicolon {
            self.pending_semicolon = self.previous.is_some() || self.signs.count > 0;
            return;
        }
        if self.pending_semicolon {
            self.settle_semicolon();
        }
        if self.signs.count > 0 && self.settle_signs(token, text) {
            return;
        }
        self.settle_many(token.kind);
        match token.kind {
            TokenKind::Word => self.word(text),
            TokenKind::Quoted => self.piece(Piece::Quoted(text)),
            TokenKind::Number | TokenKind::String => self.piece(Piece::Literal),
            TokenKind::Placeholder => self.piece(Piece::Placeholder),
            TokenKind::Operator => self.operator(text),
            TokenKind::LeftParen | TokenKind::LeftBracket => self.open(token.kind),
            TokenKind::RightParen | TokenKind::RightBracket => self.close(token.kind),
            TokenKind::Comma => self.comma(),
            TokenKind::Dot | TokenKind::Cast => self.piece(Piece::Mark(token.kind)),
            TokenKind::Semicolon | TokenKind::Comment => {}
        }
    }

    /// Decides what the signs before `token` were. True if `token` is thereby dealt with.
    fn settle_signs(&mut self, token: Token, text: &[u8]) -> bool {
        match token.kind {
            TokenKind::Number | TokenKind::String => self.signs = Signs::default(),
            TokenKind::Operator if text == b"-" || text == b"+" => {
                self.signs.push(text == b"-");
                return true;
            }
            _ => self.write_signs(),
        }
        false
    }

    /// Writes held signs as operators: no literal followed.
    fn write_signs(&mut self) {
        let signs = std::mem::take(&mut self.signs);
        for i in 0..signs.count {
            let sign: &'static [u8] = if signs.minus >> i & 1 == 1 {
                b"-"
            } else {
                b"+"
            };
            self.piece(Piece::Operator(sign));
        }
    }

    /// Decides what a `+` behind a constant in a list was: the mark of a collapsed list
    /// if the element ends here, an operator otherwise.
    fn settle_many(&mut self, next: TokenKind) {
        if !std::mem::take(&mut self.pending_many) {
            return;
        }
        let ends = matches!(
            next,
            TokenKind::Comma | TokenKind::RightParen | TokenKind::RightBracket
        );
        if !ends {
            self.piece(Piece::Operator(b"+"));
        }
    }

    #[inline]
    fn word(&mut self, text: &'a [u8]) {
        // Keywords that decide about lists: a query is not a list, and in rows of
        // VALUES the constants are values like all others.
        if let Some(frame) = self.scratch.frames.last_mut()
            && frame.pieces == 0
        {
            match frame.bracket {
                Bracket::List | Bracket::ValuesRow
                    if self.scratch.elements.len() == frame.first_element && is_query(text) =>
                {
                    frame.bracket = Bracket::Plain;
                }
                Bracket::ValuesRow if is_constant(text) => {
                    self.piece(Piece::Literal);
                    return;
                }
                _ => {}
            }
        }
        self.piece(Piece::Word(text));
    }

    fn operator(&mut self, text: &'a [u8]) {
        let sign = text == b"-" || text == b"+";
        if sign && !self.after_operand() {
            self.signs.push(text == b"-");
            return;
        }
        let in_list = self.scratch.frames.last().is_some_and(|frame| {
            frame.constant && matches!(frame.bracket, Bracket::List | Bracket::ValuesRow)
        });
        if text == b"+" && in_list {
            self.pending_many = true;
            return;
        }
        self.piece(Piece::Operator(text));
    }

    /// Writes the semicolon that was held back, for something follows it.
    fn settle_semicolon(&mut self) {
        self.pending_semicolon = false;
        self.write_signs();
        self.settle_many(TokenKind::Semicolon);
        self.piece(Piece::Mark(TokenKind::Semicolon));
    }

    fn after_operand(&self) -> bool {
        self.previous.is_some_and(ends_operand)
    }

    /// Writes one piece that opens and closes nothing.
    #[inline]
    fn piece(&mut self, piece: Piece<'a>) {
        self.settle_rows(false);
        if let Some(frame) = self.scratch.frames.last_mut() {
            let constant = matches!(piece, Piece::Literal | Piece::Placeholder);
            frame.constant = frame.pieces == 0 && constant;
            frame.pieces += 1;
        }
        self.write(piece);
    }

    #[inline]
    fn write(&mut self, piece: Piece<'a>) {
        F::write(&mut self.scratch.out, piece, self.previous, self.dialect);
        self.previous = Some(piece);
    }

    /// Ends the rows of `VALUES` if what comes now is not one more row.
    #[inline]
    fn settle_rows(&mut self, opens_row: bool) {
        while let Some(frame) = self.scratch.frames.last() {
            if frame.bracket != Bracket::ValuesRows {
                return;
            }
            let more = opens_row && (self.pending_row_comma || frame.pieces == 0);
            if more {
                return;
            }
            self.leave();
            if std::mem::take(&mut self.pending_row_comma) {
                self.comma();
            }
        }
    }

    fn open(&mut self, kind: TokenKind) {
        self.settle_rows(kind == TokenKind::LeftParen);
        if std::mem::take(&mut self.pending_row_comma) {
            self.separate();
        }
        let bracket = self.bracket(kind);
        if let Some(frame) = self.scratch.frames.last_mut() {
            frame.constant = false;
            frame.pieces += 1;
        }
        self.write(Piece::Mark(kind));
        self.enter(bracket);
    }

    /// What the bracket that opens now is, from what stands before it.
    fn bracket(&mut self, kind: TokenKind) -> Bracket {
        let parent = self.scratch.frames.last().copied();
        match self.previous {
            Some(Piece::Word(word)) if word.len() <= 6 => {
                if kind == TokenKind::LeftParen {
                    if word.eq_ignore_ascii_case(b"in") {
                        return Bracket::List;
                    }
                    if word.eq_ignore_ascii_case(b"values") {
                        self.enter_rows();
                        return Bracket::ValuesRow;
                    }
                } else if word.eq_ignore_ascii_case(b"array") {
                    return Bracket::List;
                }
            }
            _ => {}
        }
        match parent {
            Some(Frame {
                bracket: Bracket::ValuesRows,
                ..
            }) => Bracket::ValuesRow,
            Some(Frame {
                bracket: Bracket::List,
                pieces: 0,
                ..
            }) => Bracket::List,
            Some(Frame {
                bracket: Bracket::ValuesRow,
                pieces: 0,
                ..
            }) => Bracket::ValuesRow,
            _ => Bracket::Plain,
        }
    }

    /// Begins the rows of `VALUES`; the word itself was a piece of the frame around.
    fn enter_rows(&mut self) {
        if let Some(frame) = self.scratch.frames.last_mut() {
            frame.constant = false;
        }
        self.enter(Bracket::ValuesRows);
    }

    fn enter(&mut self, bracket: Bracket) {
        let at = self.scratch.out.len();
        self.scratch.frames.push(Frame {
            bracket,
            first_element: self.scratch.elements.len(),
            separator: at,
            element: at,
            pieces: 0,
            constant: false,
        });
    }

    fn close(&mut self, kind: TokenKind) {
        self.settle_rows(false);
        if let Some(frame) = self.scratch.frames.last() {
            if matches!(frame.bracket, Bracket::List | Bracket::ValuesRow) {
                self.end_element();
            }
            self.leave();
            self.write(Piece::Mark(kind));
            self.end_row();
        } else {
            self.write(Piece::Mark(kind));
        }
    }

    /// Behind a row of `VALUES`: a row equal to an earlier one is dropped.
    fn end_row(&mut self) {
        let rows = self.scratch.frames.last();
        if rows.is_some_and(|frame| frame.bracket == Bracket::ValuesRows) {
            self.end_element();
        }
    }

    /// Forgets the innermost frame and its elements.
    fn leave(&mut self) {
        if let Some(frame) = self.scratch.frames.pop() {
            self.scratch.elements.truncate(frame.first_element);
        }
    }

    fn comma(&mut self) {
        match self.scratch.frames.last().map(|frame| frame.bracket) {
            Some(Bracket::ValuesRows) => {
                if self.pending_row_comma {
                    self.settle_rows(false);
                    self.comma();
                } else {
                    self.pending_row_comma = true;
                }
            }
            Some(Bracket::List | Bracket::ValuesRow) => {
                self.end_element();
                self.separate();
            }
            _ => self.piece(Piece::Mark(TokenKind::Comma)),
        }
    }

    /// Writes the comma before the next element of the innermost list.
    fn separate(&mut self) {
        let separator = self.scratch.out.len();
        self.write(Piece::Mark(TokenKind::Comma));
        let element = self.scratch.out.len();
        if let Some(frame) = self.scratch.frames.last_mut() {
            frame.separator = separator;
            frame.element = element;
            frame.pieces = 0;
            frame.constant = false;
        }
    }

    /// Ends an element of the innermost list; one that was there before is taken back.
    fn end_element(&mut self) {
        let Scratch {
            out,
            frames,
            elements,
        } = &mut *self.scratch;
        let Some(frame) = frames.last_mut() else {
            return;
        };
        if frame.constant {
            F::write_many(out);
        }
        let text = |start, end| without_space(out.get(start..end).unwrap_or_default());
        let element = text(frame.element, out.len());
        let known = &elements[frame.first_element..];
        if known
            .iter()
            .any(|&(start, end)| text(start, end) == element)
        {
            out.truncate(frame.separator);
        } else if known.len() < REMEMBERED_ELEMENTS {
            elements.push((frame.element, out.len()));
        }
    }

    /// Ends what the text left open, inside out.
    fn finish(&mut self) {
        self.write_signs();
        while let Some(frame) = self.scratch.frames.last() {
            match frame.bracket {
                Bracket::List | Bracket::ValuesRow => self.end_element(),
                Bracket::ValuesRows | Bracket::Plain => {}
            }
            self.leave();
        }
    }
}

/// Readable elements behind a comma begin with a space, the first one does not.
fn without_space(element: &[u8]) -> &[u8] {
    element.strip_prefix(b" ").unwrap_or(element)
}

fn is_query(word: &[u8]) -> bool {
    [b"select".as_slice(), b"with", b"values", b"table"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}

fn is_constant(word: &[u8]) -> bool {
    [b"null".as_slice(), b"true", b"false"]
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known))
}
