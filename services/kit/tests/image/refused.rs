//! Every reason to refuse a file, with a file of that kind.

use image::{DynamicImage, ImageFormat, RgbImage};
use service_kit::image::ImageError;

use crate::{
    PROFILE,
    file::{chunk, frame, jpeg, jpeg_with, png_of_size, save, with_segment},
    photo::photo,
    process,
};

fn refusal(bytes: Vec<u8>) -> ImageError {
    process(bytes, PROFILE).expect_err("the file must be refused")
}

fn png() -> Vec<u8> {
    save(&photo(64, 48).into(), ImageFormat::Png)
}

fn webp() -> Vec<u8> {
    save(&photo(64, 48).into(), ImageFormat::WebP)
}

#[test]
fn other_formats_are_named_and_the_right_ones_too() {
    let files: [(&[u8], &str); 9] = [
        (b"GIF89a\x01\0\x01\0", "GIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"BM\0\0\0\0", "BMP"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"#!/bin/sh\n", "this file"),
    ];
    for (bytes, found) in files {
        let error = refusal(bytes.to_vec());
        assert_eq!(
            error.to_string(),
            format!("{found} is not accepted; use JPEG, PNG or WebP")
        );
    }
    assert_eq!(refusal(Vec::new()), ImageError::Empty);
}

#[test]
fn a_file_of_more_bytes_than_allowed_is_refused() {
    let mut bytes = jpeg(&photo(64, 48));
    bytes.resize((5 << 20) + 1, 0);
    let error = refusal(bytes);
    assert_eq!(
        error.to_string(),
        "the file has 6 MB, at most 5 MB are allowed"
    );
}

#[test]
fn a_small_file_with_a_huge_picture_is_refused_by_its_header() {
    let mut bomb = jpeg(&photo(64, 48));
    let at = frame(&bomb);
    bomb[at + 5..at + 9].copy_from_slice(&[0xFF; 4]);
    let many = |error| {
        matches!(
            error,
            ImageError::TooManyPixels {
                limit: 50_000_000,
                ..
            }
        )
    };
    assert!(many(refusal(bomb)));
    assert!(many(refusal(png_of_size(&png(), 100_000, 100_000))));
    let mut bomb = webp();
    // The two sides of 14 bits behind the signature byte of VP8L.
    bomb[21..25].copy_from_slice(&[0xFF, 0xFF, 0xFF, 0x0F]);
    assert!(many(refusal(bomb)));
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let image = photo(160, 120);
    let progressive = jpeg_with(&image, |encoder| encoder.set_progressive(true));
    for (name, file) in [
        ("jpeg", jpeg(&image)),
        ("progressive", progressive),
        ("png", png()),
        ("webp", webp()),
    ] {
        for part in 1..20 {
            let end = file.len() * part / 20;
            let error = refusal(file[..end].to_vec());
            let right = matches!(error, ImageError::Truncated | ImageError::Damaged);
            assert!(
                right || end < 8,
                "{name} cut at {end} of {}: {error:?}",
                file.len()
            );
        }
        let last = file[..file.len() - 1].to_vec();
        assert!(matches!(refusal(last), ImageError::Truncated), "{name}");
    }
}

#[test]
fn a_truncated_jpeg_with_an_end_put_behind_it_is_refused() {
    let image = photo(160, 120);
    let variants = [
        ("baseline", jpeg(&image)),
        (
            "progressive",
            jpeg_with(&image, |encoder| encoder.set_progressive(true)),
        ),
        (
            "optimized",
            jpeg_with(&image, |encoder| encoder.set_optimized_huffman_tables(true)),
        ),
        (
            "restarts",
            jpeg_with(&image, |encoder| encoder.set_restart_interval(4)),
        ),
    ];
    for (name, file) in variants {
        for part in 10..20 {
            let cut = &file[..file.len() * part / 20];
            let error = process([cut, &[0xFF, 0xD9]].concat(), PROFILE);
            let refused = matches!(error, Err(ImageError::Truncated | ImageError::Damaged));
            assert!(refused, "{name} cut at {part} of 20");
        }
    }
}

#[test]
fn a_header_that_promises_more_than_the_file_has_is_refused() {
    let mut file = jpeg(&photo(64, 48));
    let at = frame(&file);
    file[at + 5..at + 7].copy_from_slice(&200_u16.to_be_bytes());
    let damaged = |error| matches!(error, ImageError::Truncated | ImageError::Damaged);
    assert!(damaged(refusal(file)));
    assert!(damaged(refusal(png_of_size(&png(), 64, 200))));
    assert!(damaged(refusal(png_of_size(&png(), 65, 48))));
    let mut file = webp();
    file[21] ^= 0x40;
    assert!(damaged(refusal(file)));
}

#[test]
fn moving_pictures_are_refused() {
    let still = png();
    let apng = [
        &still[..33],
        &chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]),
        &still[33..],
    ]
    .concat();
    assert_eq!(refusal(apng), ImageError::Animated);
    let mut moving = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
    moving.extend([0b10, 0, 0, 0, 63, 0, 0, 47, 0, 0]);
    assert_eq!(refusal(moving), ImageError::Animated);
}

