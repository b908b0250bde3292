//! How much load, for how long: users and their pauses, or a rate of arrivals.

use std::{fmt, str::FromStr, time::Duration};

use rand::{Rng, RngExt};
use thiserror::Error;

/// The pause of a user between two tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Think {
    /// No pause: the next task follows at once.
    #[default]
    None,
    /// Always the same pause.
    Constant(Duration),
    /// Evenly spread between two pauses, both included.
    Uniform(Duration, Duration),
    /// Exponentially distributed with this mean, cut off at ten times the mean.
    Exponential(Duration),
}

impl Think {
    /// Mean of the pauses.
    #[must_use]
    pub fn mean(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Constant(pause) | Self::Exponential(pause) => pause,
            Self::Uniform(low, high) => (low + high) / 2,
        }
    }

    pub(crate) fn draw(self, rng: &mut impl Rng) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Constant(pause) => pause,
            Self::Uniform(low, high) => low + (high - low).mul_f64(rng.random::<f64>()),
            // One in 22,000 draws is beyond ten means; a user must not sleep through the run.
            Self::Exponential(mean) => {
                mean.mul_f64((-(1.0 - rng.random::<f64>()).ln()).clamp(0.0, 10.0))
            }
        }
    }
}

/// Why a think time cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot read think time `{text}`: {reason}; write `0s`, `200ms`, `1s..3s` or `exp 2s`")]
pub struct ThinkError {
    text: String,
    reason: &'static str,
}

impl FromStr for Think {
    type Err = ThinkError;

    fn from_str(text: &str) -> Result<Self, ThinkError> {
        let wrong = |reason| ThinkError {
            text: text.to_owned(),
            reason,
        };
        let trimmed = text.trim();
        if let Some(mean) = trimmed
            .strip_prefix("exp")
            .filter(|rest| rest.starts_with(' '))
        {
            let mean = duration(mean).map_err(wrong)?;
            return Ok(if mean.is_zero() {
                Self::None
            } else {
                Self::Exponential(mean)
            });
        }
        if let Some((low, high)) = trimmed.split_once("..") {
            let (low, high) = (
                duration(low).map_err(wrong)?,
                duration(high).map_err(wrong)?,
            );
            return match low.cmp(&high) {
                std::cmp::Ordering::Less => Ok(Self::Uniform(low, high)),
                std::cmp::Ordering::Equal => Ok(Self::constant(low)),
                std::cmp::Ordering::Greater => Err(wrong("the first pause is the longer one")),
            };
        }
        duration(trimmed).map(Self::constant).map_err(wrong)
    }
}

impl Think {
    fn constant(pause: Duration) -> Self {
        if pause.is_zero() {
            Self::None
        } else {
            Self::Constant(pause)
        }
    }
}

impl fmt::Display for Think {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("0s"),
            Self::Constant(pause) => write!(f, "{pause:?}"),
            Self::Uniform(low, high) => write!(f, "{low:?}..{high:?}"),
            Self::Exponential(mean) => write!(f, "exp {mean:?}"),
        }
    }
}

/// Longest pause that is taken for meant rather than mistyped.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

fn duration(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or("the unit is missing")?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit.trim_start() {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err("the unit must be us, ms, s or m"),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "the number is missing or malformed")?;
    Duration::try_from_secs_f64(number * seconds)
        .ok()
        .filter(|pause| *pause <= LONGEST_PAUSE)
        .ok_or("it is longer than a day")
}

/// Who decides when the next request is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Model {
    /// A fixed number of users, each waiting for its answer before it goes on.
    Closed {
        /// Simulated users, each with one connection.
        users: usize,
        /// Pause between two tasks.
        think: Think,
    },
    /// Tasks begin on a schedule that the service cannot slow down.
    Open {
        /// Tasks begun in a second.
        rate: f64,
        /// Connections that serve the schedule. When all are busy, tasks wait for one, and the
        /// wait counts into the response time.
        connections: usize,
    },
}

impl Model {
    /// Users, or connections, of the model.
    #[must_use]
    pub fn users(&self) -> usize {
        match self {
            Self::Closed { users, .. } => *users,
            Self::Open { connections, .. } => *connections,
        }
    }
}

/// Everything about a run but what is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadOptions {
    /// Users or arrivals.
    pub model: Model,
    /// Time in which users join, or the rate rises, evenly. Its task requests are not judged.
    pub ramp: Duration,
    /// Time that is judged, after the ramp.
    pub steady: Duration,
    /// Two runs with the same seed send the same requests for each user.
    pub seed: u64,
    /// Time a request may take from being sent to the last byte of the answer.
    pub timeout: Duration,
    /// Time after `steady` in which requests in flight are awaited.
    pub drain: Duration,
    /// Open model: time in which users must be set up before the schedule begins; one that is not
    /// by then is lost. In a closed model users join during the ramp and are set up until the end.
    pub setup: Duration,
    /// Threads that send. One thread sends more than 100,000 small requests a second.
    pub workers: usize,
}

impl Default for LoadOptions {
    /// 100 users who pause 1 to 3 s, 10 s ramp, 60 s steady, on one thread.
    fn default() -> Self {
        Self {
            model: Model::Closed {
                users: 100,
                think: Think::Uniform(Duration::from_secs(1), Duration::from_secs(3)),
            },
            ramp: Duration::from_secs(10),
            steady: Duration::from_secs(60),
            seed: 7,
            timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            setup: Duration::from_secs(120),
            workers: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn think_times_are_read_as_people_write_them() {
        let (s, ms) = (Duration::from_secs, Duration::from_millis);
        for (text, think) in [
            ("0s", Think::None),
            ("0ms", Think::None),
            ("200ms", Think::Constant(ms(200))),
            ("1s..3s", Think::Uniform(s(1), s(3))),
            (" 0.5s .. 1m ", Think::Uniform(ms(500), s(60))),
            ("2s..2s", Think::Constant(s(2))),
            ("exp 2s", Think::Exponential(s(2))),
        ] {
            assert_eq!(text.parse::<Think>(), Ok(think), "{text}");
        }
    }

    #[test]
    fn wrong_think_times_say_what_to_write() {
        for text in [
            "",
            "3",
            "s",
            "3s..1s",
            "1..3s",
            "exp",
            "exp2s",
            "1h",
            "1.2.3s",
            "-1s",
            "1e9m",
            "999999999m",
        ] {
            let error = text.parse::<Think>().unwrap_err().to_string();
            assert!(error.contains("exp 2s"), "{text}: {error}");
        }
    }

    #[test]
    fn draws_keep_to_their_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let uniform: Think = "1s..3s".parse().unwrap();
        let exponential: Think = "exp 2s".parse().unwrap();
        let (mut sum, mut exp_sum) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..10_000 {
            let pause = uniform.draw(&mut rng);
            assert!(pause >= Duration::from_secs(1) && pause <= Duration::from_secs(3));
            sum += pause;
            exp_sum += exponential.draw(&mut rng);
        }
        assert!((sum.as_secs_f64() / 10_000.0 - 2.0).abs() < 0.03);
        assert!((exp_sum.as_secs_f64() / 10_000.0 - 2.0).abs() < 0.1);
    }
}
