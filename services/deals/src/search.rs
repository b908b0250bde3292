//! The text in which collections are searched.

/// Name and description in small letters, as the column `search_text` has them.
pub(crate) fn search_text(name: &str, description: Option<&str>) -> String {
    format!(
        "{}\n{}",
        name.to_lowercase(),
        description.unwrap_or_default().to_lowercase()
    )
}
