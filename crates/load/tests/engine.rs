//! What users do, and what is counted, against a real server.
#![allow(clippy::unwrap_used)] // A failed step of a test should panic where it stands.

mod server;

use std::{
    collections::HashMap,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use server::{Log, Seen, answer, capture, get, header, post, scenario, serve};
use speedwell_load::{
    CancelHandle, ErrorKind, Expect, LoadError, LoadOptions, Model, Outcome, Rows, Scenario, Task,
    Think, run,
};

fn closed(users: usize, think: &str, ramp_ms: u64, steady_ms: u64) -> LoadOptions {
    LoadOptions {
        model: Model::Closed {
            users,
            think: think.parse().unwrap(),
        },
        ramp: Duration::from_millis(ramp_ms),
        steady: Duration::from_millis(steady_ms),
        drain: Duration::from_millis(500),
        ..LoadOptions::default()
    }
}

async fn load(scenario: Scenario, options: &LoadOptions) -> Outcome {
    run(Arc::new(scenario), options, |_| {}, CancelHandle::new())
        .await
        .unwrap()
}

fn paths(log: &Log) -> Vec<String> {
    log.lock()
        .unwrap()
        .iter()
        .map(|seen| seen.path.clone())
        .collect()
}

fn count(log: &Log, path: &str) -> u64 {
    paths(log).iter().filter(|seen| *seen == path).count() as u64
}

#[tokio::test]
async fn users_pause_between_tasks_and_every_request_is_counted_once() {
    let (target, log) = serve(|_| async { answer(200, "{}") });
    let options = closed(10, "100ms", 0, 1000);
    let outcome = load(scenario(target, vec![get("all", "/")]), &options).await;
    let step = &outcome.steps[0];
    assert_eq!(step.requests, log.lock().unwrap().len() as u64);
    assert_eq!(
        (step.ok, step.in_ramp, step.response.len()),
        (step.requests, 0, step.requests)
    );
    // Ten users, ten tasks a second each, less what the answers take.
    assert!((60..=110).contains(&step.requests), "{}", step.requests);
    assert_eq!(outcome.client.connects, 10);
    assert_eq!(
        outcome
            .timeline
            .iter()
            .map(|second| second.requests)
            .sum::<u64>(),
        step.requests
    );
    assert_eq!(outcome.timeline[0].active_users, 10);
    assert!(outcome.client.cpu_share < 0.9, "{:?}", outcome.client);
}

#[tokio::test]
async fn each_user_logs_in_once_with_its_own_row_and_keeps_its_token() {
    let (target, log) = serve(|seen: Seen| async move {
        let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap_or_default();
        answer(
            200,
            &json!({"access_token": format!("token of {}", body["email"])}).to_string(),
        )
    });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"email,password\na@x,1\nb@x,2\nc@x,3\n")
        .unwrap();
    let login = post(
        "login",
        "/login",
        &json!({"email": "${row.email}", "n": "${row.password}"}),
    );
    let login = capture(login, "token", "$.access_token");
    let me = header(get("me", "/me"), "authorization", "Bearer ${token}");
    let mut scenario = scenario(target, vec![login, me]);
    scenario.setup = vec![0];
    scenario.tasks.remove(0);
    scenario.rows = Some(Rows::read(file.path()).unwrap());
    let options = LoadOptions {
        workers: 2,
        ..closed(3, "20ms", 300, 500)
    };
    let outcome = load(scenario, &options).await;

    assert_eq!(count(&log, "/login"), 3);
    let login = &outcome.steps[0];
    // Two of the three logged in during the ramp: a setup step counts all the same.
    assert_eq!((login.requests, login.ok, login.in_ramp), (3, 3, 0));
    assert_eq!(login.response.len(), 3);
    let tokens: std::collections::BTreeSet<String> = log
        .lock()
        .unwrap()
        .iter()
        .filter(|seen| seen.path == "/me")
        .map(|seen| seen.header("authorization").to_owned())
        .collect();
    let expected = ["a@x", "b@x", "c@x"].map(|email| format!("Bearer token of \"{email}\""));
    assert_eq!(tokens.into_iter().collect::<Vec<_>>(), expected);
    assert!(outcome.steps[1].in_ramp > 0 && outcome.steps[1].requests > 0);
}

