//! Pictures made for tests: always the same, and with the content of a photograph.

use image::{Rgb, RgbImage};

/// Smooth light, edges of shapes and the noise of a sensor.
pub(crate) fn photo(width: u32, height: u32) -> RgbImage {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let (w, h) = (width as f32, height as f32);
    RgbImage::from_fn(width, height, |x, y| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let noise = (seed % 13) as f32 - 6.0;
        let (u, v) = (x as f32 / w, y as f32 / h);
        let light = 120.0 + 90.0 * (u * 3.0).sin() * (v * 2.0).cos();
        let leaves = 18.0 * (u * 160.0 + (v * 90.0).sin() * 3.0).sin() * (v * 140.0).cos();
        let disc = (u - 0.6).hypot((v - 0.4) * h / w) < 0.18;
        let stripe = ((u + v) * 12.0).fract() < 0.08;
        let (r, g, b) = match (disc, stripe) {
            (true, _) => (60.0, -20.0, -70.0),
            (_, true) => (-70.0, -60.0, -30.0),
            _ => (10.0 * u, 20.0 * v, 40.0 - 60.0 * v),
        };
        let value = |tint: f32| (light + leaves + noise + tint).clamp(0.0, 255.0) as u8;
        Rgb([value(r), value(g), value(b)])
    })
}

/// The likeness of two pictures in dB; above 30 a person sees the same picture.
pub(crate) fn psnr(one: &RgbImage, other: &RgbImage) -> f64 {
    assert_eq!(one.dimensions(), other.dimensions());
    let sum: f64 = one
        .as_raw()
        .iter()
        .zip(other.as_raw())
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    10.0 * (255.0_f64.powi(2) * one.as_raw().len() as f64 / sum.max(1e-9)).log10()
}
