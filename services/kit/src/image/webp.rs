//! What the chunks of a WebP say, read before anything is decoded (RFC 9649).

use super::error::ImageError;

/// The flag of `VP8X` that announces frames.
const ANIMATION: u8 = 0b10;

/// Width and height of a WebP that is whole and still.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, u32), ImageError> {
    let size = number(bytes.get(4..8))?;
    // The size counts what follows it: the name of the format and the chunks.
    let end = usize::try_from(size)
        .ok()
        .and_then(|size| size.checked_add(8));
    let mut rest = end
        .and_then(|end| bytes.get(12..end))
        .ok_or(ImageError::Truncated)?;
    let mut canvas = None;
    let mut image = None;
    while !rest.is_empty() {
        let (kind, data) = chunk(&mut rest)?;
        match kind {
            b"VP8X" => {
                let flags = *data.first().ok_or(ImageError::Damaged)?;
                if flags & ANIMATION != 0 {
                    return Err(ImageError::Animated);
                }
                canvas = Some((minus_one(data.get(4..7))?, minus_one(data.get(7..10))?));
            }
            b"ANIM" | b"ANMF" => return Err(ImageError::Animated),
            b"VP8 " => image = Some(lossy(data)?),
            b"VP8L" => image = Some(lossless(data)?),
            _ => {}
        }
    }
    let image = image.ok_or(ImageError::Truncated)?;
    match canvas {
        Some(canvas) if canvas != image => Err(ImageError::Damaged),
        _ => Ok(image),
    }
}

/// Takes one chunk; its data is filled up to an even length.
fn chunk<'a>(rest: &mut &'a [u8]) -> Result<(&'a [u8; 4], &'a [u8]), ImageError> {
    let (kind, tail) = rest.split_first_chunk::<4>().ok_or(ImageError::Truncated)?;
    let length = number(tail.get(..4))? as usize;
    let tail = &tail[4..];
    let data = tail.get(..length).ok_or(ImageError::Truncated)?;
    // Some writers leave the last filling byte out.
    *rest = tail.get(length + length % 2..).unwrap_or_default();
    Ok((kind, data))
}

/// The frame header of VP8: a tag of 3 bytes, a start code of 3, then two sides of 14 bits.
fn lossy(data: &[u8]) -> Result<(u32, u32), ImageError> {
    let &[_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1, ..] = data else {
        return Err(ImageError::Damaged);
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
    Ok((side(w0, w1), side(h0, h1)))
}

/// The header of VP8L: a signature byte, then two sides of 14 bits, each less one.
fn lossless(data: &[u8]) -> Result<(u32, u32), ImageError> {
    let &[0x2F, b0, b1, b2, b3, ..] = data else {
        return Err(ImageError::Damaged);
    };
    let bits = u32::from_le_bytes([b0, b1, b2, b3]);
    Ok(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1))
}

fn number(bytes: Option<&[u8]>) -> Result<u32, ImageError> {
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_le_bytes).ok_or(ImageError::Truncated)
}

/// A side of 24 bits, stored less one.
fn minus_one(bytes: Option<&[u8]>) -> Result<u32, ImageError> {
    match bytes {
        Some(&[b0, b1, b2]) => Ok(u32::from_le_bytes([b0, b1, b2, 0]) + 1),
        _ => Err(ImageError::Damaged),
    }
}
