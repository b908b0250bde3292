//! What becomes of pictures that people upload, and which of them are refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod file;
mod photo;
mod quality;
mod refused;
mod work;

use bytes::Bytes;
use image::RgbImage;
use service_kit::image::{Form, ImageError, ImageOptions, Images, Picture};

/// The forms of a profile picture.
const PROFILE: &[Form] = &[
    Form {
        suffix: "",
        max_width: 500,
        max_height: u32::MAX,
    },
    Form {
        suffix: "_128",
        max_width: 128,
        max_height: 128,
    },
];

/// The forms of a flyer's image.
const FLYER: &[Form] = &[
    Form {
        suffix: "",
        max_width: 1200,
        max_height: 1200,
    },
    Form {
        suffix: "_300",
        max_width: 300,
        max_height: 300,
    },
];

fn process(bytes: Vec<u8>, forms: &'static [Form]) -> Result<Vec<Picture>, ImageError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let images = Images::start(ImageOptions::default()).unwrap();
    runtime
        .unwrap()
        .block_on(images.process(Bytes::from(bytes), forms))
}

/// Decodes with a decoder that the service does not use for common files.
fn decoded(picture: &Picture) -> RgbImage {
    let mut decoder = jpeg_decoder::Decoder::new(&*picture.bytes);
    let pixels = decoder.decode().unwrap();
    RgbImage::from_raw(picture.width, picture.height, pixels).unwrap()
}
