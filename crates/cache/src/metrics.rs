//! Counters of what the cache did, for `/metrics` and for tests.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper ends of the latency buckets of Redis, in µs.
const BUCKETS_US: [u64; 8] = [100, 250, 500, 1_000, 5_000, 10_000, 50_000, 100_000];

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $(#[cfg($when:meta)])? $name:ident,)+) => {
        /// The counters themselves.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($(#[cfg($when)])? pub(crate) $name: Counter,)+
            pub(crate) redis_latency: Latency,
        }

        /// What the cache did since it was made, and what it holds.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $help])+ $(#[cfg($when)])? pub $name: u64,)+
            /// Entries in memory.
            pub entries: u64,
            /// What they take in memory, in bytes, about.
            pub bytes: u64,
            /// Whether Redis is not asked because it did not answer.
            pub breaker_open: bool,
            /// Whether what is in memory may be used.
            pub lease_valid: bool,
        }

        impl Counters {
            pub(crate) fn stats(&self) -> Stats {
                Stats {
                    $($(#[cfg($when)])? $name: self.$name.get(),)+
                    ..Stats::default()
                }
            }
        }

        const HELP: &[(&str, &str, fn(&Stats) -> u64)] = &[
            $($(#[cfg($when)])? (stringify!($name), concat!($($help),+), |stats| stats.$name),)+
        ];
    };
}

counters! {
    /// Reads answered from memory.
    memory_hits,
    /// Reads answered from Redis.
    redis_hits,
    /// Reads that had to wait for a load.
    misses,
    /// Loads begun.
    loads,
    /// Loads that failed, timed out or panicked.
    failed_loads,
    /// Reads that joined the load of another.
    coalesced,
    /// Reads answered with a value past its time to live.
    stale_served,
    /// Loads begun before the value expired, or after it was answered stale.
    background_refreshes,
    /// Loads that went past the cache because Redis could not be asked or a write was under way.
    bypasses,
    /// Values loaded and not kept, because something they depend on changed meanwhile.
    rejected_fills,
    /// Values loaded and not kept, because it was not known before what they depend on.
    #[cfg(feature = "statements")]
    undetermined,
    /// Entries dropped from memory because room was needed.
    evictions,
    /// Values not kept because they are larger than the limit.
    too_large,
    /// Entries in Redis that were of another release or damaged.
    unreadable,
    /// Tags, groups and keys that were invalidated.
    invalidations,
    /// Invalidations that have to be tried again.
    invalidations_delayed,
    /// Writes refused because Redis could not be told.
    refused_writes,
    /// Entries dropped from memory because the line to Redis broke.
    dropped_on_disconnect,
    /// Commands to Redis that failed or took too long.
    redis_errors,
}

/// Goes up.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long Redis took.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    buckets: [Counter; BUCKETS_US.len() + 1],
    sum_us: Counter,
}

impl Latency {
    pub(crate) fn note(&self, took: Duration) {
        let micros = took.as_micros() as u64;
        let bucket = BUCKETS_US.partition_point(|end| *end < micros);
        self.buckets[bucket].one();
        self.sum_us.add(micros);
    }
}

impl Counters {
    /// As Prometheus reads them, for a cache of this name.
    pub(crate) fn prometheus(&self, cache: &str, stats: &Stats) -> String {
        let mut text = String::new();
        for (name, help, value) in HELP {
            let _infallible = write!(
                text,
                "# HELP speedwell_cache_{name}_total {}\n# TYPE speedwell_cache_{name}_total counter\n\
                 speedwell_cache_{name}_total{{cache=\"{cache}\"}} {}\n",
                help.trim(),
                value(stats)
            );
        }
        for (name, help, value) in [
            ("entries", "Entries in memory.", stats.entries),
            ("bytes", "What they take in memory, in bytes.", stats.bytes),
            (
                "breaker_open",
                "1 while Redis is not asked because it did not answer.",
                u64::from(stats.breaker_open),
            ),
            (
                "lease_valid",
                "1 while what is in memory may be used.",
                u64::from(stats.lease_valid),
            ),
        ] {
            let _infallible = write!(
                text,
                "# HELP speedwell_cache_{name} {help}\n# TYPE speedwell_cache_{name} gauge\n\
                 speedwell_cache_{name}{{cache=\"{cache}\"}} {value}\n"
            );
        }
        self.write_latency(cache, &mut text);
        text
    }

    fn write_latency(&self, cache: &str, text: &mut String) {
        let name = "speedwell_cache_redis_seconds";
        text.push_str("# HELP speedwell_cache_redis_seconds How long Redis took to answer.\n");
        text.push_str("# TYPE speedwell_cache_redis_seconds histogram\n");
        let mut count = 0;
        for (at, bucket) in self.redis_latency.buckets.iter().enumerate() {
            count += bucket.get();
            let end = BUCKETS_US
                .get(at)
                .map_or_else(|| "+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
            let _infallible = writeln!(
                text,
                "{name}_bucket{{cache=\"{cache}\",le=\"{end}\"}} {count}"
            );
        }
        let sum = self.redis_latency.sum_us.get() as f64 / 1e6;
        let _infallible = write!(
            text,
            "{name}_sum{{cache=\"{cache}\"}} {sum}\n{name}_count{{cache=\"{cache}\"}} {count}\n"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_name_a_help_and_a_type() {
        let counters = Counters::default();
        counters.memory_hits.add(3);
        counters.redis_latency.note(Duration::from_micros(300));
        counters.redis_latency.note(Duration::from_secs(9));
        let text = counters.prometheus("deals", &counters.stats());
        assert!(text.contains("speedwell_cache_memory_hits_total{cache=\"deals\"} 3\n"));
        assert!(text.contains("le=\"0.0005\"} 1\n") && text.contains("le=\"+Inf\"} 2\n"));
        assert!(text.contains("speedwell_cache_redis_seconds_count{cache=\"deals\"} 2\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.contains("{cache=\"deals\""), "{line}");
        }
    }
}
