//! What the chunks of a PNG say, read before anything is decoded.

use super::error::ImageError;

/// The signature that every PNG begins with.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Width and height of a PNG that is whole, still and of 8 bits a channel at most.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, u32), ImageError> {
    let mut rest = bytes.get(SIGNATURE.len()..).unwrap_or_default();
    let (kind, header) = chunk(&mut rest)?;
    let (b"IHDR", &[w3, w2, w1, w0, h3, h2, h1, h0, bits, ..]) = (&kind, header) else {
        return Err(ImageError::Damaged);
    };
    if bits > 8 {
        return Err(ImageError::Depth { bits });
    }
    loop {
        match &chunk(&mut rest)?.0 {
            // The animation control chunk of APNG.
            b"acTL" => return Err(ImageError::Animated),
            b"IEND" => break,
            _ => {}
        }
    }
    Ok((
        u32::from_be_bytes([w3, w2, w1, w0]),
        u32::from_be_bytes([h3, h2, h1, h0]),
    ))
}

/// Takes one chunk: its type and its data. The checksum is for the decoder.
fn chunk<'a>(rest: &mut &'a [u8]) -> Result<([u8; 4], &'a [u8]), ImageError> {
    let &[l3, l2, l1, l0, a, b, c, d, ref tail @ ..] = *rest else {
        return Err(ImageError::Truncated);
    };
    let length = u32::from_be_bytes([l3, l2, l1, l0]) as usize;
    let data = tail.get(..length).ok_or(ImageError::Truncated)?;
    *rest = length
        .checked_add(4)
        .and_then(|end| tail.get(end..))
        .ok_or(ImageError::Truncated)?;
    Ok(([a, b, c, d], data))
}
