//! Bytes of one export into wire spans, never beyond the limit.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use crate::measure::fits;

/// Why an export is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLarge,
    Malformed(String),
}

/// Bytes of structs for each byte of the largest body. An honest export makes two of one: a span of
/// some 300 bytes on the wire becomes a struct and ten attributes.
const STRUCTS_PER_BYTE: usize = 4;

/// The export in `body`. What unpacks to more than `max` bytes is refused as soon as it does, and
/// what would decode to more than four times as many before it is decoded.
pub(crate) fn decode(
    body: &[u8],
    gzip: bool,
    max: usize,
) -> Result<ExportTraceServiceRequest, Refused> {
    if !gzip {
        return message(body, max);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(body)
        .take(max as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| Refused::Malformed(format!("not gzip: {error}")))?;
    if unpacked.len() > max {
        return Err(Refused::TooLarge);
    }
    message(&unpacked, max)
}

fn message(bytes: &[u8], max: usize) -> Result<ExportTraceServiceRequest, Refused> {
    if !fits(bytes, max.saturating_mul(STRUCTS_PER_BYTE)) {
        return Err(Refused::TooLarge);
    }
    ExportTraceServiceRequest::decode(bytes)
        .map_err(|error| Refused::Malformed(format!("not an ExportTraceServiceRequest: {error}")))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_gzip_bomb_is_refused_without_being_unpacked() {
        let bomb = packed(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decode(&bomb, true, 1 << 20), Err(Refused::TooLarge));
    }

    #[test]
    fn a_million_empty_spans_are_refused_before_they_are_decoded() {
        let empty_spans = [0x12, 0].repeat(1 << 20);
        let wrapped = |field: u8, inner: &[u8]| {
            let mut outer = vec![field];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend(inner);
            outer
        };
        let body = wrapped(0x0a, &wrapped(0x12, &empty_spans));
        let max = body.len();
        assert_eq!(decode(&body, false, max), Err(Refused::TooLarge));
        assert_eq!(decode(&packed(&body), true, max), Err(Refused::TooLarge));
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes, false, 1000);
            let _ = decode(&bytes, true, 1000);
            let plain = decode(&bytes, false, 1000);
            prop_assert_eq!(decode(&packed(&bytes), true, 1000).ok(), plain.ok());
        }
    }
}