#[tokio::test]
async fn tasks_are_drawn_by_weight() {
    let (target, log) = serve(|_| async { answer(200, "{}") });
    let mut scenario = scenario(
        target,
        vec![
            get("a", "/a"),
            get("b", "/b"),
            get("c", "/c"),
            get("d", "/d"),
        ],
    );
    for (task, weight) in scenario.tasks.iter_mut().zip([3, 2, 1, 0]) {
        task.weight = weight;
    }
    let outcome = load(scenario, &closed(20, "1ms..3ms", 0, 1000)).await;
    for (task, share) in outcome.tasks.iter().zip([0.5, 2.0 / 6.0, 1.0 / 6.0, 0.0]) {
        assert!((task.planned_share - share).abs() < 1e-9);
        assert!((task.achieved_share - share).abs() < 0.06, "{task:?}");
    }
    assert_eq!(count(&log, "/d"), 0);
}

#[tokio::test]
async fn captured_pools_and_values_are_carried_to_later_requests() {
    let next = AtomicU64::new(100);
    let (target, log) = serve(move |seen: Seen| {
        let id = next.fetch_add(1, Ordering::Relaxed);
        async move {
            match (seen.method.as_str(), seen.path.as_str()) {
                ("GET", "/items") => answer(200, r#"{"items":[{"id":"a b"},{"id":"c"}]}"#),
                ("POST", "/checkins") => {
                    let mut made = answer(201, &json!({"id": id}).to_string());
                    let place = format!("/checkins/{id}");
                    made.headers_mut()
                        .insert("location", place.parse().unwrap());
                    made
                }
                ("GET", path) if path.starts_with("/checkins/") => answer(200, "{}"),
                _ => answer(404, "{}"),
            }
        }
    });
    let list = capture(get("list", "/items"), "item", "$.items[*].id");
    let create = post(
        "create",
        "/checkins",
        &json!({"item_id": "${pick item}", "n": "${seq}"}),
    );
    let mut create = capture(capture(create, "id", "$.id"), "place", "header:location");
    create.expect = Expect::statuses([201]);
    let steps = vec![
        list,
        create,
        get("by id", "/checkins/${id}"),
        get("by place", "${place}"),
    ];
    let mut scenario = scenario(target, steps);
    scenario.tasks = vec![
        // Drawn a hundred times as often as the list, and yet never before it.
        Task {
            name: "check in".to_owned(),
            weight: 100,
            steps: vec![1, 2, 3],
        },
        Task {
            name: "list".to_owned(),
            weight: 1,
            steps: vec![0],
        },
    ];
    let outcome = load(scenario, &closed(2, "5ms", 0, 600)).await;
    assert_eq!(outcome.errors(), 0, "{outcome:?}");
    let log = log.lock().unwrap();
    let created: Vec<&Seen> = log.iter().filter(|seen| seen.method == "POST").collect();
    assert!(created.len() > 5);
    assert!(
        created
            .iter()
            .all(|seen| seen.header("content-type") == "application/json")
    );
    let mut picked = std::collections::BTreeSet::new();
    for seen in created {
        let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
        assert!(body["n"].is_u64(), "a number stays a number: {body}");
        picked.insert(body["item_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(picked.len(), 2, "both items were picked: {picked:?}");
}

#[tokio::test]
async fn errors_are_counted_by_kind_with_a_sample() {
    let (target, _) = serve(|seen: Seen| async move {
        match seen.path.as_str() {
            "/500" => answer(500, &format!("boom {}", "x".repeat(500))),
            "/404" => answer(404, "gone"),
            "/302" => answer(302, ""),
            "/html" => answer(200, "<html>"),
            "/slow" => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                answer(200, "")
            }
            _ => answer(200, r#"{"items":[]}"#),
        }
    });
    let mut empty = get("empty", "/empty");
    empty.expect = Expect::default().require("$.items[0]").unwrap();
    let mut gone = get("expected 404", "/404");
    gone.expect = Expect::statuses([404]);
    let steps = vec![
        get("500", "/500"),
        get("404", "/404"),
        get("302", "/302"),
        capture(get("html", "/html"), "id", "$.id"),
        get("slow", "/slow"),
        empty,
        gone,
        get("missing", "/${nothing}"),
        get("pool", "/${pick nowhere}"),
    ];
    let options = LoadOptions {
        timeout: Duration::from_millis(150),
        ..closed(12, "1ms", 0, 1200)
    };
    let outcome = load(scenario(target, steps), &options).await;
    let expected = [
        (
            "500",
            Some(ErrorKind::Status5xx),
            "500 Internal Server Error: boom xxx",
        ),
        ("404", Some(ErrorKind::Status4xx), "404 Not Found: gone"),
        ("302", Some(ErrorKind::UnexpectedStatus), "302 Found"),
        ("html", Some(ErrorKind::Capture), "needs a JSON body"),
        ("slow", Some(ErrorKind::Timeout), "no complete answer"),
        ("empty", Some(ErrorKind::Check), "$.items[0]"),
        ("expected 404", None, ""),
        (
            "missing",
            Some(ErrorKind::Template),
            "`${nothing}` has no value",
        ),
        (
            "pool",
            Some(ErrorKind::Template),
            "no step has captured `nowhere`",
        ),
    ];
    for (step, (name, kind, sample)) in outcome.steps.iter().zip(expected) {
        assert!(step.requests > 0, "{name} was never sent");
        let kinds: Vec<ErrorKind> = step.errors.keys().copied().collect();
        assert_eq!(kinds, kind.into_iter().collect::<Vec<_>>(), "{name}");
        assert_eq!(step.error_count() + step.ok, step.requests, "{name}");
        let shown = step.first_error_sample.clone().unwrap_or_default();
        assert!(
            shown.contains(sample) && shown.len() < 260,
            "{name}: {shown}"
        );
    }
    // A quick 500 must not improve the percentiles, a timeout must not vanish from them.
    assert!(outcome.steps[0].response.is_empty());
    assert!(outcome.steps[4].response.percentile(0.5) >= Duration::from_millis(145));
}

#[tokio::test]
async fn a_refused_connection_is_counted_without_spinning() {
    // Bound and dropped: nobody listens there.
    let target = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = load(
        scenario(target, vec![get("all", "/")]),
        &closed(2, "0s", 0, 500),
    )
    .await;
    let step = &outcome.steps[0];
    let refused = step.errors[&ErrorKind::Connect];
    assert!(
        refused == step.requests && (4..=12).contains(&refused),
        "{refused}"
    );
    let sample = step.first_error_sample.as_deref().unwrap();
    assert!(sample.contains("refused"), "{sample}");
    assert_eq!(outcome.client.connects, 0);
}

#[tokio::test]
async fn a_connection_reset_inside_an_answer_is_an_error_and_is_opened_again() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf");
            });
        }
    });
    let outcome = load(
        scenario(target, vec![get("all", "/")]),
        &closed(1, "20ms", 0, 300),
    )
    .await;
    let step = &outcome.steps[0];
    assert!(step.requests > 2);
    assert_eq!(
        step.errors.get(&ErrorKind::Reset),
        Some(&step.requests),
        "{:?}",
        step.errors
    );
    assert!(outcome.client.connects >= step.requests);
}

