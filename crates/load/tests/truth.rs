//! Whether the engine tells the truth about a server that stalls.
#![allow(clippy::unwrap_used)] // A failed step of a test should panic where it stands.

mod server;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::{Duration, Instant},
};

use server::{get, scenario};
use speedwell_load::{CancelHandle, LoadOptions, Model, run};

/// A server that answers at once, but stops for 1 s in every 10 s. It does next to nothing for a
/// request, so that what queued up in a stall is worked off in no time and the truth is exact.
fn stalling_server() -> SocketAddr {
    let zero = Instant::now();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer_all(stream, zero));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream, zero: Instant) {
    stream.set_nodelay(true).unwrap();
    let mut request = [0; 2048];
    // A client without pipelining sends one small request at a time, in one packet.
    while stream.read(&mut request).is_ok_and(|read| read > 0) {
        let in_period = zero.elapsed().as_secs_f64() % 10.0;
        if in_period < 1.0 {
            std::thread::sleep(Duration::from_secs_f64(1.0 - in_period));
        }
        if stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            .is_err()
        {
            return;
        }
    }
}

/// On a fixed schedule a tenth of all arrivals falls into a stall and waits evenly between 0 and
/// 1 s; so 5 % wait more than 500 ms and 1 % more than 900 ms. Twenty seconds hold two whole
/// stalls wherever they begin.
#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_seen_from_the_intended_start_and_hidden_in_the_service_time() {
    let options = LoadOptions {
        // Few connections: the stall blocks them all and most arrivals wait for one of them.
        model: Model::Open {
            rate: 500.0,
            connections: 10,
        },
        // The steady time begins and ends between two stalls.
        ramp: Duration::from_millis(3000),
        steady: Duration::from_secs(20),
        ..LoadOptions::default()
    };
    let scenario = Arc::new(scenario(stalling_server(), vec![get("all", "/")]));
    let outcome = run(scenario, &options, |_| {}, CancelHandle::new())
        .await
        .unwrap();

    let step = &outcome.steps[0];
    assert_eq!(
        (step.requests, step.ok, outcome.client.open_at_end),
        (10_000, 10_000, 0)
    );
    let p95 = step.response.percentile(0.95).as_secs_f64();
    let p99 = step.response.percentile(0.99).as_secs_f64();
    // Working off what queued up takes client and server some CPU, which users do wait for: 1 to
    // 2 % in an unoptimised build.
    for (name, measured, truth) in [("p95", p95, 0.5), ("p99", p99, 0.9)] {
        let within = 0.95 * truth..=1.05 * truth;
        assert!(
            within.contains(&measured),
            "{name}: {measured} s, truth {truth} s"
        );
    }
    let service = step.service.percentile(0.99).as_secs_f64();
    assert!(
        service < 0.1,
        "ten connections hide the stall: service p99 {service} s"
    );
    assert!(
        (outcome.achieved_rate - 500.0).abs() < 5.0,
        "{}",
        outcome.achieved_rate
    );
    println!(
        "p95 {p95:.4} s, p99 {p99:.4} s, service p99 {service:.4} s, {:?}",
        outcome.client
    );
}
