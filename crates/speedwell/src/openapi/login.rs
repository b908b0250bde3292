//! The operation by which a user gets a token, if the document has one.

use serde_json::Value;

use super::document::{Document, Operation, is_json};

/// How a user logs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    /// Place of the operation in the document.
    pub(super) operation: usize,
    /// Where in the answer the token stands.
    pub(super) token: String,
}

/// A `POST` that needs no token itself, is named like a login, and answers a token.
pub(super) fn find(document: &Document, operations: &[Operation<'_>]) -> Option<Login> {
    let words = ["login", "signin", "sign-in", "token", "session"];
    let named = operations.iter().enumerate().filter(|(_, operation)| {
        let path = operation.path.to_lowercase();
        operation.method == "post"
            && operation.scheme.is_none()
            && words.iter().any(|word| path.contains(word))
            && operation.body.is_some_and(|(kind, _)| is_json(kind))
    });
    let mut found: Vec<(usize, Login)> = named
        .filter_map(|(index, operation)| {
            let token = token(document, operation.answer?)?;
            let login = Login {
                operation: index,
                token: format!("$.{token}"),
            };
            Some((operation.path.len(), login))
        })
        .collect();
    // `/auth/login` before `/auth/login/by-mail`.
    found.sort_by_key(|(length, _)| *length);
    found.into_iter().next().map(|(_, login)| login)
}

fn token<'a>(document: &'a Document, answer: &'a Value) -> Option<&'a str> {
    let properties = document.properties(answer);
    ["access_token", "accessToken", "token", "jwt", "id_token"]
        .iter()
        .find_map(|wanted| {
            let mut known = properties.iter().map(|(name, _)| *name);
            known.find(|name| name == wanted)
        })
}
