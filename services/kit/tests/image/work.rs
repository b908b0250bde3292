//! The threads: how many pictures wait, and what happens to the rest.

use bytes::Bytes;
use service_kit::image::{ImageError, ImageOptions, Images};

use crate::{FLYER, PROFILE, file::jpeg, photo::photo};

#[tokio::test]
async fn a_full_queue_says_busy_and_works_again_when_it_is_empty() {
    let images = Images::start(ImageOptions {
        workers: 1,
        waiting: 2,
        ..Default::default()
    });
    let images = images.unwrap();
    let bytes = Bytes::from(jpeg(&photo(1200, 900)));
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let (images, bytes) = (images.clone(), bytes.clone());
            tokio::spawn(async move { images.process(bytes, FLYER).await })
        })
        .collect();
    let (mut made, mut busy) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(ImageError::Busy) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    // All are offered before the first one can be finished: one is worked on, two wait.
    assert!(
        (2..=4).contains(&made) && made + busy == 12,
        "{made} made, {busy} busy"
    );
    assert!(images.process(bytes, FLYER).await.is_ok());
}

#[tokio::test]
async fn a_picture_that_nobody_waits_for_holds_up_nobody() {
    let images = Images::start(ImageOptions {
        workers: 1,
        waiting: 4,
        ..Default::default()
    });
    let images = images.unwrap();
    let bytes = Bytes::from(jpeg(&photo(640, 480)));
    for _ in 0..20 {
        let gone = tokio::time::timeout(
            std::time::Duration::from_micros(1),
            images.process(bytes.clone(), PROFILE),
        );
        let _ = gone.await;
    }
    loop {
        match images.process(bytes.clone(), PROFILE).await {
            Err(ImageError::Busy) => tokio::task::yield_now().await,
            made => break assert_eq!(made.unwrap().len(), 2),
        }
    }
}

#[tokio::test]
async fn own_limits_hold() {
    let options = ImageOptions {
        max_bytes: 10_000,
        max_pixels: 5000,
        ..Default::default()
    };
    let images = Images::start(options).unwrap();
    let many = images.process(jpeg(&photo(100, 51)).into(), PROFILE).await;
    let expected = ImageError::TooManyPixels {
        width: 100,
        height: 51,
        limit: 5000,
    };
    assert_eq!(many, Err(expected));
    let large = images.process(vec![0; 10_001].into(), PROFILE).await;
    assert_eq!(
        large,
        Err(ImageError::TooManyBytes {
            bytes: 10_001,
            limit: 10_000
        })
    );
}
