//! The JSONPaths that a script can walk without a library: names, places, wildcards, descendants.

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Name(String),
    /// A place in a list; below 0 from the end.
    Place(i64),
    /// All members.
    Any,
    /// The value itself and everything below it.
    Deep,
}

/// Reads a path that is known to be valid (RFC 9535).
///
/// # Errors
/// What in it a script cannot walk.
pub(super) fn segments(path: &str) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    let mut rest = path.trim_start_matches('$').trim();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("..") {
            segments.push(Segment::Deep);
            rest = after;
            if !rest.starts_with('[') {
                rest = dotted(rest, &mut segments);
            }
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = dotted(after, &mut segments);
        } else if let Some(after) = rest.strip_prefix('[') {
            rest = bracketed(after, &mut segments)?;
        } else {
            return Err(format!("`{rest}` is not understood"));
        }
        rest = rest.trim_start();
    }
    Ok(segments)
}

/// `name` or `*`; returns what follows.
fn dotted<'p>(rest: &'p str, segments: &mut Vec<Segment>) -> &'p str {
    if let Some(after) = rest.strip_prefix('*') {
        segments.push(Segment::Any);
        return after;
    }
    let end = rest.find(['.', '[', ' ']).unwrap_or(rest.len());
    segments.push(Segment::Name(rest[..end].to_owned()));
    &rest[end..]
}

/// `'name'`, `0` or `*` and the closing bracket; returns what follows.
fn bracketed<'p>(rest: &'p str, segments: &mut Vec<Segment>) -> Result<&'p str, String> {
    let rest = rest.trim_start();
    let (segment, after) = match rest.chars().next() {
        Some(quote @ ('\'' | '"')) => {
            let inside = &rest[1..];
            let end = inside.find(quote).unwrap_or(inside.len());
            if inside[..end].contains('\\') {
                return Err("names with a backslash are not written out".to_owned());
            }
            let after = inside.get(end + 1..).unwrap_or_default();
            (Segment::Name(inside[..end].to_owned()), after)
        }
        Some('*') => (Segment::Any, &rest[1..]),
        Some('?') => return Err("filters `[?…]` are not written out".to_owned()),
        _ => {
            let end = rest
                .find(|c: char| !(c.is_ascii_digit() || c == '-'))
                .unwrap_or(rest.len());
            let place = rest[..end]
                .parse()
                .map_err(|_| "slices `[a:b]` are not written out".to_owned())?;
            (Segment::Place(place), &rest[end..])
        }
    };
    let after = after.trim_start();
    let Some(after) = after.strip_prefix(']') else {
        return Err("slices `[a:b]` and lists `[a,b]` are not written out".to_owned());
    };
    segments.push(segment);
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_places_wildcards_and_descendants_are_read() {
        use Segment::{Any, Deep, Name, Place};
        let name = |text: &str| Name(text.to_owned());
        for (path, expected) in [
            ("$", vec![]),
            ("$.items[*].id", vec![name("items"), Any, name("id")]),
            ("$[*].a_b", vec![Any, name("a_b")]),
            ("$['a b'][-1]", vec![name("a b"), Place(-1)]),
            ("$..id", vec![Deep, name("id")]),
            ("$..[0]", vec![Deep, Place(0)]),
            ("$.größe.*", vec![name("größe"), Any]),
        ] {
            assert_eq!(segments(path), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_a_script_cannot_walk_is_said() {
        for (path, part) in [
            ("$.items[?@.price > 10].id", "filters"),
            ("$.items[1:3]", "slices"),
            ("$.items[:3]", "slices"),
            ("$.items[0,1]", "lists"),
            ("$['a','b']", "lists"),
        ] {
            let error = segments(path).unwrap_err();
            assert!(error.contains(part), "{path}: {error}");
        }
    }
}