#[test]
fn deep_colours_and_colours_for_print_are_refused() {
    let deep = DynamicImage::ImageRgb16(DynamicImage::from(photo(64, 48)).into_rgb16());
    assert_eq!(
        refusal(save(&deep, ImageFormat::Png)),
        ImageError::Depth { bits: 16 }
    );
    let mut deep = jpeg(&photo(64, 48));
    let at = frame(&deep);
    deep[at + 4] = 12;
    assert_eq!(refusal(deep), ImageError::Depth { bits: 12 });

    let mut print = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut print, 90);
    encoder
        .encode(&[9; 16 * 16 * 4], 16, 16, jpeg_encoder::ColorType::Cmyk)
        .unwrap();
    assert_eq!(refusal(print), ImageError::Cmyk);
}

#[test]
fn pictures_without_pixels_are_refused() {
    let mut file = jpeg(&photo(64, 48));
    let at = frame(&file);
    file[at + 5..at + 7].fill(0);
    assert_eq!(
        refusal(file),
        ImageError::NoPixels {
            width: 64,
            height: 0
        }
    );
    let error = refusal(png_of_size(&png(), 0, 48));
    assert_eq!(
        error,
        ImageError::NoPixels {
            width: 0,
            height: 48
        }
    );
}

#[test]
fn damaged_data_is_refused_or_decoded_but_never_ends_the_worker() {
    for (name, file) in [
        ("jpeg", jpeg(&photo(64, 48))),
        ("png", png()),
        ("webp", webp()),
    ] {
        for at in (0..file.len()).step_by(17) {
            let mut file = file.clone();
            file[at] ^= 0x55;
            let made = process(file, PROFILE);
            assert_ne!(made, Err(ImageError::Internal), "{name} at {at}");
        }
    }
    let mut file = png();
    let middle = file.len() / 2;
    file[middle] ^= 1;
    assert_eq!(refusal(file), ImageError::Damaged);
}

#[test]
fn rare_kinds_of_jpeg_are_refused_by_name() {
    let file = jpeg(&RgbImage::new(16, 16));
    for (marker, kind) in [
        (0xC3, "lossless"),
        (0xC5, "hierarchical"),
        (0xC9, "arithmetic coding"),
    ] {
        let mut file = file.clone();
        let at = frame(&file);
        file[at + 1] = marker;
        assert_eq!(refusal(file), ImageError::UnusualJpeg { kind });
    }
    let scan = file.windows(2).position(|two| two == [0xFF, 0xDA]).unwrap();
    let end = file.len() - 2;
    let many = [&file[..scan], &file[scan..end].repeat(65), &file[end..]].concat();
    assert_eq!(
        refusal(many),
        ImageError::UnusualJpeg {
            kind: "too many scans"
        }
    );
}

#[test]
fn a_segment_longer_than_the_file_is_refused() {
    let mut file = with_segment(&jpeg(&photo(64, 48)), 0xE5, &[0; 64]);
    file[4..6].fill(0xFF);
    file.truncate(2000);
    assert_eq!(refusal(file), ImageError::Truncated);
}