#[tokio::test]
async fn a_connection_closed_between_requests_is_no_error() {
    let (target, _) = serve(|_| async {
        let mut last = answer(200, "{}");
        last.headers_mut()
            .insert("connection", "close".parse().unwrap());
        last
    });
    let outcome = load(
        scenario(target, vec![get("all", "/")]),
        &closed(2, "20ms", 0, 400),
    )
    .await;
    let step = &outcome.steps[0];
    assert_eq!(
        step.ok, step.requests,
        "{:?} {:?}",
        step.errors, step.first_error_sample
    );
    assert!(outcome.client.connects >= step.requests);
}

#[tokio::test]
async fn requests_still_open_after_the_drain_are_errors_with_their_age() {
    let (target, _) = serve(|_| async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        answer(200, "{}")
    });
    let begun = Instant::now();
    let outcome = load(
        scenario(target, vec![get("all", "/")]),
        &closed(3, "0s", 0, 300),
    )
    .await;
    assert!(begun.elapsed() < Duration::from_secs(3));
    let step = &outcome.steps[0];
    assert_eq!((step.requests, step.errors[&ErrorKind::OpenAtEnd]), (3, 3));
    assert_eq!(outcome.client.open_at_end, 3);
    assert!(
        outcome.client.oldest_open >= Duration::from_millis(700),
        "{:?}",
        outcome.client
    );
    assert!(step.response.percentile(0.5) >= Duration::from_millis(700));
}

