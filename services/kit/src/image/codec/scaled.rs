//! JPEGs decoded by libjpeg (mozjpeg), which can leave out the detail that no form needs: the
//! inverse DCT of a block of 8 x 8 gives 4 x 4, 2 x 2 or 1 x 1 pixels at a fraction of the time.

use std::{
    cell::Cell,
    ffi::c_int,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use image::RgbImage;
use mozjpeg::Decompress;
use mozjpeg_sys::{jpeg_common_struct, jpeg_error_mgr, jpeg_std_error};

use crate::image::{Form, decode::Raster, error::ImageError, jpeg::Jpeg};

/// How many times larger than the largest form the decoded picture is at least. At 1 the block
/// averages would be the result and look coarse; at 2 the difference to full decoding is lost in
/// that of quality 85. Pillow's draft mode keeps the same distance.
const RESERVE: u32 = 2;

/// Decodes as many pixels as the largest form needs.
pub(in crate::image) fn decode(
    bytes: &[u8],
    header: Jpeg,
    forms: &[Form],
) -> Result<Raster, ImageError> {
    let mut raster = Raster {
        pixels: RgbImage::new(0, 0),
        size: (header.width, header.height),
        orientation: header.orientation,
        profile: header.profile,
    };
    let eighths = eighths(&raster, forms);
    // libjpeg leaves through a panic when it cannot go on.
    let decoded = catch_unwind(AssertUnwindSafe(|| scanlines(bytes, eighths)));
    let (pixels, warned) = decoded.map_err(|_| ImageError::Damaged)?.map_err(|error| {
        tracing::debug!(%error, "a JPEG cannot be decoded");
        ImageError::Damaged
    })?;
    // What was missing is grey now.
    if warned {
        return Err(ImageError::Truncated);
    }
    raster.pixels = pixels;
    Ok(raster)
}

/// The least of 1, 2, 4 and 8 eighths that leaves enough pixels for every form.
fn eighths(raster: &Raster, forms: &[Form]) -> u8 {
    let (width, height) = raster.upright();
    let enough = |eighths: &u8| {
        forms.iter().all(|form| {
            let (w, h) = form.fit(width, height);
            let have = |side: u32| (u64::from(side) * u64::from(*eighths)).div_ceil(8);
            have(width) >= u64::from(w * RESERVE) && have(height) >= u64::from(h * RESERVE)
        })
    };
    [1, 2, 4].into_iter().find(enough).unwrap_or(8)
}

/// The pixels, and whether libjpeg had to make some of them up.
fn scanlines(bytes: &[u8], eighths: u8) -> std::io::Result<(RgbImage, bool)> {
    WARNED.set(false);
    let mut decoder = Decompress::builder()
        .with_err(error_manager())
        .from_mem(bytes)?;
    decoder.scale(eighths);
    let mut decoder = decoder.rgb()?;
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    let (width, height) = (side(decoder.width()), side(decoder.height()));
    let rgb = decoder.read_scanlines::<u8>()?;
    decoder.finish()?;
    let short = || std::io::Error::other("fewer pixels than the header says");
    let pixels = RgbImage::from_raw(width, height, rgb).ok_or_else(short)?;
    Ok((pixels, WARNED.get()))
}

thread_local! {
    static WARNED: Cell<bool> = const { Cell::new(false) };
}

/// libjpeg calls its warnings level -1 and its chatter 0 and more.
extern "C-unwind" fn message(_: &mut jpeg_common_struct, level: c_int) {
    if level < 0 {
        WARNED.set(true);
    }
}

/// Ends the decoding without the panic hook: a damaged upload is no fault of the program.
extern "C-unwind" fn fatal(_: &mut jpeg_common_struct) {
    resume_unwind(Box::new("libjpeg cannot go on"));
}

#[expect(
    unsafe_code,
    reason = "mozjpeg takes an error manager only in its C form"
)]
fn error_manager() -> jpeg_error_mgr {
    // SAFETY: all fields are numbers, buffers and optional function pointers, for which zero is
    // a value, and `jpeg_std_error` fills them in before anything reads them.
    let mut manager = unsafe {
        let mut manager = std::mem::zeroed();
        jpeg_std_error(&mut manager);
        manager
    };
    manager.emit_message = Some(message);
    manager.error_exit = Some(fatal);
    manager
}
