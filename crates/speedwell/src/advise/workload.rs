//! A workload file: statements with or without names.

use speedwell_plan::Asked;
use speedwell_sql::{Dialect, TokenKind, tokens};

/// The statements of a text: `name|statement` lines if every line that is not empty or a comment
/// is one, else statements that end in semicolons.
pub(super) fn read(text: &str) -> Vec<Asked> {
    let lines = || {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("--") && !line.starts_with('#'))
    };
    let named: Option<Vec<Asked>> = lines().map(named).collect();
    named.unwrap_or_else(|| statements(text))
}

/// `name|statement`: a name is one word.
fn named(line: &str) -> Option<Asked> {
    let (name, sql) = line.split_once('|')?;
    let word = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "_-./{}:".contains(c));
    word.then(|| Asked::new(name, sql.trim()))
}

fn statements(text: &str) -> Vec<Asked> {
    let mut found: Vec<Asked> = Vec::new();
    let mut span: Option<(usize, usize)> = None;
    let mut take = |span: Option<(usize, usize)>| {
        if let Some((start, end)) = span {
            let name = format!("statement {}", found.len() + 1);
            found.push(Asked::new(name, &text[start..end]));
        }
    };
    for token in tokens(text, Dialect::Postgres) {
        if token.kind == TokenKind::Semicolon {
            take(span.take());
        } else {
            let start = span.map_or(token.start, |(start, _)| start);
            span = Some((start, token.end()));
        }
    }
    take(span);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text)
            .into_iter()
            .map(|asked| (asked.name, asked.sql))
            .collect()
    }

    #[test]
    fn lines_have_names() {
        let text = "# reads\nfeed|SELECT a || b FROM t\n\n-- writes\nGET/x| DELETE FROM t\n";
        let expected = [("feed", "SELECT a || b FROM t"), ("GET/x", "DELETE FROM t")];
        assert_eq!(
            pairs(text),
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }

    #[test]
    fn statements_end_in_semicolons_that_stand_in_no_text() {
        let text = "SELECT ';' -- ; no\nFROM t;\n\nSELECT a || b\nFROM t ;;";
        let expected = [
            ("statement 1", "SELECT ';' -- ; no\nFROM t"),
            ("statement 2", "SELECT a || b\nFROM t"),
        ];
        assert_eq!(
            pairs(text),
            expected.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}
