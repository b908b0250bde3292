//! The decoder of JPEGs: pure Rust, or with the feature `turbo` libjpeg with scaled decoding.

#[cfg(not(feature = "turbo"))]
mod pure;
#[cfg(feature = "turbo")]
mod scaled;

#[cfg(not(feature = "turbo"))]
pub(super) use pure::decode;
#[cfg(feature = "turbo")]
pub(super) use scaled::decode;
