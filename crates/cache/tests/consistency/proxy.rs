//! A line to Redis on which messages, and only those, are held up now and then: longer than a
//! lease, too.

use std::{
    net::Ipv4Addr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
    time::sleep,
};

pub(crate) struct LateMessages {
    port: u16,
    accepting: JoinHandle<()>,
}

impl LateMessages {
    /// A proxy before the server of that port.
    pub(crate) fn before(server: u16, seed: u64) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let mut random = StdRng::seed_from_u64(seed);
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(
                    client,
                    server,
                    StdRng::seed_from_u64(random.random()),
                ));
            }
        });
        Self { port, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}

impl Drop for LateMessages {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Ends when either side does.
async fn carry(client: TcpStream, server: u16, random: StdRng) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let subscribed = AtomicBool::new(false);
    tokio::select! {
        () = pass_questions(from_client, to_server, &subscribed) => {}
        () = pass_answers(from_server, to_client, &subscribed, random) => {}
    }
}

async fn pass_questions(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, subscribed: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let text = String::from_utf8_lossy(&bytes[..length]).to_uppercase();
        if text.contains("SUBSCRIBE") {
            subscribed.store(true, Ordering::Relaxed);
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    subscribed: &AtomicBool,
    mut random: StdRng,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        if subscribed.load(Ordering::Relaxed) && random.random_range(0..40) == 0 {
            sleep(Duration::from_millis(random.random_range(20..900))).await;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
