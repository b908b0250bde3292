//! The breaker against a simple model, and what calls do that overlap.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;

const SETTINGS: Settings = Settings {
    failures_to_open: 3,
    open_for: Duration::from_secs(60),
    successes_to_close: 2,
};

fn breaker() -> Breaker {
    Breaker::new("test", SETTINGS)
}

fn fail(breaker: &Breaker) {
    breaker.acquire().unwrap().fail();
}

fn succeed(breaker: &Breaker) {
    breaker.acquire().unwrap().succeed();
}

async fn opened() -> Breaker {
    let breaker = breaker();
    (0..3).for_each(|_| fail(&breaker));
    assert_eq!(breaker.state(), State::Open);
    breaker
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_open_it_and_successes_in_a_row_close_it() {
    let breaker = opened().await;
    advance(Duration::from_millis(59_999)).await;
    let refused = breaker.acquire().unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_millis(1));
    advance(Duration::from_millis(1)).await;
    succeed(&breaker);
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed);
    // The failures before are forgotten.
    fail(&breaker);
    fail(&breaker);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_half_open_opens_it_for_the_whole_time() {
    let breaker = opened().await;
    advance(Duration::from_secs(90)).await;
    succeed(&breaker);
    fail(&breaker);
    let refused = breaker.acquire().unwrap_err();
    assert_eq!(refused.retry_after, SETTINGS.open_for);
}

#[tokio::test(start_paused = true)]
async fn half_open_lets_one_call_through_at_a_time() {
    let breaker = opened().await;
    advance(SETTINGS.open_for).await;
    let first = breaker.acquire().unwrap();
    assert_eq!(
        breaker.acquire().unwrap_err().retry_after,
        Duration::ZERO,
        "another call is being tried"
    );
    first.succeed();
    assert!(breaker.acquire().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_leaves_its_place_to_the_next() {
    let breaker = opened().await;
    advance(SETTINGS.open_for).await;
    drop(breaker.acquire().unwrap());
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker);
    drop(breaker.acquire().unwrap());
    succeed(&breaker);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_a_change_says_nothing_about_after_it() {
    let breaker = breaker();
    let [late_success, late_failure] = [breaker.acquire().unwrap(), breaker.acquire().unwrap()];
    (0..3).for_each(|_| fail(&breaker));
    advance(SETTINGS.open_for).await;
    let probe = breaker.acquire().unwrap();
    late_failure.fail();
    assert_eq!(breaker.state(), State::HalfOpen);
    late_success.succeed();
    probe.succeed();
    assert_eq!(breaker.state(), State::HalfOpen, "one success, not two");
}

/// The same rules, said over the list of results since the breaker was last closed.
#[derive(Default)]
struct Model {
    results: Vec<bool>,
    opened_ms: Option<u64>,
    good: u32,
}

impl Model {
    fn lets(&self, now_ms: u64) -> bool {
        self.opened_ms
            .is_none_or(|opened| now_ms >= opened + 60_000)
    }

    fn result(&mut self, good: bool, now_ms: u64) {
        if self.opened_ms.is_none() {
            self.results.push(good);
            if self.results.ends_with(&[false; 3]) {
                self.opened_ms = Some(now_ms);
                self.good = 0;
            }
        } else if !good {
            self.opened_ms = Some(now_ms);
            self.good = 0;
        } else {
            self.good += 1;
            if self.good == 2 {
                *self = Self::default();
            }
        }
    }
}

proptest! {
    #[test]
    fn one_call_after_the_other_it_does_as_the_model(
        steps in prop::collection::vec((any::<bool>(), prop_oneof![Just(0_u64), 0..90_000_u64]), 0..200),
    ) {
        let begin = Instant::now();
        let (mut core, mut model, mut now_ms) = (Core::new(SETTINGS), Model::default(), 0);
        for (good, wait_ms) in steps {
            now_ms += wait_ms;
            let now = begin + Duration::from_millis(now_ms);
            let period = core.acquire(now);
            prop_assert_eq!(period.is_ok(), model.lets(now_ms));
            if let Ok(period) = period {
                let outcome = if good { Outcome::Success } else { Outcome::Failure };
                core.settle(period, outcome, now);
                model.result(good, now_ms);
            }
        }
    }

    #[test]
    fn however_calls_overlap_half_open_has_one_and_open_has_none(
        steps in prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), 0..40_000_u64), 0..300),
    ) {
        let mut now = Instant::now();
        let mut core = Core::new(SETTINGS);
        let mut under_way: Vec<u64> = Vec::new();
        for (step, pick, wait_ms) in steps {
            now += Duration::from_millis(wait_ms);
            if step == 0 || under_way.is_empty() {
                under_way.extend(core.acquire(now));
            } else {
                let period = under_way.swap_remove(pick.index(under_way.len()));
                let outcome = [Outcome::Success, Outcome::Failure, Outcome::Abandoned][usize::from(step) - 1];
                core.settle(period, outcome, now);
            }
            let of_now = under_way.iter().filter(|period| **period == core.period).count();
            match core.phase {
                Phase::Closed { failures } => prop_assert!(failures < 3),
                Phase::Open { until } => prop_assert!(of_now == 0 && until <= now + SETTINGS.open_for),
                Phase::HalfOpen { trying, .. } => prop_assert_eq!(of_now, usize::from(trying)),
            }
        }
        // It always comes back: what is left ends, the time passes, two calls go well.
        for period in under_way {
            core.settle(period, Outcome::Abandoned, now);
        }
        now += SETTINGS.open_for;
        for _ in 0..2 {
            let period = core.acquire(now).unwrap();
            core.settle(period, Outcome::Success, now);
        }
        prop_assert_eq!(core.state(), State::Closed);
    }
}
