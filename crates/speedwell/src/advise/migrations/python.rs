//! As much of Python as migrations need: string literals, written and found.

/// The text as a string literal.
pub(super) fn literal(text: &str) -> String {
    let quote = match text.contains('"') && !text.contains('\'') {
        true => '\'',
        false => '"',
    };
    let mut literal = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => literal.push_str("\\n"),
            // Those below 160 only: two digits are enough.
            c if c.is_control() => literal.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => {
                if c == quote || c == '\\' {
                    literal.push('\\');
                }
                literal.push(c);
            }
        }
    }
    literal.push(quote);
    literal
}

/// The string literals of a module in their order, without their quotes.
pub(super) fn strings(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\'', '"', '#']) {
        let begun = &rest[at..];
        if begun.starts_with('#') {
            rest = begun.split_once('\n').map_or("", |(_, behind)| behind);
            continue;
        }
        let quote = quote_of(begun);
        let inside = &begun[quote.len()..];
        let end = end_of(inside, quote);
        found.push(&inside[..end]);
        rest = inside.get(end + quote.len()..).unwrap_or_default();
    }
    found
}

fn quote_of(begun: &str) -> &str {
    let long = ["\"\"\"", "'''"];
    match long.iter().any(|quote| begun.starts_with(quote)) {
        true => &begun[..3],
        false => &begun[..1],
    }
}

/// Where a string ends; where the text does, if it has no end.
fn end_of(inside: &str, quote: &str) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        if !escaped && inside[at..].starts_with(quote) {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    inside.len()
}

/// What a module assigns to this name at its left margin: the text behind the sign, to the end of
/// its line or of its brackets.
pub(super) fn assigned<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let behind = line.strip_prefix(name).map(str::trim_start);
        if behind.is_some_and(|behind| behind.starts_with([':', '='])) {
            // An annotation may stand before the sign.
            let sign = line.find('=')?;
            return Some(value(&text[at + sign + 1..]));
        }
        at += line.len();
    }
    None
}

fn value(text: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            '\n' if depth == 0 => return &text[..at],
            _ => {}
        }
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use std::{io::Write as _, process::Command};

    use super::*;

    /// What Python itself prints when it runs the program.
    pub(in super::super) fn run(program: &str) -> String {
        let mut file = tempfile::NamedTempFile::with_suffix(".py").unwrap();
        file.write_all(program.as_bytes()).unwrap();
        let output = Command::new("python3").arg(file.path()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}{program}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn python_reads_a_literal_as_what_was_written() {
        for text in [
            "plain",
            "CREATE INDEX \"Odd\"\" name\" ON t (a) WHERE b = 'it''s'",
            "DROP INDEX \"x\"",
            "a\\b\n\t\u{1}\u{85}é…",
            "",
        ] {
            let bytes = format!(
                "import sys; sys.stdout.buffer.write({}.encode())",
                literal(text)
            );
            assert_eq!(run(&bytes), text, "{}", literal(text));
        }
    }

    #[test]
    fn strings_are_found_and_comments_are_not() {
        let module = r#"
"""It's a docstring with "quotes"."""
# don't "read" this
a = ('one', "two \" three", r'''four''')
b = ""; c = 'five'
"#;
        let expected = [
            "It's a docstring with \"quotes\".",
            "one",
            "two \\\" three",
            "four",
            "",
            "five",
        ];
        assert_eq!(strings(module), expected);
        assert_eq!(strings("x = 'no end"), ["no end"]);
    }

    #[test]
    fn an_assignment_is_read_to_its_end() {
        let module = "revisions = 1\nrevision: str = 'a'\ndown_revision: Union[str, None] = (\n    'b',\n    'c',\n)\nx = 1";
        assert_eq!(assigned(module, "revision"), Some(" 'a'"));
        assert_eq!(
            strings(assigned(module, "down_revision").unwrap()),
            ["b", "c"]
        );
        assert_eq!(assigned(module, "depends_on"), None);
    }
}
