//! Recording what readers and writers of a cache saw, and checking it against the guarantee.
//!
//! Each key is a register whose versions grow: the n-th write of a key that committed wrote
//! version n. A read that starts after a write has returned must give its version or a newer
//! one; otherwise it is *stale*. A read that gives an older version than one that had finished
//! before it started went *back in time*. Both are found in O(n log n).
//!
//! Times are nanoseconds of one clock for all who record: [`now`] is the same for all processes
//! of a machine.
//!
//! ```
//! use speedwell_cache::history::{Event, History, Kind};
//!
//! let mut history = History::default();
//! let event = |kind, version, start, end| Event { key: 7, kind, version, start, end };
//! history.add(event(Kind::Write, 1, 0, 10));
//! history.add(event(Kind::Write, 2, 20, 30));
//! history.add(event(Kind::Read, 1, 25, 28)); // while the write runs: both are right
//! assert!(history.check().is_clean());
//! history.add(event(Kind::Read, 1, 31, 32));
//! assert_eq!(history.check().stale, 1);
//! ```

use std::{
    collections::HashMap,
    fmt,
    io::{self, BufRead, Write},
    time::Duration,
};

/// What somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A read that gave a version.
    Read,
    /// A write that returned Ok.
    Write,
}

/// One read or write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Which register.
    pub key: u64,
    /// Read or write.
    pub kind: Kind,
    /// What was read, or written.
    pub version: u64,
    /// When the caller asked, in ns.
    pub start: u64,
    /// When the caller had the answer, in ns.
    pub end: u64,
}

/// What was recorded.
#[derive(Debug, Clone, Default)]
pub struct History {
    events: Vec<Event>,
}

/// What the checker found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Reads recorded.
    pub reads: u64,
    /// Writes recorded: those that returned Ok.
    pub writes: u64,
    /// Reads older than a write that had returned before they started.
    pub stale: u64,
    /// By how much, at most: from the return of the first newer write to the start of the read.
    pub worst_staleness: Duration,
    /// Reads older than a read that had finished before they started.
    pub backwards: u64,
    /// The first stale read, or the first that went back in time.
    pub example: Option<Event>,
}

/// Nanoseconds since the machine started: the same clock in all its processes.
pub fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec as u64) * 1_000_000_000 + now.tv_nsec as u64
}

impl History {
    /// Adds one event; in any order.
    pub fn add(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Adds what another recorded.
    pub fn append(&mut self, mut other: Self) {
        self.events.append(&mut other.events);
    }

    /// As lines of `r key version start end` and `w …`, to hand it to another process.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_to(&self, mut out: impl Write) -> io::Result<()> {
        for event in &self.events {
            let kind = match event.kind {
                Kind::Read => 'r',
                Kind::Write => 'w',
            };
            let Event {
                key,
                version,
                start,
                end,
                ..
            } = event;
            writeln!(out, "{kind} {key} {version} {start} {end}")?;
        }
        Ok(())
    }

    /// The same, read. Lines that are none (of a process that was killed) are left out.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_from(from: impl BufRead) -> io::Result<Self> {
        let mut history = Self::default();
        for line in from.lines() {
            history.events.extend(parse(&line?));
        }
        Ok(history)
    }

    /// Looks for stale reads and for reads that went back in time.
    pub fn check(&self) -> Report {
        let mut keys: HashMap<u64, (Vec<Event>, Vec<Event>)> = HashMap::new();
        for event in &self.events {
            let (reads, writes) = keys.entry(event.key).or_default();
            match event.kind {
                Kind::Read => reads.push(*event),
                Kind::Write => writes.push(*event),
            }
        }
        let mut report = Report::default();
        let mut keys: Vec<_> = keys.into_iter().collect();
        // The example is the same for the same history.
        keys.sort_unstable_by_key(|(key, _)| *key);
        for (_, (reads, writes)) in &keys {
            check_key(reads, writes, &mut report);
        }
        report
    }
}

fn parse(line: &str) -> Option<Event> {
    let mut parts = line.split(' ');
    let kind = match parts.next()? {
        "r" => Kind::Read,
        "w" => Kind::Write,
        _ => return None,
    };
    let mut number = || parts.next()?.parse().ok();
    let (key, version, start, end) = (number()?, number()?, number()?, number()?);
    Some(Event {
        key,
        kind,
        version,
        start,
        end,
    })
}

