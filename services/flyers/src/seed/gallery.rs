//! The pictures of seeded rows.
//!
//! Flyers and users share a few samples, which are never deleted: a hundred thousand flyers do
//! with as many files as ten. Flyers that are made to be deleted have files of their own; in a
//! folder those are links to five files, each of the size to which a 2 MB upload comes down.

use bytes::Bytes;
use futures_util::future::join_all;
use service_kit::{
    image::{Form, ImageError},
    storage::Storage,
};

use super::{SeedError, photo::photo};
use crate::{
    pictures::{OF_FLYER, SAMPLES},
    users::OF_PROFILE,
};

/// Sample pictures of flyers.
const FLYERS: u32 = 12;
/// Sample pictures of users.
const AVATARS: u32 = 6;
/// Pictures of a flyer that is made to be deleted: the most it can have.
const OF_DOOMED: u32 = 5;
/// Copies that are made at the same time.
const TOGETHER: usize = 64;

/// The sample with this number, whatever it is.
pub(super) fn flyer_sample(number: u32) -> String {
    format!("{SAMPLES}flyer-{:02}.jpg", number % FLYERS)
}

/// The sample with this number, whatever it is.
pub(super) fn avatar_sample(number: u32) -> String {
    format!("{SAMPLES}avatar-{:02}.jpg", number % AVATARS)
}

/// A picture that is copied for many rows.
struct Original {
    hash: String,
    /// For each form, the end of the file name and the content.
    files: Vec<(&'static str, Bytes)>,
}

/// Pictures for flyers that do not share theirs.
pub(super) struct Gallery(Vec<Original>);

impl Gallery {
    /// The originals, as large as uploads are made: nothing is lost by scaling.
    pub(super) fn make() -> Result<Self, SeedError> {
        let mut originals = Vec::new();
        for number in 0..OF_DOOMED {
            let pictures = make((2048, 1536, 100 + number), OF_FLYER)?;
            let Some((_, main)) = pictures.first() else {
                return Err(SeedError::Picture(ImageError::Internal));
            };
            originals.push(Original {
                hash: format!("{:032x}", twox_hash::XxHash3_128::oneshot(main)),
                files: pictures,
            });
        }
        Ok(Self(originals))
    }

    /// What the rows of one flyer name, in a folder of its own for each picture.
    pub(super) fn paths(&self, mut folder: impl FnMut() -> String) -> Vec<String> {
        let originals = self.0.iter();
        originals
            .map(|original| format!("flyers/{}/{}.jpg", folder(), original.hash))
            .collect()
    }

    /// Writes the files of these flyers.
    pub(super) async fn write(
        &self,
        storage: &Storage,
        flyers: &[Vec<String>],
    ) -> Result<(), SeedError> {
        let Some((first, others)) = flyers.split_first() else {
            return Ok(());
        };
        for (original, path) in self.0.iter().zip(first) {
            write_new(storage, path, &original.files).await?;
        }
        let copies: Vec<(String, String)> = others
            .iter()
            .flat_map(|paths| first.iter().zip(paths))
            .flat_map(|(from, to)| {
                OF_FLYER
                    .iter()
                    .map(|form| (sized(from, form), sized(to, form)))
            })
            .collect();
        for some in copies.chunks(TOGETHER) {
            let copied = some.iter().map(|(from, to)| storage.copy(from, to));
            join_all(copied)
                .await
                .into_iter()
                .collect::<Result<(), _>>()?;
        }
        Ok(())
    }
}

/// Writes the samples that are not there yet.
pub(super) async fn write_samples(storage: &Storage) -> Result<(), SeedError> {
    let flyers = (0..FLYERS).map(|number| (flyer_sample(number), (1600, 1200, number), OF_FLYER));
    let avatars =
        (0..AVATARS).map(|number| (avatar_sample(number), (500, 500, 50 + number), OF_PROFILE));
    for (path, photograph, forms) in flyers.chain(avatars) {
        if storage.head(&path).await?.is_none() {
            let pictures = make(photograph, forms)?;
            write_new(storage, &path, &pictures).await?;
        }
    }
    Ok(())
}

/// A photograph of this size and number, in each form, as uploads are made: quality 85.
fn make(
    (width, height, number): (u16, u16, u32),
    forms: &'static [Form],
) -> Result<Vec<(&'static str, Bytes)>, SeedError> {
    let one = |form: &Form| {
        let fits = (u32::from(width), u32::from(height));
        let longest = fits.0.max(fits.1);
        let allowed = form.max_width.min(form.max_height).min(longest);
        let side = |side: u32| u16::try_from(side * allowed / longest).unwrap_or(u16::MAX);
        let picture = photo(side(fits.0), side(fits.1), number, 85);
        let picture = picture.map_err(|_| ImageError::Internal)?;
        Ok((form.suffix, picture.into()))
    };
    forms.iter().map(one).collect()
}

/// A file that is there already is one that an earlier run has written: the same.
async fn write_new(
    storage: &Storage,
    path: &str,
    files: &[(&'static str, Bytes)],
) -> Result<(), SeedError> {
    let name = path.strip_suffix(".jpg").unwrap_or(path);
    for (suffix, bytes) in files {
        let file = format!("{name}{suffix}.jpg");
        if storage.head(&file).await?.is_none() {
            let written = storage.write(vec![(file, bytes.clone())]).await?;
            written.keep().await;
        }
    }
    Ok(())
}

fn sized(path: &str, form: &Form) -> String {
    let name = path.strip_suffix(".jpg").unwrap_or(path);
    format!("{name}{}.jpg", form.suffix)
}
