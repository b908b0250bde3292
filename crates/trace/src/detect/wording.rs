//! Numbers and texts as sentences show them.

use std::time::Duration;

/// A duration in milliseconds with three significant digits: `0.123 ms`, `4.57 ms`, `1,230 ms`.
pub(crate) fn millis(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    if ms >= 999.5 {
        return format!("{} ms", number(ms.round() as u64));
    }
    let decimals = match ms {
        ms if ms >= 100.0 => 0,
        ms if ms >= 10.0 => 1,
        ms if ms >= 1.0 => 2,
        _ => 3,
    };
    format!("{ms:.decimals$} ms")
}

/// `once`, `twice`, `5 times`.
pub(crate) fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", number(count)),
    }
}

/// `1 row`, `12,345 rows`.
pub(crate) fn rows(count: u64) -> String {
    match count {
        1 => "1 row".to_owned(),
        _ => format!("{} rows", number(count)),
    }
}

/// `7`, `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A text on one line: every run of white space is one space.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// The beginning of a text on one line, at most `length` characters and an ellipsis.
pub(crate) fn beginning(text: &str, length: usize) -> String {
    let line = one_line(text);
    match line.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    let items: Vec<&str> = items.into_iter().collect();
    match items.as_slice() {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_shows_three_significant_digits() {
        assert_eq!(millis(Duration::from_micros(123)), "0.123 ms");
        assert_eq!(millis(Duration::from_micros(4_567)), "4.57 ms");
        assert_eq!(millis(Duration::from_micros(45_670)), "45.7 ms");
        assert_eq!(millis(Duration::from_micros(999_600)), "1,000 ms");
        assert_eq!(millis(Duration::from_millis(1_230)), "1,230 ms");
    }

    #[test]
    fn counts_are_easy_to_read() {
        assert_eq!(
            [rows(0), rows(1), rows(1_000)],
            ["0 rows", "1 row", "1,000 rows"]
        );
        assert_eq!([number(999), number(1_234_567)], ["999", "1,234,567"]);
        assert_eq!([times(2), times(1_500)], ["twice", "1,500 times"]);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(beginning("SELECT  ä,\n b", 8), "SELECT ä…");
        assert_eq!(beginning("SELECT 1", 8), "SELECT 1");
    }

    #[test]
    fn a_list_reads_like_speech() {
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
        assert_eq!(list(["a"]), "a");
    }
}
