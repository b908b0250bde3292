//! What stands in a path.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::problem::Problem;

/// The only parameter of a path, if it is a whole number that can name a row.
///
/// Anything else is the name of nothing, so a handler answers it like an id that there
/// is not: with 404 in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub Option<i64>);

impl Id {
    /// The number.
    ///
    /// # Errors
    /// `missing()` when it is none.
    pub fn or(self, missing: impl FnOnce() -> Problem) -> Result<i64, Problem> {
        self.0.ok_or_else(missing)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        // Fails where a parameter is no UTF-8: not a number either.
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let number = params
            .as_ref()
            .and_then(|params| params.iter().next())
            .and_then(|(_, text)| text.parse().ok());
        Ok(Self(number))
    }
}

/// The parameters of a path in their order, as texts: for paths that have several, or one that is
/// no number. A parameter that is no UTF-8 is the empty text, which is the name of nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments<const N: usize>(pub [String; N]);

impl<const N: usize> Segments<N> {
    /// The parameter at this place, counted from 0, if it can name a row.
    pub fn number(&self, place: usize) -> Option<i64> {
        self.0.get(place).and_then(|text| text.parse().ok())
    }
}

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Segments<N> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let params = RawPathParams::from_request_parts(parts, state).await.ok();
        let mut texts = params
            .iter()
            .flat_map(RawPathParams::iter)
            .map(|(_, text)| text.to_owned());
        Ok(Self(std::array::from_fn(|_| {
            texts.next().unwrap_or_default()
        })))
    }
}
