//! An entry as it stands in Redis: header, stamps, payload. Whatever is read there may be of an
//! older release, of somebody else, or damaged: then it is a miss.
//!
//! Little-endian; the offset of the nonce is known to the scripts.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `SWC1` |
//! | 1 | flags: 1 nothing is there, 2 LZ4, 4 tombstone |
//! | 8 | nonce: tells this entry from any other of the key |
//! | 8 | schema: of the type and the version of the cache |
//! | 8 | checksum of what follows |
//! | 4, 8, 8, 8 | load time in µs; time to live, revalidate and fail-safe in ms |
//! | 2 + 8 each | stamps |
//! | 4 + n | the key, if it is too long to be told by the name in Redis |
//! | 4 + n | the payload: MessagePack, perhaps compressed |

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};
use twox_hash::XxHash3_64;

use crate::policy::{LONGEST_TTL, Lifetime};

const MAGIC: &[u8; 4] = b"SWC1";
const ABSENT: u8 = 1;
const COMPRESSED: u8 = 2;
const TOMBSTONE: u8 = 4;
/// Where the checksum ends and what it covers begins.
const HEADER: usize = 4 + 1 + 8 + 8 + 8;

/// What is around a value in Redis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) nonce: u64,
    pub(crate) schema: u64,
    pub(crate) stamps: Vec<u64>,
    /// Empty, if the name in Redis tells the key.
    pub(crate) long_key: Vec<u8>,
    pub(crate) load_time: Duration,
    pub(crate) lifetime: Lifetime,
    pub(crate) body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// It is known that there is nothing.
    Absent,
    /// The key was deleted: a load that began before must not be stored.
    Tombstone,
    /// The value, encoded.
    Value(Vec<u8>),
}

/// Where the nonce of an entry stands, counted from 0, for the scripts.
pub(crate) const NONCE_AT: usize = 5;

impl Envelope {
    /// As bytes; a value of at least `compress_from` bytes is compressed.
    pub(crate) fn encode(&self, compress_from: Option<usize>) -> Vec<u8> {
        let (flags, payload) = match &self.body {
            Body::Absent => (ABSENT, Vec::new()),
            Body::Tombstone => (TOMBSTONE, Vec::new()),
            Body::Value(value) if compress_from.is_some_and(|from| value.len() >= from) => {
                (COMPRESSED, lz4_flex::block::compress_prepend_size(value))
            }
            Body::Value(value) => (0, value.clone()),
        };
        let mut tail = Vec::with_capacity(payload.len() + self.long_key.len() + 64);
        let micros = u32::try_from(self.load_time.as_micros()).unwrap_or(u32::MAX);
        tail.extend_from_slice(&micros.to_le_bytes());
        for time in [
            self.lifetime.ttl,
            self.lifetime.revalidate,
            self.lifetime.fail_safe,
        ] {
            // Bounded by LONGEST_TTL.
            tail.extend_from_slice(&(time.as_millis() as u64).to_le_bytes());
        }
        tail.extend_from_slice(&(self.stamps.len() as u16).to_le_bytes());
        for stamp in &self.stamps {
            tail.extend_from_slice(&stamp.to_le_bytes());
        }
        for part in [&self.long_key, &payload] {
            tail.extend_from_slice(&(part.len() as u32).to_le_bytes());
            tail.extend_from_slice(part);
        }
        let mut bytes = Vec::with_capacity(HEADER + tail.len());
        bytes.extend_from_slice(MAGIC);
        bytes.push(flags);
        bytes.extend_from_slice(&self.nonce.to_le_bytes());
        bytes.extend_from_slice(&self.schema.to_le_bytes());
        bytes.extend_from_slice(&XxHash3_64::oneshot(&tail).to_le_bytes());
        bytes.extend_from_slice(&tail);
        bytes
    }

