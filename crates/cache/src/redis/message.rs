//! What processes tell each other over Redis.

/// A message to all, or a sign of life that comes back to its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// What depends on these stamps is invalid.
    Stamps(Told),
    /// These keys are invalid.
    Keys(Told),
    /// Keys that match this glob are invalid.
    Glob(Told),
    /// The message of that number was acted on by that process.
    Done { write: u64, process: u64 },
    /// The sender's own heartbeat; whether the server is young was added by it.
    Beat { number: u64, young: bool },
}

/// A message that is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// Who told it.
    pub(crate) process: u64,
    pub(crate) write: u64,
    pub(crate) names: Vec<Vec<u8>>,
}

impl Message {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let told = |kind, told: &Told| {
            let mut bytes = vec![kind];
            bytes.extend_from_slice(&told.process.to_le_bytes());
            bytes.extend_from_slice(&told.write.to_le_bytes());
            for name in &told.names {
                bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
                bytes.extend_from_slice(name);
            }
            bytes
        };
        match self {
            Self::Stamps(one) => told(b'S', one),
            Self::Keys(one) => told(b'K', one),
            Self::Glob(one) => told(b'G', one),
            Self::Done { write, process } => {
                [&b"D"[..], &write.to_le_bytes(), &process.to_le_bytes()].concat()
            }
            Self::Beat { number, young } => {
                let mut bytes = beat(*number);
                bytes.push(b'0' + u8::from(*young));
                bytes
            }
        }
    }

    /// Nothing, if somebody else wrote into the channel.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        let first = number(&mut rest)?;
        if *kind == b'B' {
            let (number, young) = (first, rest == b"1");
            return (rest.len() == 1).then_some(Self::Beat { number, young });
        }
        let second = number(&mut rest)?;
        if *kind == b'D' {
            let (write, process) = (first, second);
            return rest.is_empty().then_some(Self::Done { write, process });
        }
        let mut names = Vec::new();
        while !rest.is_empty() {
            let (length, after) = rest.split_at_checked(4)?;
            let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
            let (name, after) = after.split_at_checked(length)?;
            names.push(name.to_vec());
            rest = after;
        }
        let (process, write) = (first, second);
        let told = Told {
            process,
            write,
            names,
        };
        match kind {
            b'S' => Some(Self::Stamps(told)),
            b'K' => Some(Self::Keys(told)),
            b'G' => Some(Self::Glob(told)),
            _ => None,
        }
    }
}

/// A heartbeat, but for the last byte.
pub(crate) fn beat(number: u64) -> Vec<u8> {
    [&b"B"[..], &number.to_le_bytes()].concat()
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let (taken, rest) = bytes.split_at_checked(8)?;
    *bytes = rest;
    Some(u64::from_le_bytes(taken.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_told_is_heard(process: u64, write: u64, names: Vec<Vec<u8>>, young: bool) {
            let told = Told { process, write, names };
            for message in [
                Message::Stamps(told.clone()),
                Message::Keys(told.clone()),
                Message::Glob(told),
                Message::Done { write, process },
                Message::Beat { number: write, young },
            ] {
                prop_assert_eq!(Message::decode(&message.encode()), Some(message));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _message = Message::decode(&bytes);
        }
    }
}
