//! What the service stands in beside its database: an address book, a place for files, threads
//! for pictures, a reach.

use std::sync::Arc;

use service_kit::{
    config::ConfigError,
    image::{ImageOptions, Images},
    storage::{Storage, StorageError, StorageUrl},
};

use crate::{
    feed::DefaultRadius,
    geocoder::{self, Geocoder},
};

/// Where files are unless `OBJECT_STORE_URL` says otherwise: beside the default database.
const DEFAULT_STORE: &str = "data/flyers-media";

/// What the service stands in.
#[derive(Clone)]
pub struct Surroundings {
    /// Finds the place of an address.
    pub geocoder: Arc<dyn Geocoder>,
    /// Keeps the pictures.
    pub storage: Storage,
    /// Makes the pictures.
    pub images: Images,
    /// How far "near me" reaches.
    pub radius: DefaultRadius,
}

/// Why the surroundings are not as the environment says.
#[derive(Debug, thiserror::Error)]
pub enum SurroundingsError {
    /// A variable cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Files cannot be kept.
    #[error("{0}{reason}", reason = reason_of(.0))]
    Storage(#[from] StorageError),
    /// There are no threads for pictures.
    #[error("the system gives no threads to work on pictures: {0}; raise its limit of processes")]
    Images(std::io::Error),
}

/// What lies beneath, if the text does not say so itself.
fn reason_of(error: &StorageError) -> String {
    std::error::Error::source(error).map_or_else(String::new, |source| format!(": {source}"))
}

impl Surroundings {
    /// As the environment says: `GEOCODER` and what belongs to it, `OBJECT_STORE_URL`,
    /// `NEAR_ME_RADIUS_KM`.
    ///
    /// # Errors
    /// The first variable that cannot be used, with what to do about it.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SurroundingsError> {
        Ok(Self {
            geocoder: geocoder::from_env(&lookup)?,
            storage: storage_from_env(&lookup)?,
            radius: DefaultRadius::from_env(&lookup)?,
            images: Images::start(ImageOptions::default()).map_err(SurroundingsError::Images)?,
        })
    }
}

/// The store that `OBJECT_STORE_URL` names.
///
/// # Errors
/// The variable cannot be used, or the folder cannot.
pub fn storage_from_env(
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Storage, SurroundingsError> {
    let url = lookup("OBJECT_STORE_URL").filter(|url| !url.trim().is_empty());
    let url = StorageUrl::parse(url.as_deref().unwrap_or(DEFAULT_STORE))?;
    Ok(Storage::open(&url)?)
}
