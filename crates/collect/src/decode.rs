//! Bytes of one export into wire spans, never beyond the limit.

use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

/// Why an export is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLarge,
    Malformed(String),
}

/// The export in `body`. What unpacks to more than `max` bytes is refused as soon as it does.
pub(crate) fn decode(
    body: &[u8],
    gzip: bool,
    max: usize,
) -> Result<ExportTraceServiceRequest, Refused> {
    if !gzip {
        return message(body);
    }
    let mut unpacked = Vec::new();
    MultiGzDecoder::new(body)
        .take(max as u64 + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| Refused::Malformed(format!("not gzip: {error}")))?;
    if unpacked.len() > max {
        return Err(Refused::TooLarge);
    }
    message(&unpacked)
}

fn message(bytes: &[u8]) -> Result<ExportTraceServiceRequest, Refused> {
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
