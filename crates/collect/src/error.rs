//! Why spans cannot be received.

use std::{io, net::SocketAddr};

/// Why a receiver could not be started.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} for OTLP: {source}; choose another port, or 0 for any free one"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}
