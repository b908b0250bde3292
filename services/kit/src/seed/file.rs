//! The file of users: who they are and what is theirs, for tests and measurements.

use std::{fmt::Display, path::Path};

use super::SeedError;
use crate::token::Tokens;

/// The bearer token of a user; empty without what signs it.
///
/// # Errors
/// It cannot be signed.
pub fn bearer(
    tokens: Option<&Tokens>,
    user: impl Display,
    email: &str,
) -> Result<String, SeedError> {
    let Some(tokens) = tokens else {
        return Ok(String::new());
    };
    tokens.issue(&user, email).map_err(|_| SeedError::Token {
        user: user.to_string(),
    })
}

/// Writes the file of users.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, text: &str) -> Result<(), SeedError> {
    std::fs::write(path, text).map_err(|source| SeedError::Csv {
        path: path.to_owned(),
        source,
    })
}