fn check_key(reads: &[Event], writes: &[Event], report: &mut Report) {
    report.reads += reads.len() as u64;
    report.writes += writes.len() as u64;
    let written = Newest::of(writes);
    let seen = Newest::of(reads);
    let mut returns: Vec<(u64, u64)> = writes
        .iter()
        .map(|write| (write.version, write.end))
        .collect();
    returns.sort_unstable();
    // earliest[i]: when the first write of version i or newer returned.
    let mut earliest = u64::MAX;
    for (_, end) in returns.iter_mut().rev() {
        earliest = earliest.min(*end);
        *end = earliest;
    }
    for read in reads {
        if written.before(read.start) > read.version {
            report.stale += 1;
            report.example.get_or_insert(*read);
            let newer = returns.partition_point(|(version, _)| *version <= read.version);
            let since = read.start.saturating_sub(returns[newer].1);
            report.worst_staleness = report.worst_staleness.max(Duration::from_nanos(since));
        }
        if seen.before(read.start) > read.version {
            report.backwards += 1;
            report.example.get_or_insert(*read);
        }
    }
}

/// The newest version that had been returned at each moment.
struct Newest(Vec<(u64, u64)>);

impl Newest {
    fn of(events: &[Event]) -> Self {
        let mut ends: Vec<_> = events.iter().map(|one| (one.end, one.version)).collect();
        ends.sort_unstable();
        let mut newest = 0;
        for (_, version) in &mut ends {
            newest = newest.max(*version);
            *version = newest;
        }
        Self(ends)
    }

    /// 0: nothing.
    fn before(&self, time: u64) -> u64 {
        match self.0.partition_point(|(end, _)| *end < time) {
            0 => 0,
            count => self.0[count - 1].1,
        }
    }
}

impl Report {
    /// Whether every read was right: what [`crate::Mode::Strict`] guarantees.
    pub fn is_clean(&self) -> bool {
        self.stale == 0 && self.backwards == 0
    }

    /// Whether no read was staler than so much: what the other modes guarantee. Zero is
    /// [`crate::Mode::Bounded`] as long as every writer reaches Redis.
    pub fn is_within(&self, most: Duration) -> bool {
        self.stale == 0 || (!most.is_zero() && self.worst_staleness <= most)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} reads, {} writes, {} stale ({:.2} %, worst {:.0} ms), {} back in time",
            self.reads,
            self.writes,
            self.stale,
            100.0 * self.stale as f64 / self.reads.max(1) as f64,
            self.worst_staleness.as_secs_f64() * 1e3,
            self.backwards,
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(kind: Kind, version: u64, start: u64, end: u64) -> Event {
        Event {
            key: 1,
            kind,
            version,
            start,
            end,
        }
    }

    fn check(events: &[Event]) -> Report {
        let mut history = History::default();
        events.iter().for_each(|event| history.add(*event));
        history.check()
    }

    #[test]
    fn staleness_counts_from_the_first_newer_write() {
        let report = check(&[
            event(Kind::Write, 1, 0, 10),
            event(Kind::Write, 2, 20, 30),
            event(Kind::Write, 3, 40, 50),
            event(Kind::Read, 1, 60, 61),
        ]);
        assert_eq!(report.stale, 1);
        assert_eq!(report.worst_staleness, Duration::from_nanos(30));
        assert!(report.is_within(Duration::from_nanos(30)));
        assert!(!report.is_within(Duration::from_nanos(29)));
        assert!(!report.is_within(Duration::ZERO));
    }

    #[test]
    fn going_back_in_time_is_seen_without_any_write() {
        let report = check(&[
            event(Kind::Read, 2, 0, 10),
            event(Kind::Read, 1, 5, 12),
            event(Kind::Read, 1, 11, 12),
        ]);
        assert_eq!((report.stale, report.backwards), (0, 1));
    }

    #[test]
    fn keys_are_apart() {
        let mut history = History::default();
        history.add(event(Kind::Write, 5, 0, 10));
        history.add(Event {
            key: 2,
            ..event(Kind::Read, 1, 20, 30)
        });
        assert!(history.check().is_clean());
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let one = (0_u64..3, any::<bool>(), 0_u64..6, 0_u64..60, 1_u64..20);
        let one = one.prop_map(|(key, reads, version, start, takes)| Event {
            key,
            kind: if reads { Kind::Read } else { Kind::Write },
            version,
            start,
            end: start + takes,
        });
        proptest::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn it_finds_what_comparing_all_with_all_finds(events in events()) {
            let older = |read: &Event, kind| events.iter().any(|one| {
                one.kind == kind && one.key == read.key && one.end < read.start
                    && one.version > read.version
            });
            let count = |kind| {
                let reads = events.iter().filter(|one| one.kind == Kind::Read);
                reads.filter(|read| older(read, kind)).count() as u64
            };
            let report = check(&events);
            prop_assert_eq!(report.stale, count(Kind::Write));
            prop_assert_eq!(report.backwards, count(Kind::Read));
        }

        #[test]
        fn what_is_written_is_read(events in events()) {
            let mut history = History::default();
            events.iter().for_each(|event| history.add(*event));
            let mut bytes = Vec::new();
            history.write_to(&mut bytes).unwrap();
            bytes.extend_from_slice(b"r 1 2 3");
            let read = History::read_from(&bytes[..]).unwrap();
            prop_assert_eq!(read.events, events);
        }
    }
}