#[tokio::test]
async fn arrivals_that_never_found_a_connection_are_counted() {
    let (target, log) = serve(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer(200, "{}")
    });
    let options = LoadOptions {
        model: Model::Open {
            rate: 100.0,
            connections: 2,
        },
        ..closed(1, "0s", 0, 1000)
    };
    // Two connections serve 20 a second of 100: about 30 are served in 1.5 s, all others wait.
    let outcome = load(scenario(target, vec![get("all", "/")]), &options).await;
    let step = &outcome.steps[0];
    assert_eq!(step.requests, 100);
    assert_eq!(step.ok + step.errors[&ErrorKind::OpenAtEnd], 100);
    assert!((20..=32).contains(&step.ok), "{}", step.ok);
    assert!(log.lock().unwrap().len() as u64 >= step.ok);
    assert!(step.response.percentile(0.5) > Duration::from_millis(500));
    assert!(step.service.percentile(0.5) < Duration::from_millis(200));
    assert_eq!(outcome.planned_rate, Some(100.0));
}

/// What each user sent, in order.
async fn sequences(seed: u64, workers: usize) -> HashMap<String, Vec<String>> {
    let (target, log) = serve(|seen: Seen| async move {
        match seen.path.as_str() {
            "/list" => answer(200, r#"{"items":[1,2,3,4,5,6,7,8,9]}"#),
            _ => answer(200, "{}"),
        }
    });
    let list = header(
        capture(get("list", "/list"), "item", "$.items[*]"),
        "x-user",
        "${user}",
    );
    let one = header(
        get("one", "/one/${pick item}/${int 1 1000}"),
        "x-user",
        "${user}",
    );
    let mut scenario = scenario(target, vec![list, one]);
    scenario.tasks[1].weight = 5;
    let options = LoadOptions {
        seed,
        workers,
        ..closed(4, "1ms..20ms", 0, 500)
    };
    load(scenario, &options).await;
    let mut by_user: HashMap<String, Vec<String>> = HashMap::new();
    for seen in log.lock().unwrap().iter() {
        by_user
            .entry(seen.header("x-user").to_owned())
            .or_default()
            .push(seen.path.clone());
    }
    by_user
}

#[tokio::test]
async fn the_same_seed_sends_the_same_requests_for_each_user() {
    let (first, second, other) = (
        sequences(7, 1).await,
        sequences(7, 2).await,
        sequences(8, 1).await,
    );
    assert_eq!(first.len(), 4);
    for (user, sent) in &first {
        let again = &second[user];
        let both = sent.len().min(again.len());
        assert!(both >= 10, "{both} requests are too few to compare");
        assert_eq!(sent[..both], again[..both], "user {user}");
        assert_ne!(sent[..10], other[user][..10], "another seed sends others");
    }
}

#[tokio::test]
async fn users_join_one_after_the_other_during_the_ramp() {
    let (target, log) = serve(|_| async { answer(200, "{}") });
    let step = header(get("all", "/"), "x-user", "${user}");
    let progress: Mutex<Vec<usize>> = Mutex::default();
    let outcome = run(
        Arc::new(scenario(target, vec![step])),
        &closed(4, "10ms", 1600, 600),
        |now| progress.lock().unwrap().push(now.active_users),
        CancelHandle::new(),
    )
    .await
    .unwrap();
    let mut first: HashMap<String, Instant> = HashMap::new();
    for seen in log.lock().unwrap().iter() {
        first
            .entry(seen.header("x-user").to_owned())
            .or_insert(seen.at);
    }
    for user in 1..4u32 {
        let after = first[&user.to_string()] - first["0"];
        let planned = Duration::from_millis(400) * user;
        assert!(
            after >= planned.saturating_sub(Duration::from_millis(30)),
            "{user}: {after:?}"
        );
        assert!(
            after <= planned + Duration::from_millis(250),
            "{user}: {after:?}"
        );
    }
    let progress = progress.lock().unwrap();
    assert!(progress.len() >= 3 && progress.iter().any(|active| (1..4).contains(active)));
    assert!(outcome.steps[0].in_ramp > 0);
    assert_eq!(outcome.timeline.len(), 3);
}

#[tokio::test]
async fn a_failing_login_is_tried_again_and_then_given_up() {
    let tries = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&tries);
    let (target, log) = serve(move |seen: Seen| {
        // The first two logins of all fail.
        let fails = seen.path == "/login" && counted.fetch_add(1, Ordering::Relaxed) < 2;
        async move { answer(if fails { 503 } else { 200 }, "{}") }
    });
    let mut some = scenario(target, vec![get("login", "/login"), get("all", "/")]);
    some.setup = vec![0];
    some.tasks.remove(0);
    let outcome = load(some, &closed(1, "10ms", 0, 2000)).await;
    assert_eq!(outcome.steps[0].errors[&ErrorKind::Status5xx], 2);
    assert_eq!((outcome.steps[0].ok, outcome.lost_users), (1, 0));
    assert!(count(&log, "/") > 0);

    let (target, log) = serve(|_| async { answer(401, "who?") });
    let mut none = scenario(target, vec![get("login", "/login"), get("all", "/")]);
    none.setup = vec![0];
    none.tasks.remove(0);
    for model in [
        Model::Closed {
            users: 2,
            think: Think::None,
        },
        Model::Open {
            rate: 10.0,
            connections: 2,
        },
    ] {
        log.lock().unwrap().clear();
        let outcome = load(
            none.clone(),
            &LoadOptions {
                model,
                ..closed(2, "0s", 0, 4000)
            },
        )
        .await;
        assert_eq!(
            outcome.steps[0].errors[&ErrorKind::Status4xx],
            8,
            "four tries of two users"
        );
        assert_eq!((outcome.lost_users, count(&log, "/")), (2, 0));
    }
}

