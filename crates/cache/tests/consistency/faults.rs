//! What happens to Redis while readers and writers go on.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use throwaway::Redis;

/// One kind of mishap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Killed, and started again empty.
    Kill,
    /// Frozen for a while: commands that time out run later.
    Freeze,
    /// All keys gone at once.
    Flush,
    /// Some keys gone, as if evicted: stamps, marks, the registry among them.
    Evict,
    /// All connections cut.
    Disconnect,
    /// Some stamps gone, as if evicted.
    EvictStamps,
    /// The clock of Redis set back by up to an hour, or forward by up to twenty seconds.
    #[allow(dead_code, reason = "the bench, which shares this, has no such server")]
    ClockStep,
    /// What processes tell each other arrives late for one of them (see `proxy`); all the time.
    LateMessages,
}

impl Fault {
    pub(crate) const ALL: [Self; 7] = [
        Self::Kill,
        Self::Freeze,
        Self::Flush,
        Self::Evict,
        Self::Disconnect,
        Self::EvictStamps,
        Self::LateMessages,
    ];
}

/// Goes on until then; blocks. Says how many there were.
pub(crate) fn inflict(
    server: &mut Redis,
    kinds: &[Fault],
    seed: u64,
    pause: Duration,
    until: Instant,
) -> usize {
    let mut random = StdRng::seed_from_u64(seed);
    let mut count = 0;
    let mut clock = 0;
    loop {
        let wait = pause.mul_f64(random.random_range(0.5..1.5));
        if Instant::now() + wait >= until {
            return count;
        }
        std::thread::sleep(wait);
        count += 1;
        let outage = Duration::from_millis(random.random_range(50..700));
        match kinds[random.random_range(0..kinds.len())] {
            Fault::Kill => {
                server.kill();
                std::thread::sleep(outage);
                server.start_again().unwrap();
            }
            Fault::Freeze => {
                server.freeze().unwrap();
                std::thread::sleep(outage);
                server.thaw().unwrap();
            }
            Fault::Flush => {
                server.ask(&["FLUSHALL"]).unwrap();
            }
            Fault::LateMessages => {}
            Fault::ClockStep => {
                clock += random
                    .random_range(-3600..=20_i64)
                    .max(random.random_range(-3600..=20));
                server.set_clock(clock).unwrap();
            }
            Fault::Evict => evict(server, &mut random, "*"),
            Fault::EvictStamps => evict(server, &mut random, "*:s:*"),
            Fault::Disconnect => {
                server.ask(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
                server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).unwrap();
            }
        }
    }
}

fn evict(server: &Redis, random: &mut StdRng, pattern: &str) {
    let keys = server.ask(&["KEYS", pattern]).unwrap();
    for key in keys.lines().filter(|line| !line.starts_with(['*', '$'])) {
        if random.random_range(0..3) == 0 {
            server.ask(&["DEL", key.trim_end()]).unwrap();
        }
    }
}
