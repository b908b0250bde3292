//! Who is calling. Nobody is asked for it: the token says it.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use service_kit::{problem::Problem, token, uuid::Uuid};

use crate::app::State;

/// The signed-in user that sent a request. Without a token 403, with a wrong one 401.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) id: Uuid,
}

impl FromRequestParts<State> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        type Named = token::Caller<Uuid>;
        let caller = <Named as OptionalFromRequestParts<State>>::from_request_parts(parts, state);
        match caller.await? {
            Some(token::Caller { id }) => Ok(Self { id }),
            None => Err(Problem::forbidden("Not authenticated")),
        }
    }
}

/// The token is good, its account is not there any more.
pub(crate) fn gone() -> Problem {
    Problem::unauthorized("there is no such account any more")
}