    /// Nothing, if these bytes are no whole and healthy entry of at most `longest` bytes.
    pub(crate) fn decode(bytes: &[u8], longest: usize) -> Option<Self> {
        let mut rest = Reader(bytes);
        if rest.take(4)? != MAGIC {
            return None;
        }
        let flags = rest.take(1)?[0];
        let nonce = rest.u64()?;
        let schema = rest.u64()?;
        if rest.u64()? != XxHash3_64::oneshot(rest.0) {
            return None;
        }
        let load_time = Duration::from_micros(u64::from(rest.u32()?));
        let mut time = || Some(Duration::from_millis(rest.u64()?).min(LONGEST_TTL));
        let lifetime = Lifetime {
            ttl: time()?,
            revalidate: time()?,
            fail_safe: time()?,
        };
        let count = u16::from_le_bytes(rest.take(2)?.try_into().ok()?);
        let stamps = (0..count).map(|_| rest.u64()).collect::<Option<_>>()?;
        let long_key = rest.part()?.to_vec();
        let payload = rest.part()?;
        if !rest.0.is_empty() {
            return None;
        }
        let body = match flags {
            ABSENT => Body::Absent,
            TOMBSTONE => Body::Tombstone,
            COMPRESSED => Body::Value(decompress(payload, longest)?),
            0 => Body::Value(payload.to_vec()),
            _ => return None,
        };
        Some(Self {
            nonce,
            schema,
            stamps,
            long_key,
            load_time,
            lifetime,
            body,
        })
    }
}

/// A damaged or hostile size must not make a process allocate it.
fn decompress(payload: &[u8], longest: usize) -> Option<Vec<u8>> {
    let (size, block) = lz4_flex::block::uncompressed_size(payload).ok()?;
    if size > longest {
        return None;
    }
    lz4_flex::block::decompress(block, size).ok()
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn part(&mut self) -> Option<&'b [u8]> {
        let length = self.u32()?;
        self.take(length as usize)
    }
}

/// A value as MessagePack with named fields: a field may be added with a default without
/// making older entries unreadable.
pub(crate) fn encode_value<T: Serialize>(value: &T) -> Option<Vec<u8>> {
    rmp_serde::to_vec_named(value).ok()
}

/// The value, if it still has this shape.
pub(crate) fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    rmp_serde::from_slice(bytes).ok()
}

/// Tells types and versions apart: an entry of another one is a miss.
pub(crate) fn schema_of<T>(version: u64) -> u64 {
    let name = std::any::type_name::<T>();
    XxHash3_64::oneshot_with_seed(version, name.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope(body: Body, stamps: Vec<u64>, long_key: Vec<u8>) -> Envelope {
        Envelope {
            nonce: 7,
            schema: 9,
            stamps,
            long_key,
            load_time: Duration::from_micros(1234),
            lifetime: Lifetime {
                ttl: Duration::from_secs(60),
                revalidate: Duration::from_millis(5),
                fail_safe: Duration::ZERO,
            },
            body,
        }
    }

    const LONGEST: usize = 1 << 20;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            value: Vec<u8>,
            stamps: Vec<u64>,
            key: Vec<u8>,
            compress in proptest::option::of(0_usize..100),
        ) {
            for body in [Body::Value(value), Body::Absent, Body::Tombstone] {
                let one = envelope(body, stamps.clone(), key.clone());
                prop_assert_eq!(Envelope::decode(&one.encode(compress), LONGEST), Some(one));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            prop_assert_eq!(Envelope::decode(&bytes, LONGEST), None);
        }

        #[test]
        fn damage_is_noticed(at in 13_usize..100, change in 1_u8..) {
            let one = envelope(Body::Value(vec![b'x'; 64]), vec![1, 2], Vec::new());
            let mut bytes = one.encode(None);
            let at = at % bytes.len();
            prop_assume!(at >= 13);
            bytes[at] ^= change;
            let read = Envelope::decode(&bytes, LONGEST);
            // The schema is compared by whoever reads.
            prop_assert!(read.is_none_or(|read| read.schema != one.schema));
        }

        #[test]
        fn what_is_cut_off_is_noticed(length in 0_usize..120) {
            let bytes = envelope(Body::Value(vec![b'x'; 64]), vec![1, 2], Vec::new()).encode(None);
            prop_assume!(length < bytes.len());
            prop_assert_eq!(Envelope::decode(&bytes[..length], LONGEST), None);
        }
    }

    #[test]
    fn a_size_that_lies_allocates_nothing() {
        let bytes = envelope(Body::Value(vec![0; 5_000_000]), vec![], vec![]).encode(Some(0));
        assert!(bytes.len() < 50_000);
        assert_eq!(Envelope::decode(&bytes, LONGEST), None);
    }

    #[test]
    fn types_and_versions_have_schemas_of_their_own() {
        assert_ne!(schema_of::<u8>(1), schema_of::<u8>(2));
        assert_ne!(schema_of::<u8>(1), schema_of::<i8>(1));
    }

    #[test]
    fn a_value_of_another_shape_is_a_miss() {
        let bytes = encode_value(&("text", 5)).unwrap();
        assert_eq!(decode_value::<Vec<bool>>(&bytes), None);
    }
}
