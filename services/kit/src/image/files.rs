//! The files of a picture: one path for a row to name, the other sizes beside it.

use bytes::Bytes;
use uuid::Uuid;

use super::{Form, ImageError, Images};

/// A picture that is ready to be stored.
#[derive(Debug)]
pub struct Made {
    /// What a row names.
    pub path: String,
    /// All of its files.
    pub files: Vec<(String, Bytes)>,
}

/// Makes an upload into files `<folder>/<uuid>/<hash of its content><suffix>.jpg`. The folder of each
/// upload is new, so that a path is never used twice.
///
/// # Errors
/// Those of [`Images::process`].
pub async fn make(
    images: &Images,
    upload: Bytes,
    forms: &'static [Form],
    folder: &str,
) -> Result<Made, ImageError> {
    let pictures = images.process(upload, forms).await?;
    let hash = match pictures.first() {
        Some(main) => main.content_hash(),
        None => return Err(ImageError::Internal),
    };
    let name = format!("{folder}/{}/{hash}", Uuid::new_v4());
    let files = forms.iter().zip(pictures);
    Ok(Made {
        path: format!("{name}.jpg"),
        files: files
            .map(|(form, picture)| (format!("{name}{}.jpg", form.suffix), picture.bytes))
            .collect(),
    })
}

/// The files of a picture whose first size has this path.
pub fn files_of(path: &str, forms: &[Form]) -> Vec<String> {
    let Some(name) = path.strip_suffix(".jpg") else {
        return Vec::new();
    };
    let files = forms.iter();
    files
        .map(|form| format!("{name}{}.jpg", form.suffix))
        .collect()
}