#[tokio::test]
async fn a_setup_that_takes_too_long_does_not_hold_up_an_open_schedule() {
    let (target, log) = serve(|seen: Seen| async move {
        // One user is let in; the others wait.
        if seen.path.starts_with("/login") && seen.path != "/login/0" {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        answer(200, "{}")
    });
    let mut some = scenario(
        target,
        vec![get("login", "/login/${user}"), get("all", "/")],
    );
    some.setup = vec![0];
    some.tasks.remove(0);
    let options = LoadOptions {
        model: Model::Open {
            rate: 20.0,
            // More than log in at the same time: some are still waiting for their turn.
            connections: 12,
        },
        setup: Duration::from_millis(400),
        timeout: Duration::from_secs(60),
        ..closed(1, "0s", 0, 500)
    };
    let begun = Instant::now();
    let outcome = load(some, &options).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!((outcome.lost_users, outcome.steps[1].ok), (11, 10));
    assert!(count(&log, "/") == 10);
    let login = &outcome.steps[0];
    // Eight log in at a time: seven beside the one that was let in, and one in its place.
    assert_eq!((login.ok, login.errors[&ErrorKind::OpenAtEnd]), (1, 8));
}

#[tokio::test]
async fn a_cancelled_run_stops_promptly_with_what_it_measured() {
    let (target, _) = serve(|_| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer(200, "{}")
    });
    let cancel = CancelHandle::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.cancel();
    });
    let begun = Instant::now();
    let scenario = Arc::new(scenario(target, vec![get("all", "/")]));
    let outcome = run(scenario, &closed(2, "0s", 0, 60_000), |_| {}, cancel)
        .await
        .unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1500));
    assert!(outcome.cancelled && outcome.steps[0].ok > 10);
    assert_eq!(
        outcome.errors(),
        0,
        "a request cut off by the user is nobody's error"
    );
    assert!(outcome.steady < Duration::from_secs(2));
}

