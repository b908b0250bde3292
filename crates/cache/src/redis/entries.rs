//! Entries and the stamps that they depend on: finding and filling.

use std::time::{Duration, Instant};

use super::{Line, Live, STAMP_LIFE, Unavailable, name};
use crate::{
    envelope::{Body, Envelope, NONCE_AT},
    key,
    mutant::Mutant,
};

/// What Redis has for a key.
#[derive(Debug)]
pub(crate) enum Found {
    /// An entry, with the time for which it will still be there.
    /// Its ground is for who finds it too old.
    Valid(Box<Envelope>, Duration, Ground),
    /// No entry that is valid.
    Nothing(Ground),
    /// A write is under way.
    Marked,
}

/// What was there when a load began; a fill is refused if it is not there any more.
#[derive(Debug, Clone)]
pub(crate) struct Ground {
    pub(crate) stamps: Vec<u64>,
    nonce: Vec<u8>,
    serial: u64,
}

impl Line {
    /// The entry of a key under the stamps of these names.
    pub(crate) async fn find(
        &self,
        key: &[u8],
        names: &[&[u8]],
        schema: u64,
        longest: usize,
    ) -> Result<Found, Unavailable> {
        let live = self.live()?;
        let serial = live.serial;
        let entry = name(&live, b"e:", &key::stored(key));
        let mut asked = redis::pipe();
        let get = asked.cmd("MGET").arg(&entry);
        for stamp in names {
            get.arg(name(&live, b"s:", stamp));
        }
        asked.cmd("PTTL").arg(&entry);
        let answer: (Vec<Option<Vec<u8>>>, i64) = self
            .ask(async |mut live: Live| asked.query_async(&mut live.connection).await)
            .await?;
        // Only now: a server that has been replaced may have answered.
        if self.needs_lease && !self.has_lease(Instant::now()) && !self.mutation.is(Mutant::NoLease)
        {
            return Err(Unavailable);
        }
        let (mut values, left_ms) = answer;
        if values.len() != names.len() + 1 {
            return Err(Unavailable);
        }
        let entry = values.remove(0);
        let stamps = match read_stamps(&values) {
            Stamps::All(stamps) => stamps,
            Stamps::Marked => {
                self.heal(names).await;
                return Ok(Found::Marked);
            }
            Stamps::Missing => match self.make_stamps(names).await? {
                Some(stamps) => stamps,
                None => return Ok(Found::Marked),
            },
        };
        let nonce = entry.as_ref().and_then(|bytes| {
            let at = NONCE_AT;
            bytes.get(at..at + 8).map(<[u8]>::to_vec)
        });
        let ground = Ground {
            stamps,
            nonce: nonce.unwrap_or_default(),
            serial,
        };
        let envelope = entry
            .and_then(|bytes| self.open_envelope(&bytes, key, schema, longest))
            .filter(|envelope| envelope.stamps == ground.stamps && left_ms > 0);
        Ok(match envelope {
            Some(envelope) => {
                let left = Duration::from_millis(left_ms.unsigned_abs());
                Found::Valid(Box::new(envelope), left, ground)
            }
            None => Found::Nothing(ground),
        })
    }

    fn open_envelope(
        &self,
        bytes: &[u8],
        key: &[u8],
        schema: u64,
        longest: usize,
    ) -> Option<Envelope> {
        let envelope = Envelope::decode(bytes, longest);
        if let Some(Body::Tombstone) = envelope.as_ref().map(|envelope| &envelope.body) {
            return None;
        }
        let wanted = envelope
            .filter(|envelope| envelope.schema == schema && envelope.long_key == long_key(key));
        if wanted.is_none() {
            self.counters.unreadable.one();
        }
        wanted
    }

