//! Pictures that people upload, made into JPEGs of the sizes a service shows.

mod error;
mod work;

use bytes::Bytes;
use twox_hash::XxHash3_128;

pub use error::ImageError;
pub use work::{ImageOptions, Images};

/// One size in which a picture is wanted: it is made to fit, never enlarged, never cropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What the file name ends in before `.jpg`: `""` for the main size, `"_128"` for its thumbnail.
    pub suffix: &'static str,
    /// The greatest width in pixels.
    pub max_width: u32,
    /// The greatest height in pixels; `u32::MAX` where only the width counts.
    pub max_height: u32,
}

/// A finished JPEG: quality 85, upright, without metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Picture {
    /// 128 bits of XXH3 over the file as 32 hexadecimal digits: the same name for the same content.
    pub fn content_hash(&self) -> String {
        format!("{:032x}", XxHash3_128::oneshot(&self.bytes))
    }
}
