//! Photographs of nothing: as many bytes as real ones, each a little different.

use std::path::{Path, PathBuf};

use jpeg_encoder::{ColorType, Encoder, EncodingError};

/// A photograph was not written.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// It cannot be made.
    #[error("cannot make a photograph: {0}")]
    Encoding(#[from] EncodingError),
    /// Its file cannot be written.
    #[error("cannot write {path} (--photos): {source}")]
    File {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// Writes `photo_1.jpg` to `photo_5.jpg`, as a phone takes them, into a folder.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn write_photos(folder: &Path) -> Result<(), PhotoError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PhotoError::File { path, source }
    };
    std::fs::create_dir_all(folder).map_err(failed(folder))?;
    for number in 1..=5 {
        let path = folder.join(format!("photo_{number}.jpg"));
        let bytes = photo(4000, 3000, number, 90)?;
        std::fs::write(&path, bytes).map_err(failed(&path))?;
    }
    Ok(())
}

/// Pixels of the pattern that is laid side by side.
const TILE: usize = 256;

/// A JPEG of so many pixels: a soft pattern with the grain of a camera. The same number gives
/// the same bytes.
///
/// With 4000 x 3000 pixels and quality 90 it has about 2 MB, as a photograph of a phone.
///
/// # Errors
/// The picture has no pixels.
pub fn photo(width: u16, height: u16, number: u32, quality: u8) -> Result<Vec<u8>, EncodingError> {
    let tile = tile(number);
    let row_bytes = usize::from(width) * 3;
    let mut pixels = Vec::with_capacity(row_bytes * usize::from(height));
    for y in 0..usize::from(height) {
        let row = &tile[y % TILE * TILE * 3..][..TILE * 3];
        let end = pixels.len() + row_bytes;
        while pixels.len() < end {
            let part = row.len().min(end - pixels.len());
            pixels.extend_from_slice(&row[..part]);
        }
    }
    let mut jpeg = Vec::new();
    Encoder::new(&mut jpeg, quality).encode(&pixels, width, height, ColorType::Rgb)?;
    Ok(jpeg)
}

/// Waves in three colours, with noise of ±[`GRAIN`].
fn tile(number: u32) -> Vec<u8> {
    /// Gives a photograph of 12 million pixels its 2 MB.
    const GRAIN: u32 = 6;
    let mut state = number.wrapping_mul(0x9e37_79b9) | 1;
    let mut noise = move || {
        // Xorshift, G. Marsaglia, 2003.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % (2 * GRAIN + 1)
    };
    let hues = [1, 2, 3].map(|channel| number.wrapping_mul(channel * 37) % 120 + 30);
    let mut tile = Vec::with_capacity(TILE * TILE * 3);
    for y in 0..TILE as u32 {
        for x in 0..TILE as u32 {
            let wave = (x.abs_diff(128) + y.abs_diff(128)) * (1 + number % 3) / 4;
            for hue in hues {
                let value = hue + wave + noise();
                tile.push(u8::try_from(value).unwrap_or(u8::MAX));
            }
        }
    }
    tile
}
