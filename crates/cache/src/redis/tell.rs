//! Telling every process what is invalid, and waiting until all have heard.

use std::{
    collections::HashMap,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use redis::ScriptInvocation;
use tokio::time::timeout;

use super::{
    FIRST_PAUSE, Line, Live, STAMP_LIFE, Unavailable, channel,
    lease::OUTLIVED,
    message::{Message, Told},
    name,
    scripts::Scripts,
};
use crate::{
    NotTold,
    envelope::{Body, Envelope},
    generation::random,
    key,
    mutant::Mutant,
    policy::{LONGEST_TTL, Lifetime},
};

/// Longer than any load that a deleted key must outlive.
const TOMBSTONE_LIFE: Duration = Duration::from_secs(600);
/// An invalidation is tried so often before its caller is told that it has to wait.
const TRIES: u32 = 3;
const SCAN_COUNT: usize = 1000;

/// Whether the registry is young, and its fields.
type Holders = (i64, Vec<(Vec<u8>, Vec<u8>)>);

impl Line {
    /// A name for a write.
    pub(crate) fn new_write(&self) -> u64 {
        self.next_write.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells everybody that a write of these stamps begins, and waits until they have heard.
    pub(crate) async fn mark(&self, write: u64, names: &[Vec<u8>]) -> Result<(), Unavailable> {
        self.marked()
            .entry(write)
            .or_default()
            .extend_from_slice(names);
        let told = self
            .tell_stamps(write, names, |scripts| &scripts.mark)
            .await;
        if told.is_err() {
            self.marked().remove(&write);
        }
        told
    }

    /// On a server that may not know of them.
    pub(super) async fn mark_again(&self) -> Result<(), Unavailable> {
        let marked: Vec<_> = self.marked().clone().into_iter().collect();
        let live = self.live()?;
        for (write, names) in marked {
            let message = Message::Stamps(self.told(write, names.clone())).encode();
            let mark = self.telling(&self.scripts.mark, &live, write, &names, &message);
            let _holders: redis::Value = self.run(live.clone(), &mark).await?;
        }
        Ok(())
    }

    pub(super) fn marked(&self) -> MutexGuard<'_, HashMap<u64, Vec<Vec<u8>>>> {
        self.marked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The write is over for this process; its mark is left to time.
    pub(crate) fn gives_up(&self, write: u64) {
        self.marked().remove(&write);
    }

    /// Tells everybody that what depends on these stamps is invalid, and waits until they have
    /// heard.
    pub(crate) async fn renew(&self, write: u64, names: &[Vec<u8>]) -> Result<(), NotTold> {
        for _ in 0..TRIES {
            let told = self.tell_stamps(write, names, |scripts| &scripts.renew);
            if told.await.is_ok() {
                self.marked().remove(&write);
                return Ok(());
            }
            if self.is_open() {
                break;
            }
        }
        Err(NotTold)
    }

    /// The same, for as long as a mark lasts.
    pub(crate) async fn renew_until_given_up(
        &self,
        write: u64,
        names: &[Vec<u8>],
    ) -> Result<(), NotTold> {
        let until = Instant::now() + self.timeouts.mark;
        while Instant::now() < until {
            tokio::time::sleep(FIRST_PAUSE).await;
            if self.renew(write, names).await.is_ok() {
                return Ok(());
            }
        }
        self.gives_up(write);
        Err(NotTold)
    }

    async fn tell_stamps(
        &self,
        write: u64,
        names: &[Vec<u8>],
        script: impl Fn(&Scripts) -> &redis::Script,
    ) -> Result<(), Unavailable> {
        let message = Message::Stamps(self.told(write, names.to_vec())).encode();
        let script = script(&self.scripts);
        self.tell(write, |live| {
            self.telling(script, live, write, names, &message)
        })
        .await
    }

    fn telling<'s>(
        &self,
        script: &'s redis::Script,
        live: &Live,
        write: u64,
        names: &[Vec<u8>],
        message: &[u8],
    ) -> ScriptInvocation<'s> {
        let mut tell = script.prepare_invoke();
        tell.key(name(live, b"n", b""))
            .arg(write)
            .arg(self.timeouts.mark.as_millis() as u64)
            .arg(STAMP_LIFE.as_millis() as u64)
            .arg(channel(&live.prefix))
            .arg(message)
            .arg(self.youth().as_millis() as u64);
        for stamp in names {
            tell.key(name(live, b"s:", stamp)).arg(self.fresh_stamp());
        }
        tell
    }

    /// Puts tombstones in the place of keys: loads that began before are not stored.
    pub(crate) async fn delete(&self, keys: &[Vec<u8>]) -> Result<(), NotTold> {
        let write = self.new_write();
        let message = Message::Keys(self.told(write, keys.to_vec())).encode();
        let tombstone = tombstone().encode(None);
        let told = self.tell(write, |live| {
            let mut delete = self.scripts.delete.prepare_invoke();
            delete.key(name(live, b"n", b""));
            for key in keys {
                delete.key(name(live, b"e:", &key::stored(key)));
            }
            delete
                .arg(&tombstone[..])
                .arg(TOMBSTONE_LIFE.as_millis() as u64)
                .arg(channel(&live.prefix))
                .arg(&message[..])
                .arg(self.youth().as_millis() as u64);
            delete
        });
        told.await.map_err(|Unavailable| NotTold)
    }

    /// Tells everybody that another value of this key was set.
    pub(crate) async fn tell_set(&self, key: &[u8]) -> Result<(), Unavailable> {
        let message = Message::Keys(self.told(self.new_write(), vec![key.to_vec()])).encode();
        self.publish(message).await
    }

    async fn publish(&self, message: Vec<u8>) -> Result<(), Unavailable> {
        let _heard: i64 = self
            .ask(async |mut live: Live| {
                let channel = channel(&live.prefix);
                let publish = redis::cmd("PUBLISH").arg(channel).arg(message).to_owned();
                publish.query_async(&mut live.connection).await
            })
            .await?;
        Ok(())
    }

    /// Deletes every entry whose key matches a glob, batch by batch; says how many.
    pub(crate) async fn delete_glob(&self, pattern: &[u8]) -> Result<u64, Unavailable> {
        let message = Message::Glob(self.told(self.new_write(), vec![pattern.to_vec()])).encode();
        let prefix = Arc::clone(&self.live()?.prefix);
        let wanted = [&escaped(prefix.as_bytes())[..], b"e:", pattern].concat();
        let (mut cursor, mut deleted) = (0_u64, 0_u64);
        loop {
            let (next, found): (u64, Vec<Vec<u8>>) = self
                .ask(async |mut live: Live| {
                    let mut scan = redis::cmd("SCAN");
                    scan.arg(cursor).arg("MATCH").arg(&wanted[..]);
                    scan.arg("COUNT").arg(SCAN_COUNT);
                    scan.query_async(&mut live.connection).await
                })
                .await?;
            if !found.is_empty() {
                let gone: u64 = self
                    .ask(async |live: Live| {
                        let mut unlink = self.scripts.unlink.prepare_invoke();
                        for name in &found {
                            unlink.key(&name[..]);
                        }
                        let mut connection = live.connection;
                        unlink.invoke_async(&mut connection).await
                    })
                    .await?;
                deleted += gone;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.publish(message).await?;
        Ok(deleted)
    }

    pub(super) fn fresh_stamp(&self) -> Vec<u8> {
        if self.mutation.is(Mutant::CountersAsStamps) {
            // The scripts of the mutant count on from there.
            return 1_u64.to_le_bytes().to_vec();
        }
        random().to_le_bytes().to_vec()
    }

    pub(super) fn told(&self, write: u64, names: Vec<Vec<u8>>) -> Told {
        Told {
            process: self.process,
            write,
            names,
        }
    }

    /// Runs a script that tells something, and waits for everybody who may answer from memory:
    /// until they have acknowledged, or until their lease is over.
    async fn tell<'s>(
        &'s self,
        write: u64,
        script: impl Fn(&Live) -> ScriptInvocation<'s>,
    ) -> Result<(), Unavailable> {
        let waiting = self.acknowledgements.expect(write);
        let live = self.live()?;
        if self.is_open() {
            return Err(Unavailable);
        }
        let (young, registry): Holders = self.run(live.clone(), &script(&live)).await?;
        if !self.needs_lease || self.mutation.is(Mutant::NoLease) {
            return Ok(());
        }
        let others: Vec<(u64, Vec<u8>)> = registry
            .into_iter()
            .filter_map(|(field, number)| Some((process_of(&field)?, number)))
            .filter(|(process, _)| *process != self.process)
            .collect();
        if young == 1 {
            // Somebody may hold a lease whom this server does not know.
            tokio::time::sleep(OUTLIVED).await;
            return Ok(());
        }
        let processes: Vec<u64> = others.iter().map(|(process, _)| *process).collect();
        let heard = waiting.until_heard_by(&processes);
        if timeout(OUTLIVED, heard).await.is_err() {
            let missing = waiting.missing(&processes);
            self.forget(live, others.iter().filter(|(one, _)| missing.contains(one)))
                .await;
        }
        Ok(())
    }

    /// Who was silent for a whole lease has none; who comes back registers again.
    async fn forget(&self, live: Live, silent: impl Iterator<Item = &(u64, Vec<u8>)>) {
        let mut forget = self.scripts.forget.prepare_invoke();
        forget.key(name(&live, b"n", b""));
        for (process, number) in silent {
            forget.arg(*process).arg(number);
        }
        let _forgotten: Result<i64, _> = self.run(live, &forget).await;
    }
}

fn tombstone() -> Envelope {
    Envelope {
        nonce: random(),
        schema: 0,
        stamps: Vec::new(),
        long_key: Vec::new(),
        load_time: Duration::ZERO,
        lifetime: Lifetime {
            ttl: LONGEST_TTL,
            revalidate: Duration::ZERO,
            fail_safe: Duration::ZERO,
        },
        body: Body::Tombstone,
    }
}

/// The process that a field of the registry is of.
fn process_of(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field.strip_prefix(b"p:")?)
        .ok()?
        .parse()
        .ok()
}

fn escaped(literal: &[u8]) -> Vec<u8> {
    literal
        .iter()
        .flat_map(|byte| {
            let special = matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\');
            [special.then_some(b'\\'), Some(*byte)]
        })
        .flatten()
        .collect()
}
