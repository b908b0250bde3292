//! What the markers of a JPEG say, read before anything is decoded.
//!
//! Decoders forgive much: they fill what is missing with grey and guess what is wrong. A
//! picture that is kept for years is better refused than half shown, so the markers are
//! walked from the first to the last (ITU-T T.81, annex B).

use image::metadata::Orientation;

use super::error::ImageError;

/// Scans of one file. Libraries write 1, 3 or about 10; each scan of a progressive JPEG costs a
/// walk over all pixels, so a small file with thousands of them keeps a thread busy for minutes.
const MAX_SCANS: usize = 64;

/// What a JPEG that can be decoded says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Jpeg {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Written in the way that nearly all are: every decoder gets it right.
    pub(super) common: bool,
    pub(super) orientation: Orientation,
    /// The ICC colour profile.
    pub(super) profile: Option<Vec<u8>>,
    /// Where the end marker is; what follows it is no part of the picture.
    pub(super) end: usize,
}

/// The frame header, and what the scans so far have brought.
struct Frame {
    width: u16,
    height: u16,
    progressive: bool,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    /// Horizontal and vertical sampling factor.
    sampling: (u8, u8),
    /// For each of the 64 coefficients, how many of its low bits are still to come.
    missing: [u8; 64],
}

/// More bits than a coefficient can lack: nothing of it has come.
const NOTHING: u8 = u8::MAX;

/// Reads the markers of a whole file.
pub(super) fn read(bytes: &[u8]) -> Result<Jpeg, ImageError> {
    let mut rest = Reader { bytes, at: 2 };
    let mut frame: Option<Frame> = None;
    let mut scans = 0;
    let mut interleaved = true;
    let mut orientation = None;
    let mut profile = Vec::new();
    loop {
        match rest.marker()? {
            0xD9 => break,
            0xD8 => return Err(ImageError::Damaged),
            0x01 | 0xD0..=0xD7 => {}
            kind @ (0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF) => {
                let segment = rest.segment()?;
                if frame.is_some() {
                    return Err(ImageError::Damaged);
                }
                frame = Some(Frame::read(kind, segment)?);
            }
            0xDA => {
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(ImageError::UnusualJpeg {
                        kind: "too many scans",
                    });
                }
                let segment = rest.segment()?;
                let frame = frame.as_mut().ok_or(ImageError::Damaged)?;
                interleaved &= frame.scan(segment)?;
                rest.skip_entropy_coded();
            }
            0xE1 => {
                let exif = rest.segment()?.strip_prefix(b"Exif\0\0");
                orientation = orientation.or_else(|| Orientation::from_exif_chunk(exif?));
            }
            0xE2 => {
                // Large profiles come in parts, each with its number and their count.
                if let Some([_, _, part @ ..]) = rest.segment()?.strip_prefix(b"ICC_PROFILE\0") {
                    profile.extend_from_slice(part);
                }
            }
            0xDC => {
                return Err(ImageError::UnusualJpeg {
                    kind: "height after the picture",
                });
            }
            _ => {
                rest.segment()?;
            }
        }
    }
    let frame = frame.ok_or(ImageError::Damaged)?;
    Ok(Jpeg {
        width: frame.width.into(),
        height: frame.height.into(),
        common: frame.finish(interleaved)?,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        profile: Some(profile).filter(|profile| !profile.is_empty()),
        end: rest.at - 2,
    })
}

