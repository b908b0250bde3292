//! Pictures that people upload, made into JPEGs of the sizes a service shows.
//!
//! JPEG, PNG and WebP come in, told apart by their content. What goes out is upright, in sRGB,
//! flat on white, without metadata, quality 85, never larger than what came in. Whatever is not
//! whole and plain is refused with a sentence for the person who uploads it: a header is read
//! and judged before a single pixel is decoded.
//!
//! ```
//! use service_kit::image::{Form, ImageOptions, Images};
//!
//! const PROFILE: &[Form] = &[
//!     Form { suffix: "", max_width: 500, max_height: u32::MAX },
//!     Form { suffix: "_128", max_width: 128, max_height: 128 },
//! ];
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let images = Images::start(ImageOptions::default()).unwrap();
//! let refused = images.process("GIF89a".into(), PROFILE).await.unwrap_err();
//! assert_eq!(refused.to_string(), "GIF is not accepted; use JPEG, PNG or WebP");
//! # }
//! ```

mod codec;
mod colour;
mod decode;
mod error;
mod files;
mod jpeg;
mod png;
mod scale;
mod webp;
mod work;

use bytes::Bytes;
use twox_hash::XxHash3_128;

pub use error::ImageError;
pub use files::{Made, files_of, make};
pub use work::{ImageOptions, Images, MAX_BYTES, MAX_PIXELS};

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

/// All of the work on one picture; takes as long as it takes.
fn process(
    bytes: &[u8],
    forms: &[Form],
    bounds: decode::Bounds,
) -> Result<Vec<Picture>, ImageError> {
    let upload = decode::decode(bytes, bounds, forms)?;
    scale::pictures(&upload, forms)
}
