//! How much memory an export takes once it is decoded, read off its bytes.
//!
//! A message of two bytes becomes a struct of some hundred: sixteen megabytes of empty spans would
//! fill two gigabytes. This walk over the lengths allocates nothing and looks at what the decoder
//! would look at. Bytes that are no message end it: the decoder says what is wrong with them.

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, EntityRef, KeyValue},
    trace::v1::{ResourceSpans, ScopeSpans, Span, span::Event, span::Link},
};

/// The messages of an export that hold others.
#[derive(Clone, Copy)]
enum Message {
    Export,
    ResourceSpans,
    Resource,
    EntityRef,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    KeyValue,
    AnyValue,
    /// Array or map: elements of one kind at field 1.
    Values,
    KeyValues,
    Leaf,
}

impl Message {
    /// What field `number` holds, and the bytes that one more of it takes in a list; numbers as in
    /// opentelemetry/proto/trace/v1/trace.proto and its neighbours.
    fn field(self, number: u64) -> Option<(Self, usize)> {
        let attribute = (Self::KeyValue, size_of::<KeyValue>());
        Some(match (self, number) {
            (Self::Export, 1) => (Self::ResourceSpans, size_of::<ResourceSpans>()),
            (Self::ResourceSpans, 1) => (Self::Resource, 0),
            (Self::ResourceSpans, 2) => (Self::ScopeSpans, size_of::<ScopeSpans>()),
            (Self::Resource, 3) => (Self::EntityRef, size_of::<EntityRef>()),
            (Self::EntityRef, 3 | 4) => (Self::Leaf, size_of::<String>()),
            (Self::ScopeSpans, 1) => (Self::Scope, 0),
            (Self::ScopeSpans, 2) => (Self::Span, size_of::<Span>()),
            (Self::Span, 11) => (Self::Event, size_of::<Event>()),
            (Self::Span, 13) => (Self::Link, size_of::<Link>()),
            (Self::Resource, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Span, 9)
            | (Self::Link, 4)
            | (Self::KeyValues, 1) => attribute,
            (Self::KeyValue, 2) => (Self::AnyValue, 0),
            (Self::AnyValue, 5) => (Self::Values, 0),
            (Self::AnyValue, 6) => (Self::KeyValues, 0),
            (Self::Values, 1) => (Self::AnyValue, size_of::<AnyValue>()),
            _ => return None,
        })
    }
}

/// Messages inside each other that the decoder follows.
const DEEPEST: usize = 100;

/// Whether the lists of an export take at most `limit` bytes once decoded.
pub(crate) fn fits(export: &[u8], limit: usize) -> bool {
    let mut left = limit;
    walk(export, Message::Export, 0, &mut left).is_some()
}

/// Takes what the message's lists need from `left`; `None` if that is too little.
fn walk(mut bytes: &[u8], message: Message, depth: usize, left: &mut usize) -> Option<()> {
    if depth > DEEPEST {
        return Some(());
    }
    while let Some((field, rest)) = next(bytes) {
        bytes = rest;
        if let (Some(body), Some((inner, size))) = (field.body, message.field(field.number)) {
            *left = left.checked_sub(size)?;
            walk(body, inner, depth + 1, left)?;
        }
    }
    Some(())
}

/// One field; only what has a length has a body.
struct Field<'a> {
    number: u64,
    body: Option<&'a [u8]>,
}

/// The first field and what follows it. Marks of groups are passed over: what stands between them
/// is counted as if it stood outside.
fn next(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (key, rest) = varint(bytes)?;
    let mut body = None;
    let rest = match key & 7 {
        0 => varint(rest)?.1,
        1 => rest.get(8..)?,
        2 => {
            let (length, rest) = varint(rest)?;
            let (inside, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            body = Some(inside);
            rest
        }
        3 | 4 => rest,
        5 => rest.get(4..)?,
        _ => return None,
    };
    let number = key >> 3;
    Some((Field { number, body }, rest))
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (position, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[position + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn export(spans: usize, attributes: usize) -> Vec<u8> {
        let span = Span {
            attributes: vec![KeyValue::default(); attributes],
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans {
            spans: vec![span; spans],
            ..ScopeSpans::default()
        }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans,
                ..ResourceSpans::default()
            }],
        }
        .encode_to_vec()
    }

    #[test]
    fn every_struct_that_decoding_makes_is_counted() {
        let around = size_of::<ResourceSpans>() + size_of::<ScopeSpans>();
        let spans = 1_000 * size_of::<Span>();
        let attributes = 3_000 * size_of::<KeyValue>();
        let exact = around + spans + attributes;
        assert!(fits(&export(1_000, 3), exact));
        assert!(!fits(&export(1_000, 3), exact - 1));
    }

    #[test]
    fn spans_behind_a_group_are_counted_too() {
        let mut hidden = vec![0x7b]; // field 15 begins a group
        hidden.extend(export(1_000, 0));
        assert!(!fits(&hidden, 1_000));
    }

    #[test]
    fn values_inside_each_other_end() {
        let mut value = Vec::new();
        for _ in 0..5_000 {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(value.len() as u64, &mut outer);
            outer.extend(&value);
            value = outer;
        }
        let _ = fits(&value, usize::MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_measured(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(fits(&bytes, usize::MAX));
        }
    }
}
