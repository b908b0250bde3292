//! Why a picture is refused, in words for the person who uploads it.

/// Why a picture is refused. The text is for the person who uploads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// No bytes at all.
    #[error("the file is empty; choose a picture")]
    Empty,
    /// More bytes than are read.
    #[error("the file has {} MB, at most {} MB are allowed", megabytes(*.bytes), megabytes(*.limit))]
    TooManyBytes {
        /// Bytes of the file.
        bytes: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// Not a picture, or of a kind that is not read.
    #[error("{found} is not accepted; use JPEG, PNG or WebP")]
    Format {
        /// What the file seems to be.
        found: &'static str,
    },
    /// More pixels than are decoded.
    #[error("the picture has {width} x {height} pixels, at most {} million are allowed", *.limit / 1_000_000)]
    TooManyPixels {
        /// Width in pixels, as the header says.
        width: u32,
        /// Height in pixels, as the header says.
        height: u32,
        /// Pixels that are allowed.
        limit: u64,
    },
    /// A side of no pixels.
    #[error("the picture has no pixels ({width} x {height})")]
    NoPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Several frames.
    #[error("moving pictures are not accepted; save one frame as JPEG, PNG or WebP")]
    Animated,
    /// More than 8 bits a channel.
    #[error("pictures with {bits} bits a channel are not accepted; save it with 8 bits")]
    Depth {
        /// Bits a channel.
        bits: u8,
    },
    /// Colours for print.
    #[error("CMYK pictures (for print) are not accepted; save it as RGB")]
    Cmyk,
    /// The file ends before the picture does.
    #[error("the file ends too early; upload it again")]
    Truncated,
    /// The file contradicts itself or its format.
    #[error("the file is damaged; save the picture again")]
    Damaged,
    /// A rare way to write JPEGs that is not read.
    #[error("this kind of JPEG ({kind}) is not accepted; save the picture again")]
    UnusualJpeg {
        /// What is unusual.
        kind: &'static str,
    },
    /// Every worker has a picture and the queue is full: try again.
    #[error("too many pictures at once; try again in a moment")]
    Busy,
    /// A fault of ours, not of the file.
    #[error("the picture could not be processed")]
    Internal,
}

/// Megabytes of 1024 x 1024 bytes, rounded up.
fn megabytes(bytes: usize) -> usize {
    bytes.div_ceil(1 << 20)
}
