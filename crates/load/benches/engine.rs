//! What one request costs the client, beside `wrk`: closed loop, 100 connections, 1 KB answers.
//!
//! The server is this program started again, so that its CPU time is not the client's. Both clients
//! have one thread and send the same headers. Rounds alternate; the median of their ratios counts. Run with
//! `cargo bench -p speedwell-load`; needs `wrk` (Debian: `apt-get install wrk`).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used
)]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use speedwell_load::{
    CancelHandle, Expect, LoadOptions, Model, Scenario, Step, Task, Template, Think, run,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const CONNECTIONS: usize = 100;
const ROUNDS: usize = 5;
const SECONDS: u64 = 4;

/// Requests for each CPU-second of the client, as a share of wrk's, that the engine must reach.
const GOAL: f64 = 0.85;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--server") {
        serve();
        return ExitCode::SUCCESS;
    }
    if Command::new("wrk")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .is_err()
    {
        eprintln!("`wrk` is missing; install it (Debian: apt-get install wrk) and run again");
        return ExitCode::FAILURE;
    }
    let (mut server, address) = start_server();
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    println!("requests for each CPU-second of the client, {CONNECTIONS} connections, 1 KB:");
    for round in 1..=ROUNDS {
        // Each goes first in every other round: what else the machine does changes meanwhile.
        let (engine, wrk) = if round % 2 == 0 {
            let engine = engine(address);
            (engine, wrk(address))
        } else {
            let wrk = wrk(address);
            (engine(address), wrk)
        };
        let ratio = engine / wrk;
        println!("  round {round}: engine {engine:>9.0}   wrk {wrk:>9.0}   ratio {ratio:.3}");
        ours.push(engine);
        theirs.push(wrk);
        ratios.push(ratio);
    }
    server.kill().unwrap();
    server.wait().unwrap();
    let (ours, theirs, ratio) = (median(ours), median(theirs), median(ratios));
    println!("  median:  engine {ours:>9.0}   wrk {theirs:>9.0}   ratio {ratio:.3} (goal {GOAL})");
    if ratio >= GOAL {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// One round of the engine, in this process; CPU time is that of the whole process.
fn engine(target: SocketAddr) -> f64 {
    let step = Step {
        name: "all".to_owned(),
        route: "GET /".to_owned(),
        method: http::Method::GET,
        path: Template::parse("/").unwrap(),
        headers: Vec::new(),
        body: None,
        expect: Expect::default(),
        captures: Vec::new(),
    };
    let scenario = Scenario {
        target,
        steps: vec![step],
        setup: Vec::new(),
        tasks: vec![Task {
            name: "all".to_owned(),
            weight: 1,
            steps: vec![0],
        }],
        rows: None,
        constants: Vec::new(),
    };
    let options = LoadOptions {
        model: Model::Closed {
            users: CONNECTIONS,
            think: Think::None,
        },
        ramp: Duration::ZERO,
        steady: Duration::from_secs(SECONDS),
        ..LoadOptions::default()
    };
    let before = process_cpu();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let outcome = runtime
        .block_on(run(
            Arc::new(scenario),
            &options,
            |_| {},
            CancelHandle::new(),
        ))
        .expect("the engine runs");
    assert_eq!(
        outcome.errors(),
        0,
        "{:?}",
        outcome.steps[0].first_error_sample
    );
    outcome.requests() as f64 / (process_cpu() - before)
}

fn process_cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// One round of wrk in a shell, whose `times` prints the CPU time of its children. Its requests
/// have the headers of the engine's.
fn wrk(target: SocketAddr) -> f64 {
    let command = format!(
        "wrk -t1 -c{CONNECTIONS} -d{SECONDS}s -H 'accept: */*' -H 'user-agent: speedwell-load/0.1.0' \
         -H 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' \
         http://{target}/; times"
    );
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let requests: f64 = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .map(|(count, _)| count.parse().unwrap())
        .expect("wrk prints its number of requests");
    // The last line is user and system time of the children, as 0m1.23s.
    let cpu: f64 = text
        .lines()
        .last()
        .unwrap()
        .split_whitespace()
        .map(minutes_seconds)
        .sum();
    requests / cpu
}

fn minutes_seconds(text: &str) -> f64 {
    let (minutes, seconds) = text.trim_end_matches('s').split_once('m').unwrap();
    minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
}

fn start_server() -> (Child, SocketAddr) {
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg("--server")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (server, line.trim().parse().unwrap())
}

/// A canned answer for whatever arrives, without looking at it. One thread that answers all that
/// is there before it waits again: a thread for each connection would have the client pay for
/// waking it.
fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer_all(stream));
        }
    });
}

async fn answer_all(mut stream: tokio::net::TcpStream) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n{}",
        "x".repeat(1024)
    );
    let _ = stream.set_nodelay(true);
    let mut request = [0; 2048];
    // Neither client pipelines, and a request fits into one packet.
    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
