//! Tries, waits, the breaker and the memory, with a scripted other side and a clock that
//! runs only when everybody waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use proptest::prelude::*;

use super::*;

const HERE: Point = Point {
    lat: 47.0,
    lng: 8.0,
};
const TOTAL: Duration = Duration::from_secs(8);

#[derive(Debug, Clone)]
enum Step {
    Answer(Option<Point>),
    After(Duration, Option<Point>),
    Fail(AskError),
    Hang,
}

fn broken() -> Step {
    Step::Fail(AskError {
        reason: "broken".to_owned(),
        again: true,
        retry_after: None,
    })
}

fn lasting() -> Step {
    Step::Fail(AskError {
        reason: "refused".to_owned(),
        again: false,
        retry_after: None,
    })
}

fn busy(seconds: u64) -> Step {
    Step::Fail(AskError {
        reason: "busy".to_owned(),
        again: true,
        retry_after: Some(Duration::from_secs(seconds)),
    })
}

/// Does one step for each try, and finds [`HERE`] when the script is over.
#[derive(Debug, Clone, Default)]
struct Script {
    steps: Arc<Mutex<VecDeque<Step>>>,
    asked: Arc<Mutex<Vec<Instant>>>,
}

impl Script {
    fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.steps.lock().unwrap().extend(steps);
    }

    fn tries(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Times between the tries.
    fn pauses(&self) -> Vec<Duration> {
        let asked = self.asked.lock().unwrap();
        asked.windows(2).map(|two| two[1] - two[0]).collect()
    }
}

impl Ask for Script {
    async fn ask(&self, _: &str) -> Result<Option<Point>, AskError> {
        self.asked.lock().unwrap().push(Instant::now());
        let step = self.steps.lock().unwrap().pop_front();
        match step.unwrap_or(Step::Answer(Some(HERE))) {
            Step::Answer(answer) => Ok(answer),
            Step::After(time, answer) => {
                sleep(time).await;
                Ok(answer)
            }
            Step::Fail(error) => Err(error),
            Step::Hang => std::future::pending().await,
        }
    }
}

fn remote(steps: impl IntoIterator<Item = Step>) -> (Script, Remote<Script>) {
    let script = Script::default();
    script.then(steps);
    let remote = Remote::new(script.clone(), Settings::within(TOTAL));
    (script, remote)
}

