//! The text in which collections are searched.

use service_kit::partial::small;

/// What is stored beside a collection: its name and its description in small letters, one
/// below the other. The line break keeps a hit from reaching over the end of the name, and is
/// there without a description too.
pub(crate) fn search_text(name: &str, description: Option<&str>) -> String {
    let description = description.unwrap_or_default();
    format!("{}\n{}", small(name), small(description))
}

#[cfg(test)]
mod tests {
    use super::search_text;

    #[test]
    fn every_alphabet_is_made_small() {
        assert_eq!(search_text("ÄRA Öffi", Some("НОВЫЙ")), "ära öffi\nновый");
        assert_eq!(search_text("ΟΔΟΣ", None), "οδοσ\n");
    }

    #[test]
    fn the_line_break_is_there_without_a_description() {
        assert_eq!(search_text("Office", None), "office\n");
    }
}
