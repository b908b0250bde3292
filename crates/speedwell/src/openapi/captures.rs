//! Which operations answer the ids that others need: `GET /things` for `/things/{id}`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    document::{Document, Operation},
    sample::is_id,
};

/// A pool of ids: which operation answers it, under which name it is kept, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pool {
    /// Place of the operation in the document.
    pub(super) operation: usize,
    pub(super) name: String,
    pub(super) path: String,
}

/// The pools that parameters of paths need and lists answer, by name.
pub(super) fn pools(document: &Document, operations: &[Operation<'_>]) -> BTreeMap<String, Pool> {
    let mut pools: BTreeMap<String, Pool> = BTreeMap::new();
    // `/flyers/{flyer_id}` says better which list flyers come from than `/favorites/{flyer_id}`.
    let mut needed: Vec<(bool, String, String, String)> = operations
        .iter()
        .flat_map(|operation| parameters(&operation.path))
        .map(|(before, parameter)| {
            let name = pool_name(&before, &parameter);
            let elsewhere = pool_name(&before, "id") != name;
            (elsewhere, before, parameter, name)
        })
        .collect();
    needed.sort_by_key(|(elsewhere, ..)| *elsewhere);
    for (_, before, parameter, name) in needed {
        if pools.contains_key(&name) {
            continue;
        }
        if let Some(pool) = pool(document, operations, &before, &parameter, &name) {
            pools.insert(name, pool);
        }
    }
    pools
}

/// The parameters of a path, each with the path before it.
pub(super) fn parameters(path: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in path.match_indices('{') {
        if let Some(end) = path[at..].find('}') {
            found.push((path[..at].to_owned(), path[at + 1..at + end].to_owned()));
        }
    }
    found
}

/// What a parameter is an id of: `thing` for `/things/{id}` and for `{thing_id}`.
pub(super) fn pool_name(before: &str, parameter: &str) -> String {
    match identified(before, parameter) {
        // That is the name of what a login yields.
        name if name == "token" => "token_id".to_owned(),
        name => name,
    }
}

fn identified(before: &str, parameter: &str) -> String {
    let lower = snake(parameter);
    let stem = ["_id", "_uuid", "_slug"]
        .iter()
        .find_map(|ending| lower.strip_suffix(ending));
    if let Some(stem) = stem.filter(|stem| !stem.is_empty()) {
        return stem.to_owned();
    }
    if !is_id(&lower) {
        return lower;
    }
    let segment = before
        .trim_end_matches('/')
        .rsplit('/')
        .find(|segment| !segment.is_empty() && !segment.starts_with('{'));
    segment.map_or(lower, |segment| singular(&snake(segment)))
}

/// `listingId` and `listing-id` as `listing_id`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
        out.push(match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => '_',
        });
    }
    match out.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{out}"),
        false => out,
    }
}

fn singular(word: &str) -> String {
    if let Some(stem) = word.strip_suffix("ies") {
        return format!("{stem}y");
    }
    let plural = word.ends_with('s') && !word.ends_with("ss");
    word[..word.len() - usize::from(plural)].to_owned()
}

/// The list below whose path the parameter stands, if its answer holds ids.
fn pool(
    document: &Document,
    operations: &[Operation<'_>],
    before: &str,
    parameter: &str,
    name: &str,
) -> Option<Pool> {
    let list = before.trim_end_matches('/');
    // A list of somebody's things would need an id itself.
    if list.contains('{') {
        return None;
    }
    let lists = operations.iter().enumerate().filter(|(_, operation)| {
        let path = operation.path.trim_end_matches('/');
        let below = path
            .strip_prefix(list)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        operation.method == "get" && below && !path.contains('{')
    });
    let mut found: Vec<(usize, usize, String)> = lists
        .filter_map(|(index, operation)| {
            let path = ids(document, operation.answer?, parameter, name)?;
            Some((operation.path.len(), index, path))
        })
        .collect();
    // The list itself before those that are made of it: `/things` before `/things/latest`.
    found.sort();
    let (_, operation, path) = found.into_iter().next()?;
    Some(Pool {
        operation,
        name: name.to_owned(),
        path,
    })
}

/// Where in a list answer the ids stand: in the list, or in one that is a member of it.
fn ids(document: &Document, answer: &Value, parameter: &str, name: &str) -> Option<String> {
    if answer["items"].is_object() {
        let id = id_of(document, &answer["items"], parameter, name)?;
        return Some(format!("$[*].{id}"));
    }
    document
        .properties(answer)
        .into_iter()
        .filter(|(_, property)| property["items"].is_object())
        .find_map(|(list, property)| {
            let id = id_of(document, &property["items"], parameter, name)?;
            Some(format!("$.{list}[*].{id}"))
        })
        .filter(|path| !path.contains('-'))
}

/// The property that identifies an element of a list.
fn id_of<'a>(
    document: &'a Document,
    items: &'a Value,
    parameter: &str,
    name: &str,
) -> Option<&'a str> {
    let properties = document.properties(items);
    let wanted = [parameter.to_owned(), "id".to_owned(), format!("{name}_id")];
    wanted.iter().find_map(|wanted| {
        let mut known = properties.iter().map(|(name, _)| *name);
        known.find(|name| name == wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_named_after_what_it_identifies() {
        for (before, parameter, name) in [
            ("/things/", "id", "thing"),
            ("/api/v1/categories/", "id", "category"),
            ("/listings/", "listing_id", "listing"),
            ("/listings/", "listingId", "listing"),
            ("/users/", "username", "username"),
            ("/", "id", "id"),
            ("/tokens/", "id", "token_id"),
            ("/users/{user_id}/addresses/", "uuid", "addresse"),
        ] {
            assert_eq!(
                pool_name(before, parameter),
                name,
                "{before}{{{parameter}}}"
            );
        }
    }
}