#[tokio::test(start_paused = true)]
async fn a_try_that_fails_is_made_again_after_a_second_and_then_two() {
    let (script, remote) = remote([broken(), broken()]);
    assert_eq!(remote.locate("a").await, Ok(HERE));
    let pauses = script.pauses();
    assert_eq!(pauses.len(), 2);
    for (pause, backoff) in pauses.iter().zip(BACKOFF) {
        let longest = backoff.mul_f64(1.0 + JITTER) + Duration::from_millis(2);
        assert!((backoff..=longest).contains(pause), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn three_tries_are_all() {
    let (script, remote) = remote([broken(), broken(), broken()]);
    assert_eq!(remote.locate("a").await, Err(GeocodeError::Unavailable));
    assert_eq!(script.tries(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_missing_address_is_an_answer_and_a_refusal_is_not_repeated() {
    let (script, remote) = remote([Step::Answer(None), lasting()]);
    assert_eq!(remote.locate("a").await, Err(GeocodeError::NotFound));
    assert_eq!(remote.locate("b").await, Err(GeocodeError::Unavailable));
    assert_eq!(script.tries(), 2);
    assert_eq!(remote.locate(" \t").await, Err(GeocodeError::NotFound));
    assert_eq!(script.tries(), 2, "nothing to ask for");
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_costs_five_seconds_a_try_and_eight_in_all() {
    let (script, remote) = remote([Step::Hang, Step::Hang, Step::Hang]);
    let begin = Instant::now();
    assert_eq!(remote.locate("a").await, Err(GeocodeError::Unavailable));
    assert!(begin.elapsed() <= TOTAL + Duration::from_millis(2));
    assert_eq!(script.tries(), 2);
    assert!(script.pauses()[0] >= TRY + BACKOFF[0]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_wait_is_followed_when_it_fits_and_ends_the_call_when_not() {
    let (script, remote) = remote([busy(4), broken()]);
    assert_eq!(remote.locate("a").await, Ok(HERE));
    assert!(script.pauses()[0] >= Duration::from_secs(4));

    script.then([busy(30)]);
    let begin = Instant::now();
    assert_eq!(remote.locate("b").await, Err(GeocodeError::Unavailable));
    assert_eq!(remote.locate("c").await, Err(GeocodeError::Unavailable));
    assert_eq!(begin.elapsed(), Duration::ZERO, "nobody waits in vain");
    let tries = script.tries();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(remote.locate("c").await, Ok(HERE));
    assert_eq!(script.tries(), tries + 1, "others stayed away too");
}

#[tokio::test(start_paused = true)]
async fn three_failed_calls_in_a_row_open_the_breaker_for_a_minute() {
    let (script, remote) = remote([lasting(), lasting(), Step::Answer(None)]);
    for address in ["a", "b", "c"] {
        let _any = remote.locate(address).await;
    }
    assert_eq!(
        remote.breaker.state(),
        breaker::State::Closed,
        "a missing address is no failure"
    );
    script.then([lasting(), lasting(), lasting()]);
    for address in ["d", "e", "f", "g"] {
        let refused = remote.locate(address).await;
        assert_eq!(refused, Err(GeocodeError::Unavailable));
    }
    assert_eq!(script.tries(), 6, "the last one was not asked");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(remote.locate("g").await, Ok(HERE));
    assert_eq!(remote.breaker.state(), breaker::State::HalfOpen);
    assert_eq!(remote.locate("h").await, Ok(HERE));
    assert_eq!(remote.breaker.state(), breaker::State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_known_address_is_not_asked_again_however_it_is_written() {
    let (script, remote) = remote([Step::Answer(Some(HERE)), Step::Answer(None), lasting()]);
    for address in ["Café  Zürich", " CAFE\u{301} zürich ", "café zürich"] {
        assert_eq!(remote.locate(address).await, Ok(HERE));
    }
    for _ in 0..3 {
        assert_eq!(remote.locate("nowhere").await, Err(GeocodeError::NotFound));
    }
    assert_eq!(script.tries(), 2);
    assert_eq!(remote.locate("x").await, Err(GeocodeError::Unavailable));
    assert_eq!(remote.locate("x").await, Ok(HERE), "a failure is forgotten");
}

#[tokio::test]
async fn what_is_remembered_is_forgotten_after_its_time() {
    let script = Script::default();
    script.then([Step::Answer(None)]);
    let settings = Settings {
        missing_for: Duration::from_millis(50),
        found_for: Duration::from_millis(400),
        ..Settings::within(TOTAL)
    };
    let remote = Remote::new(script.clone(), settings);
    assert_eq!(remote.locate("a").await, Err(GeocodeError::NotFound));
    sleep(Duration::from_millis(60)).await;
    assert_eq!(remote.locate("a").await, Ok(HERE));
    sleep(Duration::from_millis(60)).await;
    assert_eq!(remote.locate("a").await, Ok(HERE));
    assert_eq!(script.tries(), 2);
    sleep(Duration::from_millis(400)).await;
    assert_eq!(remote.locate("a").await, Ok(HERE));
    assert_eq!(script.tries(), 3);
}

#[tokio::test(start_paused = true)]
async fn lookups_of_one_address_at_the_same_time_are_one_call() {
    let slow = Step::After(Duration::from_secs(1), Some(HERE));
    let (script, remote) = remote([slow, lasting()]);
    let all = tokio::join!(remote.locate("a"), remote.locate("A"), remote.locate(" a "),);
    assert_eq!(all, (Ok(HERE), Ok(HERE), Ok(HERE)));
    assert_eq!(script.tries(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_call_that_is_given_up_makes_it_itself_in_its_own_time() {
    let (script, remote) = remote([Step::Hang, Step::Hang, Step::Hang, Step::Hang]);
    let begin = Instant::now();
    let given_up = tokio::time::timeout(Duration::from_secs(7), remote.locate("a"));
    let (gone, waited) = tokio::join!(given_up, async {
        sleep(Duration::from_secs(1)).await;
        remote.locate("a").await
    });
    assert!(gone.is_err());
    assert_eq!(waited, Err(GeocodeError::Unavailable));
    assert!(begin.elapsed() <= TOTAL + Duration::from_millis(1_010));
    assert!(script.tries() >= 3);
    assert_eq!(remote.breaker.state(), breaker::State::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_public_server_gets_one_request_a_second_and_a_crowd_is_no_failure() {
    let script = Script::default();
    let settings = Settings {
        interval: Duration::from_secs(1),
        ..Settings::within(TOTAL)
    };
    let remote = Arc::new(Remote::new(script.clone(), settings));
    let crowd: Vec<_> = (0..30)
        .map(|number| {
            let remote = Arc::clone(&remote);
            tokio::spawn(async move { remote.locate(&format!("street {number}")).await })
        })
        .collect();
    let mut found = 0;
    for one in crowd {
        match one.await.unwrap() {
            Ok(_) => found += 1,
            Err(error) => assert_eq!(error, GeocodeError::Unavailable),
        }
    }
    assert_eq!((found, script.tries()), (7, 7));
    let pauses = script.pauses();
    assert!(
        pauses.iter().all(|pause| *pause >= Duration::from_secs(1)),
        "{pauses:?}"
    );
    assert_eq!(remote.breaker.state(), breaker::State::Closed);
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Answer(Some(HERE))),
        Just(Step::Answer(None)),
        (0..12_000_u64).prop_map(|ms| Step::After(Duration::from_millis(ms), Some(HERE))),
        Just(broken()),
        Just(lasting()),
        (0..100_000_u64).prop_map(busy),
        Just(Step::Hang),
    ]
}

proptest! {
    #[test]
    fn whatever_the_other_side_does_no_lookup_takes_longer_than_its_limit(
        steps in prop::collection::vec(any_step(), 0..40), total_s in 1..20_u64, wait_s in 0..90_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let slowest = runtime.block_on(async {
            let script = Script::default();
            script.then(steps);
            let total = Duration::from_secs(total_s);
            let remote = Remote::new(script.clone(), Settings::within(total));
            let mut slowest = Duration::ZERO;
            for number in 0..20 {
                let (begin, tries) = (Instant::now(), script.tries());
                let _any = remote.locate(&number.to_string()).await;
                slowest = slowest.max(begin.elapsed());
                assert!(script.tries() - tries <= TRIES);
                sleep(Duration::from_secs(wait_s)).await;
            }
            slowest
        });
        prop_assert!(slowest <= Duration::from_secs(total_s) + Duration::from_millis(2), "{:?}", slowest);
    }
}
