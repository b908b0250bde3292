//! JSON values as they are written on one line of TOML.

use serde_json::Value;

/// A value, if TOML has it: it knows no null.
pub(super) fn value(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.to_string(),
            // A number that is not whole keeps its point: `1` and `1.0` differ in TOML.
            None => format!("{:?}", number.as_f64()?),
        },
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(self::value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .filter_map(|(name, value)| {
                    Some(format!("{} = {}", key(name), self::value(value)?))
                })
                .collect();
            match fields.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", fields.join(", ")),
            }
        }
    })
}

/// A basic string.
pub(super) fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key, quoted where it must be.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    match bare {
        true => name.to_owned(),
        false => string(name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let sample = json!({
            "a b": "x \"y\" \\ \n\u{7}ü", "list": [1, 2.0, -3.5, true, {}], "deep": { "n": 1 }
        });
        let text = format!("it = {}", value(&sample).unwrap());
        let read: Value = toml::from_str(&text).unwrap();
        assert_eq!(read["it"], sample);
        assert_eq!(value(&json!({ "a": null })).unwrap(), "{}");
    }
}