    /// Nothing: a write is under way.
    async fn make_stamps(&self, names: &[&[u8]]) -> Result<Option<Vec<u64>>, Unavailable> {
        let values: Vec<Option<Vec<u8>>> = self
            .ask(async |live: Live| {
                let mut make = self.scripts.stamps.prepare_invoke();
                make.key(name(&live, b"n", b""))
                    .arg(STAMP_LIFE.as_millis() as u64)
                    .arg(self.youth().as_millis() as u64);
                for stamp in names {
                    make.key(name(&live, b"s:", stamp)).arg(self.fresh_stamp());
                }
                let mut connection = live.connection;
                make.invoke_async(&mut connection).await
            })
            .await?;
        // While the registry is young, none are given.
        if values.len() != names.len() {
            return Err(Unavailable);
        }
        match read_stamps(&values) {
            Stamps::All(stamps) => Ok(Some(stamps)),
            Stamps::Marked => Ok(None),
            Stamps::Missing => Err(Unavailable),
        }
    }

    /// A writer that died between mark and end would keep readers from the cache.
    async fn heal(&self, names: &[&[u8]]) {
        let healing = self.ask(async |live: Live| {
            let mut heal = self.scripts.heal.prepare_invoke();
            heal.key(name(&live, b"n", b""))
                .arg(STAMP_LIFE.as_millis() as u64)
                .arg(self.youth().as_millis() as u64);
            for stamp in names {
                heal.key(name(&live, b"s:", stamp)).arg(self.fresh_stamp());
            }
            let mut connection = live.connection;
            heal.invoke_async::<i64>(&mut connection).await
        });
        // The next reader tries again.
        let _healed = healing.await;
    }

    /// Stores an entry, if nothing that it depends on has changed since its ground was seen.
    /// `over`: whatever entry there is now.
    pub(crate) async fn fill(
        &self,
        key: &[u8],
        names: &[&[u8]],
        ground: &Ground,
        envelope: &[u8],
        life: Duration,
        over: bool,
    ) -> Result<bool, Unavailable> {
        let live = self.live()?;
        // The stamps of another server say nothing of this one.
        if live.serial != ground.serial {
            return Ok(false);
        }
        let done: i64 = self
            .ask(async |live: Live| {
                let mut fill = self.scripts.fill.prepare_invoke();
                fill.key(name(&live, b"e:", &key::stored(key)))
                    .arg(if over { &b"*"[..] } else { &ground.nonce })
                    .arg(envelope)
                    .arg(life.as_millis() as u64)
                    .arg(STAMP_LIFE.as_millis() as u64);
                if !self.mutation.is(Mutant::FillWithoutComparing) {
                    for (stamp, value) in names.iter().zip(&ground.stamps) {
                        fill.key(name(&live, b"s:", stamp))
                            .arg(&value.to_le_bytes()[..]);
                    }
                }
                let mut connection = live.connection;
                fill.invoke_async(&mut connection).await
            })
            .await?;
        Ok(done == 1)
    }

    /// The stamps as they are, for a value that is there already.
    pub(crate) async fn ground(&self, names: &[&[u8]]) -> Result<Option<Ground>, Unavailable> {
        let serial = self.live()?.serial;
        let stamps = self.make_stamps(names).await?;
        Ok(stamps.map(|stamps| Ground {
            stamps,
            nonce: Vec::new(),
            serial,
        }))
    }
}

enum Stamps {
    All(Vec<u64>),
    Missing,
    Marked,
}

fn read_stamps(values: &[Option<Vec<u8>>]) -> Stamps {
    let mut stamps = Vec::with_capacity(values.len());
    let mut missing = false;
    for value in values {
        match value.as_deref() {
            Some([b'!', rest @ ..]) if rest.len() == 8 => return Stamps::Marked,
            Some(value) => match value.try_into() {
                Ok(stamp) => stamps.push(u64::from_le_bytes(stamp)),
                // Somebody else wrote there: never equal to anything.
                Err(_) => return Stamps::Marked,
            },
            None => missing = true,
        }
    }
    if missing {
        Stamps::Missing
    } else {
        Stamps::All(stamps)
    }
}

/// What an envelope has of a key whose name in Redis does not tell it.
pub(crate) fn long_key(key: &[u8]) -> &[u8] {
    if key::is_long(key) { key } else { b"" }
}