impl Frame {
    fn read(kind: u8, segment: &[u8]) -> Result<Self, ImageError> {
        match kind {
            0xC0..=0xC2 => {}
            0xC3 | 0xC7 | 0xCB | 0xCF => return Err(ImageError::UnusualJpeg { kind: "lossless" }),
            0xC5 | 0xC6 | 0xCD | 0xCE => {
                return Err(ImageError::UnusualJpeg {
                    kind: "hierarchical",
                });
            }
            _ => {
                return Err(ImageError::UnusualJpeg {
                    kind: "arithmetic coding",
                });
            }
        }
        let &[bits, h1, h0, w1, w0, count, ref list @ ..] = segment else {
            return Err(ImageError::Damaged);
        };
        if bits != 8 {
            return Err(ImageError::Depth { bits });
        }
        if count == 4 {
            return Err(ImageError::Cmyk);
        }
        if !matches!(count, 1 | 3) || list.len() != usize::from(count) * 3 {
            return Err(ImageError::Damaged);
        }
        let components = list
            .chunks_exact(3)
            .map(|part| Component {
                id: part[0],
                sampling: (part[1] >> 4, part[1] & 15),
                missing: [NOTHING; 64],
            })
            .collect::<Vec<_>>();
        let valid = |factor| (1..=4).contains(&factor);
        if !components
            .iter()
            .all(|one| valid(one.sampling.0) && valid(one.sampling.1))
        {
            return Err(ImageError::Damaged);
        }
        Ok(Self {
            width: u16::from_be_bytes([w1, w0]),
            height: u16::from_be_bytes([h1, h0]),
            progressive: kind == 0xC2,
            components,
        })
    }

    /// Notes what a scan brings; whether it brings every component at once.
    fn scan(&mut self, segment: &[u8]) -> Result<bool, ImageError> {
        let (&count, rest) = segment.split_first().ok_or(ImageError::Damaged)?;
        let length = usize::from(count) * 2;
        let (Some(list), Some(&[first, last, bits])) = (rest.get(..length), rest.get(length..))
        else {
            return Err(ImageError::Damaged);
        };
        // A sequential scan brings whole coefficients, whatever these bytes say.
        let (first, last, low) = match self.progressive {
            true => (usize::from(first), usize::from(last), bits & 15),
            false => (0, 63, 0),
        };
        if first > last || last > 63 {
            return Err(ImageError::Damaged);
        }
        for part in list.chunks_exact(2) {
            let component = self
                .components
                .iter_mut()
                .find(|one| one.id == part[0])
                .ok_or(ImageError::Damaged)?;
            component.missing[first..=last].fill(low);
        }
        Ok(usize::from(count) == self.components.len())
    }

    /// Checks that all has come; whether the file is written in the common way.
    fn finish(&self, interleaved: bool) -> Result<bool, ImageError> {
        // The last scans were cut off and an end was put in their place.
        if self.components.iter().any(|one| one.missing != [0; 64]) {
            return Err(ImageError::Truncated);
        }
        let sampling = match self.components.as_slice() {
            [luma, chroma @ ..] if !chroma.is_empty() => {
                matches!(luma.sampling, (1 | 2, 1 | 2))
                    && chroma.iter().all(|one| one.sampling == (1, 1))
            }
            _ => true,
        };
        Ok(sampling && (self.progressive || interleaved))
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next marker; bytes in front of it that belong to nothing are passed over.
    fn marker(&mut self) -> Result<u8, ImageError> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let start = rest.iter().position(|&byte| byte == 0xFF);
            let start = start.ok_or(ImageError::Truncated)?;
            match rest.get(start + 1) {
                None => return Err(ImageError::Truncated),
                Some(0xFF) => self.at += start + 1,
                Some(0x00) => self.at += start + 2,
                Some(&marker) => {
                    self.at += start + 2;
                    return Ok(marker);
                }
            }
        }
    }

    /// The parameters behind a marker, without their length.
    fn segment(&mut self) -> Result<&'a [u8], ImageError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let &[high, low, ..] = rest else {
            return Err(ImageError::Truncated);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(ImageError::Damaged);
        }
        self.at += length;
        rest.get(2..length).ok_or(ImageError::Truncated)
    }

    /// Goes to the marker that ends a scan: neither a stuffed zero nor a restart.
    fn skip_entropy_coded(&mut self) {
        while let Some(&[first, second]) = self.bytes.get(self.at..self.at + 2) {
            if first == 0xFF && !matches!(second, 0x00 | 0xD0..=0xD7) {
                return;
            }
            self.at += 1;
        }
        self.at = self.bytes.len();
    }
}
