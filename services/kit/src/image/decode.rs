//! From the bytes of an upload to rows of RGB.

use image::{
    DynamicImage, ImageDecoder, Limits, RgbImage, codecs::png::PngDecoder,
    codecs::webp::WebPDecoder, metadata::Orientation,
};
use std::io::Cursor;

use super::{Form, codec, error::ImageError, jpeg, png, webp};

/// A decoded picture, as it lies in the file.
pub(super) struct Raster {
    pub(super) pixels: RgbImage,
    /// Width and height in the file; a decoder may have left pixels out.
    pub(super) size: (u32, u32),
    /// What is still to be done so that it stands upright.
    pub(super) orientation: Orientation,
    /// The colour profile, when it has one.
    pub(super) profile: Option<Vec<u8>>,
}

/// How far an upload may go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) max_bytes: usize,
    pub(super) max_pixels: u64,
}

/// Checks a file and decodes it, as far as the forms need it.
pub(super) fn decode(bytes: &[u8], bounds: Bounds, forms: &[Form]) -> Result<Raster, ImageError> {
    if bytes.is_empty() {
        return Err(ImageError::Empty);
    }
    if bytes.len() > bounds.max_bytes {
        return Err(ImageError::TooManyBytes {
            bytes: bytes.len(),
            limit: bounds.max_bytes,
        });
    }
    match Kind::of(bytes)? {
        Kind::Jpeg => {
            let header = jpeg::read(bytes)?;
            bounds.check(header.width, header.height)?;
            codec::decode(bytes, header, forms)
        }
        Kind::Png => {
            let (width, height) = png::read(bytes)?;
            bounds.check(width, height)?;
            let limits = bounds.memory();
            raster(PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(damaged)?)
        }
        Kind::WebP => {
            let (width, height) = webp::read(bytes)?;
            bounds.check(width, height)?;
            let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(damaged)?;
            decoder.set_limits(bounds.memory()).map_err(damaged)?;
            raster(decoder)
        }
    }
}

impl Raster {
    /// Whether the picture lies on its side in the file.
    pub(super) fn lies(&self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(
            self.orientation,
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
        )
    }

    /// Width and height of the upload once it stands upright.
    pub(super) fn upright(&self) -> (u32, u32) {
        match self.lies() {
            true => (self.size.1, self.size.0),
            false => self.size,
        }
    }
}

impl Bounds {
    fn check(self, width: u32, height: u32) -> Result<(), ImageError> {
        if width == 0 || height == 0 {
            return Err(ImageError::NoPixels { width, height });
        }
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(ImageError::TooManyPixels {
                width,
                height,
                limit: self.max_pixels,
            });
        }
        Ok(())
    }

    /// What a decoder may allocate beside the picture: four bytes a pixel for a row buffer or a
    /// frame, and as much again for the file's own tables.
    fn memory(self) -> Limits {
        let mut limits = Limits::default();
        limits.max_alloc = Some(self.max_pixels.saturating_mul(8));
        limits
    }
}

/// The formats that are read.
enum Kind {
    Jpeg,
    Png,
    WebP,
}

impl Kind {
    /// By the first bytes; a name or a declared type can say anything.
    fn of(bytes: &[u8]) -> Result<Self, ImageError> {
        let brand = bytes.get(8..12).unwrap_or_default();
        let found = match bytes {
            [0xFF, 0xD8, ..] => return Ok(Self::Jpeg),
            _ if bytes.starts_with(png::SIGNATURE) => return Ok(Self::Png),
            [b'R', b'I', b'F', b'F', ..] if brand == b"WEBP" => return Ok(Self::WebP),
            [b'G', b'I', b'F', b'8', ..] => "GIF",
            [b'B', b'M', ..] => "BMP",
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "TIFF",
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => match brand {
                b"avif" | b"avis" => "AVIF",
                b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => {
                    "HEIC"
                }
                _ => "a video",
            },
            _ if bytes.starts_with(b"%PDF") => "PDF",
            _ if bytes.starts_with(b"<svg") || bytes.starts_with(b"<?xml") => "SVG",
            _ => "this file",
        };
        Err(ImageError::Format { found })
    }
}

fn raster(mut decoder: impl ImageDecoder) -> Result<Raster, ImageError> {
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let profile = decoder.icc_profile().ok().flatten();
    let size = decoder.dimensions();
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(Raster {
        size,
        pixels: on_white(image),
        orientation,
        profile,
    })
}

/// A JPEG has no transparency: what shines through is white.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let mut flat = RgbImage::new(image.width(), image.height());
    for (to, from) in flat.pixels_mut().zip(image.pixels()) {
        let [red, green, blue, alpha] = from.0.map(u32::from);
        let mix = |colour: u32| ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        to.0 = [mix(red), mix(green), mix(blue)];
    }
    flat
}

/// A decoder stopped. Which byte offended it is of no use to the person who uploads.
pub(super) fn damaged(error: image::ImageError) -> ImageError {
    tracing::debug!(%error, "a picture cannot be decoded");
    match error {
        image::ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated
        }
        _ => ImageError::Damaged,
    }
}
