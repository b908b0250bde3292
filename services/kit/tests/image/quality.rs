//! What comes out: sizes, likeness, direction, colours, and nothing of the metadata.

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage, imageops};
use jpeg_encoder::SamplingFactor;
use service_kit::image::{Form, Picture};

use crate::{
    FLYER, PROFILE, decoded,
    file::{exif, jpeg, jpeg_with, save, with_segment},
    photo::{photo, psnr},
    process,
};

const ORIGINAL: &[Form] = &[Form {
    suffix: "",
    max_width: u32::MAX,
    max_height: u32::MAX,
}];

fn sizes(pictures: &[Picture]) -> Vec<(u32, u32)> {
    pictures.iter().map(|one| (one.width, one.height)).collect()
}

#[test]
fn each_form_has_its_exact_size_and_is_never_enlarged() {
    let cases = [
        ((1600, 1200), PROFILE, [(500, 375), (128, 96)]),
        // Only the width of a profile picture counts.
        ((600, 1800), PROFILE, [(500, 1500), (43, 128)]),
        ((1600, 1200), FLYER, [(1200, 900), (300, 225)]),
        ((1000, 1700), FLYER, [(706, 1200), (176, 300)]),
        ((400, 100), FLYER, [(400, 100), (300, 75)]),
        ((40, 30), PROFILE, [(40, 30), (40, 30)]),
        ((3000, 2), FLYER, [(1200, 1), (300, 1)]),
        ((1, 1), PROFILE, [(1, 1), (1, 1)]),
    ];
    for ((width, height), forms, expected) in cases {
        let made = process(jpeg(&photo(width, height)), forms).unwrap();
        assert_eq!(sizes(&made), expected, "{width} x {height}");
        for picture in made {
            let decoded = decoded(&picture);
            assert_eq!(decoded.dimensions(), (picture.width, picture.height));
        }
    }
}

#[test]
fn every_way_to_write_a_jpeg_shows_the_same_picture() {
    use SamplingFactor::{F_1_1, F_1_2, F_1_4, F_2_1, F_2_2, F_2_4, F_4_1, F_4_2};
    // Odd sizes, where decoders are wrong most often.
    for (width, height) in [(321, 243), (1000, 152), (65, 65), (8, 40)] {
        let image = imageops::blur(&photo(width, height), 2.0);
        for sampling in [F_1_1, F_2_1, F_1_2, F_2_2, F_4_1, F_4_2, F_1_4, F_2_4] {
            for (progressive, optimized) in [(false, false), (false, true), (true, false)] {
                let file = jpeg_with(&image, |encoder| {
                    encoder.set_sampling_factor(sampling);
                    encoder.set_progressive(progressive);
                    encoder.set_optimized_huffman_tables(optimized);
                });
                let made = process(file, ORIGINAL).unwrap();
                let likeness = psnr(&image, &decoded(&made[0]));
                let story = format!("{width}x{height} {sampling:?} {progressive} {optimized}");
                assert!(likeness > 30.0, "{story}: {likeness:.1} dB");
            }
        }
    }
}

#[test]
fn png_and_webp_show_the_same_picture_under_any_name() {
    let image = photo(320, 240);
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let made = process(save(&image.clone().into(), format), ORIGINAL).unwrap();
        assert!(psnr(&image, &decoded(&made[0])) > 30.0, "{format:?}");
    }
    let grey = DynamicImage::ImageLuma8(DynamicImage::from(image).into_luma8());
    let made = process(save(&grey, ImageFormat::Png), ORIGINAL).unwrap();
    assert!(psnr(&grey.into_rgb8(), &decoded(&made[0])) > 30.0);
}

#[test]
fn a_grey_jpeg_stays_grey() {
    let grey = DynamicImage::from(photo(100, 80)).into_luma8();
    let mut file = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut file, 90);
    encoder
        .encode(grey.as_raw(), 100, 80, jpeg_encoder::ColorType::Luma)
        .unwrap();
    let made = process(file, ORIGINAL).unwrap();
    assert!(psnr(&DynamicImage::from(grey).into_rgb8(), &decoded(&made[0])) > 30.0);
}

