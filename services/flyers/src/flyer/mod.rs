//! One flyer: reading it, making it, changing it, deleting it.

mod create;
mod delete;
mod detail;
mod edit;
mod form;
mod images;

pub(crate) use self::{
    create::{__path_create, create},
    delete::{__path_delete, delete},
    detail::{__path_detail, DETAIL, detail},
    edit::{__path_change, __path_replace, READ, change, replace},
};
use std::time::Duration;

use service_kit::problem::Problem;

use crate::{app::State, geo::Point, geocoder::GeocodeError};

fn no_such_flyer() -> Problem {
    Problem::not_found("there is no such flyer, or it has expired")
}

async fn locate(state: &State, address: &str) -> Result<Point, Problem> {
    state
        .geocoder
        .locate(address)
        .await
        .map_err(|error| match error {
            GeocodeError::NotFound => Problem::invalid(
                "location_address",
                "is not known; write street, postal code and town",
            ),
            GeocodeError::Unavailable => {
                Problem::unavailable("addresses cannot be looked up now", Duration::from_secs(30))
            }
        })
}

/// Both, or everything that is wrong with either.
fn both<A, B>(one: Result<A, Problem>, other: Result<B, Problem>) -> Result<(A, B), Problem> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) => {
            let mut fields = one.fields().clone();
            fields.extend(other.fields().clone());
            // Only faults of the input can be told together.
            match [&one, &other].map(|problem| problem.status().as_u16()) {
                [400, 400] => Err(Problem::validation(fields)),
                [400, _] => Err(other),
                _ => Err(one),
            }
        }
        (Err(problem), _) | (_, Err(problem)) => Err(problem),
    }
}
