//! JPEGs decoded without a line of C.
//!
//! zune-jpeg is the fastest decoder in Rust, but 0.5.15 turns sequential files whose components
//! lie in scans of their own into noise where chroma is subsampled, and says nothing. Such files
//! are rare and legal (jpegtran, some optimizers), so the slower jpeg-decoder reads them.

use image::RgbImage;
use jpeg_decoder::PixelFormat;
use zune_jpeg::{
    JpegDecoder,
    errors::DecodeErrors,
    zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions},
};

use crate::image::{Form, decode::Raster, error::ImageError, jpeg::Jpeg};

/// Decodes every pixel: neither decoder can leave any out.
pub(in crate::image) fn decode(
    bytes: &[u8],
    header: Jpeg,
    _forms: &[Form],
) -> Result<Raster, ImageError> {
    let bytes = fenced(bytes, header.end);
    let rgb = match header.common {
        true => common(&bytes, &header)?,
        false => rare(&bytes)?,
    };
    let pixels = RgbImage::from_raw(header.width, header.height, rgb);
    Ok(Raster {
        pixels: pixels.ok_or(ImageError::Damaged)?,
        size: (header.width, header.height),
        orientation: header.orientation,
        profile: header.profile,
    })
}

/// Both decoders are silent when a scan ends before the last block and make the rest up. So a
/// fence of ones is put before the end marker: a whole scan ends in front of it (its last byte is
/// filled up with ones as well), and whoever goes on reads the code of all ones, which no Huffman
/// table may hold (T.81, annex C) and which ends the decoding.
fn fenced(bytes: &[u8], end: usize) -> Vec<u8> {
    const ONES: [u8; 2] = [0xFF, 0x00];
    // More than the longest code, and more than decoders read ahead.
    const CODES: usize = 64;
    let picture = bytes.get(..end).unwrap_or(bytes);
    let mut fenced = Vec::with_capacity(picture.len() + 2 * CODES + 2);
    fenced.extend_from_slice(picture);
    fenced.extend_from_slice(&ONES.repeat(CODES));
    fenced.extend_from_slice(&[0xFF, 0xD9]);
    fenced
}

fn common(bytes: &[u8], header: &Jpeg) -> Result<Vec<u8>, ImageError> {
    // Strict, because the forgiving mode fills what is missing with grey.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(header.width as usize)
        .set_max_height(header.height as usize)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
        .decode()
        .map_err(|error| {
            tracing::debug!(?error, "a JPEG cannot be decoded");
            match error {
                DecodeErrors::ExhaustedData => ImageError::Truncated,
                _ => ImageError::Damaged,
            }
        })
}

fn rare(bytes: &[u8]) -> Result<Vec<u8>, ImageError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let decoded = decoder.decode().map_err(|error| {
        tracing::debug!(%error, "a JPEG cannot be decoded");
        ImageError::Damaged
    })?;
    match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::RGB24) => Ok(decoded),
        Some(PixelFormat::L8) => Ok(decoded.iter().flat_map(|&grey| [grey; 3]).collect()),
        _ => Err(ImageError::Damaged),
    }
}
