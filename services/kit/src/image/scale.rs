//! From a decoded picture to a JPEG in each form.

use bytes::Bytes;
use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image, images::ImageRef,
};
use image::{DynamicImage, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::{Form, Picture, colour, decode::Raster, error::ImageError};

/// Quality of every JPEG: what the founding paper on profiles asks for ("JPEG compression 85%").
const QUALITY: u8 = 85;

/// The longest side that the header of a JPEG can hold.
const MAX_SIDE: u32 = u16::MAX as u32;

/// How much larger than a form a finished picture must be for the form to be made from it. A
/// thumbnail of 300 pixels made from the picture of 1200 is as like one made from the upload as
/// 43 dB (measured on a photograph, in `tests/image/quality.rs`), where quality 85 keeps 34 dB.
const REDUCED_FROM: u32 = 2;

impl Form {
    /// Width and height of an upright picture of this size in this form.
    pub(super) fn fit(&self, width: u32, height: u32) -> (u32, u32) {
        let (max_width, max_height) = (self.max_width.min(MAX_SIDE), self.max_height.min(MAX_SIDE));
        if width <= max_width && height <= max_height {
            return (width, height);
        }
        let (w, h) = (u64::from(width), u64::from(height));
        let (mw, mh) = (u64::from(max_width), u64::from(max_height));
        let divide = |a: u64, b: u64| u32::try_from((a + b / 2) / b).unwrap_or(MAX_SIDE).max(1);
        match mw * h <= mh * w {
            true => (max_width.max(1), divide(h * mw, w)),
            false => (divide(w * mh, h), max_height.max(1)),
        }
    }
}

/// Makes each form, the largest first, and returns them in the order of `forms`.
pub(super) fn pictures(raster: &Raster, forms: &[Form]) -> Result<Vec<Picture>, ImageError> {
    let (width, height) = raster.upright();
    let targets: Vec<_> = forms.iter().map(|form| form.fit(width, height)).collect();
    let mut sizes = targets.clone();
    // All have the same proportions, so that the wider one is the larger one.
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    let mut scaler = Scaler::of(raster);
    let mut made = Vec::with_capacity(sizes.len());
    for size in sizes {
        made.push((size, encode(scaler.make(size)?)?));
    }
    let find = |target| made.iter().find(|(size, _)| *size == target);
    targets
        .into_iter()
        .map(|target| Some(find(target)?.1.clone()))
        .collect::<Option<_>>()
        .ok_or(ImageError::Internal)
}

/// Makes upright pictures that get smaller and smaller.
struct Scaler<'a> {
    raster: &'a Raster,
    resizer: Resizer,
    /// The last one made.
    last: Option<RgbImage>,
}

impl<'a> Scaler<'a> {
    fn of(raster: &'a Raster) -> Self {
        Self {
            raster,
            resizer: Resizer::new(),
            last: None,
        }
    }

    fn make(&mut self, size: (u32, u32)) -> Result<&RgbImage, ImageError> {
        let large = |last: &&RgbImage| {
            last.width() >= size.0 * REDUCED_FROM && last.height() >= size.1 * REDUCED_FROM
        };
        let upright = match self.last.as_ref().filter(large) {
            Some(last) => resize(&mut self.resizer, last, size)?,
            None => self.first(size)?,
        };
        Ok(self.last.insert(upright))
    }

    /// Turning is cheaper once the picture is small, and so are colours.
    fn first(&mut self, (width, height): (u32, u32)) -> Result<RgbImage, ImageError> {
        let lying = match self.raster.lies() {
            true => (height, width),
            false => (width, height),
        };
        let mut image = resize(&mut self.resizer, &self.raster.pixels, lying)?;
        if let Some(profile) = &self.raster.profile {
            colour::to_srgb(&mut image, profile);
        }
        let mut image = DynamicImage::ImageRgb8(image);
        image.apply_orientation(self.raster.orientation);
        Ok(image.into_rgb8())
    }
}

fn resize(
    resizer: &mut Resizer,
    from: &RgbImage,
    (width, height): (u32, u32),
) -> Result<RgbImage, ImageError> {
    if from.dimensions() == (width, height) {
        return Ok(from.clone());
    }
    let source = ImageRef::new(from.width(), from.height(), from.as_raw(), PixelType::U8x3)
        .map_err(|_| ImageError::Internal)?;
    let mut target = Image::new(width, height, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    resizer
        .resize(&source, &mut target, &options)
        .map_err(|_| ImageError::Internal)?;
    RgbImage::from_raw(width, height, target.into_vec()).ok_or(ImageError::Internal)
}

/// Baseline, 4:2:0, the standard Huffman tables: with optimized ones jpeg-encoder puts each
/// component into a scan of its own, which decoders in the field turn into noise.
fn encode(image: &RgbImage) -> Result<Picture, ImageError> {
    let (width, height) = image.dimensions();
    let side = |side: u32| u16::try_from(side).map_err(|_| ImageError::Internal);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode(image.as_raw(), side(width)?, side(height)?, ColorType::Rgb)
        .map_err(|_| ImageError::Internal)?;
    Ok(Picture {
        bytes: Bytes::from(bytes),
        width,
        height,
    })
}
