//! What Redis does in one step. Everything that changes state is evaluated when it runs and
//! compares before it writes: a command that timed out may still run later.
//!
//! - A *stamp* (`a`, `g:group`, `t:tag`) is eight random bytes; with `!` before them, a write is
//!   under way. A missing stamp makes every entry that depends on it invalid.
//! - The *registry* (`n`) is one hash, so that it is lost as a whole or not at all. It holds when
//!   it was made (`born`), every process that may answer from its memory with the number of its
//!   last heartbeat (`p:`), and the *marks*: the writes under way, each with its stamp and the
//!   time at which it is given up (`m:`). Those times are of the clock of Redis alone.
//! - A registry that is *young* may know neither who holds a lease nor which writes are marked.
//!   Until it is older, nobody gets a lease or a missing stamp, every stamp counts as marked, and
//!   those who write mark their writes again.

use redis::Script;

use crate::mutant::{Mutant, Mutation};

/// The scripts, prepared. The first key of each, but for `fill` and `unlink`, is the registry.
#[derive(Debug)]
pub(crate) struct Scripts {
    /// Gives stamps that are missing; nothing while the registry is young. Keys: registry, stamps.
    /// Arguments: life of stamps, time of youth, a new stamp for each.
    pub(crate) stamps: Script,
    /// Stores an entry if nothing has changed. Keys: entry, stamps. Arguments: nonce of the entry
    /// seen (none: empty; `*`: any), entry, its life, life of stamps, stamps seen.
    pub(crate) fill: Script,
    /// Begins a write. Keys: registry, stamps. Arguments: write, life of the mark, life of stamps,
    /// channel, message, time of youth, new stamps.
    pub(crate) mark: Script,
    /// Ends a write, or invalidates. Keys and arguments as for `mark`.
    pub(crate) renew: Script,
    /// Gives new stamps where the writes that marked them have been given up. Keys: registry,
    /// stamps. Arguments: life of stamps, time of youth, new stamps.
    pub(crate) heal: Script,
    /// Puts something in the place of keys and says so. Keys: registry, entries. Arguments:
    /// tombstone, its life, channel, message, time of youth.
    pub(crate) delete: Script,
    /// A sign of life. Keys: registry. Arguments: process, number, channel, message, time of youth.
    pub(crate) beat: Script,
    /// Strikes processes off that have given no sign of life since. Keys: registry. Arguments:
    /// process and number of each.
    pub(crate) forget: Script,
    /// Deletes entries of one batch of a scan. Keys: entries.
    pub(crate) unlink: Script,
}

/// Invalidating must work in a server that is full: it makes room.
const EVEN_IF_FULL: &str = "#!lua flags=allow-oom\n";

/// What several scripts need: the time, whether the registry is young, which stamps are marked.
const COMMON: &str = r"
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function young(youth)
  local born, at = redis.call('HGET', KEYS[1], 'born'), now()
  if not born then return true end
  -- The clock was set back: youth is measured anew, or it would last until then.
  if at < tonumber(born) then
    redis.call('HSET', KEYS[1], 'born', at)
    born = at
  end
  return at - born < tonumber(youth)
end
local function marked()
  local at, found, all = now(), {}, redis.call('HGETALL', KEYS[1])
  for i = 1, #all, 2 do
    local _, _, name = string.find(all[i], '^m:%d+:(.*)$')
    if name and tonumber(all[i + 1]) > at then
      found[name] = true
    elseif name then
      redis.call('HDEL', KEYS[1], all[i])
    end
  end
  return found
end
local function holders(youth)
  redis.call('HSETNX', KEYS[1], 'born', now())
  return {young(youth) and 1 or 0, redis.call('HGETALL', KEYS[1])}
end
";

const STAMPS: &str = r"
if tonumber(ARGV[2]) > 0 and young(ARGV[2]) then return {} end
local marks = marked()
for i = 2, #KEYS do
  local stamp = ARGV[i + 1]
  if marks[KEYS[i]] then stamp = '!' .. stamp end
  redis.call('SET', KEYS[i], stamp, 'PX', ARGV[1], 'NX')
end
return redis.call('MGET', unpack(KEYS, 2))
";