#[tokio::test]
async fn every_request_carries_its_own_traceparent_and_server_timing_is_summed() {
    let (target, log) = serve(|_| async {
        let mut timed = answer(200, "{}");
        timed
            .headers_mut()
            .insert("server-timing", "db;dur=2.5, app;dur=1".parse().unwrap());
        timed
    });
    let outcome = load(
        scenario(target, vec![get("all", "/")]),
        &closed(2, "10ms", 0, 300),
    )
    .await;
    let traces: std::collections::HashSet<String> = log
        .lock()
        .unwrap()
        .iter()
        .map(|seen| seen.header("traceparent").to_owned())
        .collect();
    assert_eq!(traces.len(), log.lock().unwrap().len());
    assert!(traces.iter().all(|trace| trace.len() == 55));
    let db = outcome.steps[0].server_timing["db"];
    assert_eq!(
        (db.samples, db.mean()),
        (outcome.steps[0].requests, Duration::from_micros(2500))
    );
    assert_eq!(log.lock().unwrap()[0].header("host"), target.to_string());
}

#[tokio::test]
async fn a_load_that_makes_no_sense_is_refused_with_a_reason() {
    let target = "127.0.0.1:1".parse().unwrap();
    let good = scenario(target, vec![get("all", "/")]);
    let mut no_tasks = good.clone();
    no_tasks.tasks.clear();
    let mut bad_index = good.clone();
    bad_index.tasks[0].steps = vec![5];
    let mut no_steps = good.clone();
    no_steps.tasks[0].steps.clear();
    let fine = closed(1, "0s", 0, 100);
    let rate = LoadOptions {
        model: Model::Open {
            rate: 0.0,
            connections: 1,
        },
        ..fine
    };
    let no_setup = LoadOptions {
        model: Model::Open {
            rate: 1.0,
            connections: 1,
        },
        setup: Duration::ZERO,
        ..fine
    };
    for (scenario, options, part) in [
        (no_tasks, fine, "no task has a weight"),
        (bad_index, fine, "a step that does not exist"),
        (no_steps, fine, "has no steps"),
        (good.clone(), closed(0, "0s", 0, 100), "`users`"),
        (good.clone(), closed(1, "0s", 0, 0), "steady"),
        (good.clone(), rate, "`rate`"),
        (good.clone(), no_setup, "setup"),
        (good.clone(), LoadOptions { workers: 0, ..fine }, "worker"),
    ] {
        let result = run(Arc::new(scenario), &options, |_| {}, CancelHandle::new()).await;
        match result {
            Err(LoadError::Invalid(reason)) => assert!(reason.contains(part), "{reason}"),
            other => panic!("{part}: {other:?}"),
        }
    }
}