#[test]
fn each_of_the_eight_exif_orientations_stands_upright() {
    let upright = imageops::blur(&photo(240, 160), 1.0);
    use imageops::{flip_horizontal, flip_vertical, rotate90, rotate180, rotate270};
    let files: [RgbImage; 8] = [
        upright.clone(),
        flip_horizontal(&upright),
        rotate180(&upright),
        flip_vertical(&upright),
        rotate270(&flip_horizontal(&upright)),
        rotate270(&upright),
        rotate90(&flip_horizontal(&upright)),
        rotate90(&upright),
    ];
    for (value, lying) in (1..).zip(files) {
        let file = with_segment(&jpeg(&lying), 0xE1, &exif(value));
        let made = process(file, ORIGINAL).unwrap();
        assert_eq!(sizes(&made), [(240, 160)], "orientation {value}");
        let likeness = psnr(&upright, &decoded(&made[0]));
        assert!(likeness > 30.0, "orientation {value}: {likeness:.1} dB");
    }
}

#[test]
fn position_comments_and_whatever_follows_the_picture_are_gone() {
    let file = with_segment(&jpeg(&photo(64, 48)), 0xE1, &exif(1));
    let file = with_segment(&file, 0xFE, b"a secret comment");
    let mut file = with_segment(&file, 0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>");
    file.extend(b"PK\x03\x04<script>alert(1)</script>");
    for picture in process(file, PROFILE).unwrap() {
        let found = |text: &[u8]| picture.bytes.windows(text.len()).any(|part| part == text);
        for text in [
            &b"Exif"[..],
            b"GPS",
            b"comment",
            b"xmpmeta",
            b"script",
            b"PK\x03\x04",
        ] {
            assert!(!found(text), "{}", text.escape_ascii());
        }
        assert!(picture.bytes.ends_with(&[0xFF, 0xD9]));
    }
}

#[test]
fn what_shines_through_is_white() {
    let clear = RgbaImage::from_pixel(32, 32, Rgba([200, 0, 0, 0]));
    let half = RgbaImage::from_pixel(32, 32, Rgba([255, 0, 0, 128]));
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        for (image, expected) in [(&clear, [255, 255, 255]), (&half, [255, 127, 127])] {
            let made = process(save(&image.clone().into(), format), ORIGINAL).unwrap();
            let pixel = decoded(&made[0]).get_pixel(16, 16).0;
            let near = pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3);
            assert!(near, "{format:?}: {pixel:?}");
        }
    }
}

#[test]
fn colours_of_a_wider_profile_become_those_of_srgb() {
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let image = RgbImage::from_pixel(64, 64, Rgb([200, 60, 60]));
    let data = [b"ICC_PROFILE\0\x01\x01", profile.as_slice()].concat();
    let made = process(with_segment(&jpeg(&image), 0xE2, &data), ORIGINAL).unwrap();
    let [red, green, blue] = decoded(&made[0]).get_pixel(32, 32).0;
    // Display P3 (200, 60, 60) is about sRGB (216, 42, 50).
    assert!(red > 210 && green < 52 && blue < 57, "{red} {green} {blue}");
}

#[test]
fn a_thumbnail_made_from_the_picture_is_as_good_as_one_made_from_the_upload() {
    const THUMBNAIL: &[Form] = &[FLYER[1]];
    let file = jpeg(&photo(2000, 1500));
    let both = process(file.clone(), FLYER).unwrap();
    let alone = process(file, THUMBNAIL).unwrap();
    let likeness = psnr(&decoded(&both[1]), &decoded(&alone[0]));
    println!("thumbnail from the picture against one from the upload: {likeness:.1} dB");
    assert!(likeness > 38.0, "{likeness:.1} dB");
}

#[test]
fn a_scaled_photograph_is_like_one_scaled_by_other_means() {
    let image = photo(2000, 1500);
    let made = process(jpeg(&image), PROFILE).unwrap();
    let reference = imageops::resize(&image, 500, 375, imageops::FilterType::Lanczos3);
    let likeness = psnr(&reference, &decoded(&made[0]));
    println!("against a Lanczos reference: {likeness:.1} dB");
    assert!(likeness > 32.0, "{likeness:.1} dB");
    assert!(made[0].bytes.len() * 2 < jpeg(&image).len());
}

#[test]
fn the_same_content_has_the_same_name() {
    let file = jpeg(&photo(64, 48));
    let (one, other) = (process(file.clone(), PROFILE), process(file, PROFILE));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one[0].content_hash(), other[0].content_hash());
    assert_eq!(one[0].content_hash().len(), 32);
    let another = process(jpeg(&photo(64, 47)), PROFILE).unwrap();
    assert_ne!(one[0].content_hash(), another[0].content_hash());
}