const FILL: &str = r"
for i = 2, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i + 3] then return 0 end
end
local there = redis.call('GETRANGE', KEYS[1], 5, 12)
if ARGV[1] ~= '*' and #there == 8 and there ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for i = 2, #KEYS do
  redis.call('PEXPIRE', KEYS[i], ARGV[4], 'GT')
end
return 1
";

const MARK: &str = r"
local given_up = now() + ARGV[2]
for i = 2, #KEYS do
  local stamp = ARGV[5 + i]
  redis.call('SET', KEYS[i], '!' .. stamp, 'PX', ARGV[3])
  redis.call('HSET', KEYS[1], 'm:' .. ARGV[1] .. ':' .. KEYS[i], given_up)
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return holders(ARGV[6])
";

const RENEW: &str = r"
local unknown = young(ARGV[6])
for i = 2, #KEYS do
  redis.call('HDEL', KEYS[1], 'm:' .. ARGV[1] .. ':' .. KEYS[i])
end
local marks = marked()
for i = 2, #KEYS do
  local stamp = ARGV[5 + i]
  if unknown or marks[KEYS[i]] then stamp = '!' .. stamp end
  redis.call('SET', KEYS[i], stamp, 'PX', ARGV[3])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return holders(ARGV[6])
";

const HEAL: &str = r"
if young(ARGV[2]) then return 0 end
local marks = marked()
for i = 2, #KEYS do
  local stamp = redis.call('GET', KEYS[i])
  if stamp and #stamp == 9 and not marks[KEYS[i]] then
    redis.call('SET', KEYS[i], ARGV[i + 1], 'PX', ARGV[1])
  end
end
return 1
";

const DELETE: &str = r"
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[1], 'PX', ARGV[2])
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return holders(ARGV[5])
";

const BEAT: &str = r"
local young = holders(ARGV[5])[1]
redis.call('HSET', KEYS[1], 'p:' .. ARGV[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4] .. young)
return 1
";

const FORGET: &str = r"
for i = 1, #ARGV, 2 do
  local process = 'p:' .. ARGV[i]
  if redis.call('HGET', KEYS[1], process) == ARGV[i + 1] then
    redis.call('HDEL', KEYS[1], process)
  end
end
return 1
";

const UNLINK: &str = r"
return redis.call('UNLINK', unpack(KEYS))
";

/// What a stamp becomes, and what the mutant makes of it.
const NEW_STAMP: &str = "local stamp = ARGV[5 + i]";
const COUNTED_STAMP: &str = "local before = redis.call('GET', KEYS[i]) or ''\n  \
    local stamp = struct.pack('<I8', #before >= 8 and struct.unpack('<I8', string.sub(before, -8)) + 1 or 1)";

impl Scripts {
    pub(crate) fn new(mutation: Mutation) -> Self {
        let telling = |text: &str| {
            let text = [EVEN_IF_FULL, COMMON, text].concat();
            if mutation.is(Mutant::CountersAsStamps) {
                return Script::new(&text.replace(NEW_STAMP, COUNTED_STAMP));
            }
            Script::new(&text)
        };
        Self {
            stamps: Script::new(&[COMMON, STAMPS].concat()),
            fill: Script::new(FILL),
            mark: telling(MARK),
            renew: telling(RENEW),
            heal: telling(HEAL),
            delete: telling(DELETE),
            beat: telling(BEAT),
            forget: Script::new(FORGET),
            unlink: Script::new(UNLINK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;

    #[test]
    fn the_scripts_find_the_nonce_where_the_envelope_has_it() {
        let at = envelope::NONCE_AT;
        assert!(FILL.contains(&format!("GETRANGE', KEYS[1], {at}, {}", at + 7)));
    }

    #[test]
    fn the_mutant_that_counts_has_scripts_of_its_own() {
        for text in [MARK, RENEW] {
            assert!(text.contains(NEW_STAMP));
        }
        let counting = Scripts::new(Mutation(Some(Mutant::CountersAsStamps)));
        let sane = Scripts::new(Mutation::default());
        let same = counting.renew.get_hash() == sane.renew.get_hash();
        assert_eq!(same, !cfg!(feature = "mutants"));
    }

    #[test]
    fn scripts_are_told_apart() {
        let scripts = Scripts::new(Mutation::default());
        assert_ne!(scripts.mark.get_hash(), scripts.renew.get_hash());
    }
}
