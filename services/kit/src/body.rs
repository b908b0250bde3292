//! JSON bodies whose faults are answered like every other fault.

use std::{fmt, marker::PhantomData};

use axum::{
    Json,
    extract::{FromRequest, Request, rejection::JsonRejection},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_path_to_error::Segment;

use crate::problem::Problem;

/// A JSON body of type `T`, which is written as an object.
#[derive(Debug, Clone)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<Object<T>>::from_request(request, state).await {
            Ok(Json(Object(value))) => Ok(Self(value)),
            Err(rejection) => Err(explain(&rejection)),
        }
    }
}

/// Refuses the array of its values that serde, too, takes for a struct.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Keys<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        from.deserialize_map(Keys(PhantomData)).map(Object)
    }
}

fn explain(rejection: &JsonRejection) -> Problem {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => Problem::unsupported_media_type(
            "send the body as JSON with `Content-Type: application/json`",
        ),
        JsonRejection::BytesRejection(_) if rejection.status() == 413 => Problem::too_large(),
        _ => match wrong_field(rejection) {
            Some((field, message)) => Problem::invalid(&field, message),
            // The text names the key and the place, never more than the client sent itself.
            None => Problem::malformed(rejection.body_text()),
        },
    }
}

/// The outermost field whose value has the wrong form: `tags` for `tags[0]`.
fn wrong_field(rejection: &JsonRejection) -> Option<(String, String)> {
    type OfJson = serde_path_to_error::Error<serde_json::Error>;
    let JsonRejection::JsonDataError(error) = rejection else {
        return None;
    };
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<OfJson>() {
            // A missing key belongs to no field, only its message names it.
            let Some(Segment::Map { key }) = error.path().iter().next() else {
                return None;
            };
            let message = error.inner().to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            return Some((key.clone(), message.to_owned()));
        }
        source = error.source();
    }
    None
}
