//! From the colours of a profile to sRGB, which is what a JPEG without a profile is shown in.

use image::RgbImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Converts in place. Phones write Display P3: without this their pictures would fade when the
/// profile is dropped. A profile that cannot be read changes nothing, as in a browser.
pub(super) fn to_srgb(image: &mut RgbImage, profile: &[u8]) {
    let Ok(profile) = ColorProfile::new_from_slice(profile) else {
        return;
    };
    if profile.color_space != DataColorSpace::Rgb {
        return;
    }
    let srgb = ColorProfile::new_srgb();
    let options = TransformOptions::default();
    let transform = profile.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, options);
    let Ok(transform) = transform else { return };
    let source = image.as_raw().clone();
    if transform.transform(&source, image).is_err() {
        image.copy_from_slice(&source);
    }
}
