//! Killed at any moment and started again, the service has files for its rows and rows for its
//! files, what it acknowledged, and nothing that it acknowledged to be gone.

use std::{
    collections::HashSet,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use service_kit::{
    config::DatabaseUrl,
    database::{Database, query},
    testing::Place,
};

use crate::{
    agreement,
    command::{flyers, free_port},
    create::form,
    forms::{Form, picture},
};

const ROUNDS: u32 = 12;
const CLIENTS: u64 = 3;

/// What the clients were told.
#[derive(Default)]
struct Told {
    made: Vec<i64>,
    gone: HashSet<i64>,
    /// Asked for, without an answer: may be gone or not.
    unclear: HashSet<i64>,
}

struct Killed {
    place: Place,
    media: String,
    address: String,
    agent: ureq::Agent,
}

impl Killed {
    fn start(&self) -> Child {
        let mut command = flyers(
            &["serve"],
            &[
                ("LISTEN", &self.address),
                ("DATABASE_URL", self.place.url()),
                ("OBJECT_STORE_URL", &self.media),
                ("JWT_SECRET", "a secret of the tests, long enough"),
                ("RUST_LOG", "warn"),
            ],
        );
        // Nobody reads what it says while it runs; a full pipe would stop it.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let service = command.spawn().unwrap();
        let started = Instant::now();
        while self
            .send("GET", "/ready", "", &[], "text/plain")
            .is_none_or(|(status, _)| status != 200)
        {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "it never was ready"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        service
    }

    /// Status and JSON, unless the service is gone.
    fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
        kind: &str,
    ) -> Option<(u16, Value)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", kind)
            .body(body)
            .unwrap();
        // An empty token would be refused where none is needed.
        let mut request = request;
        if token.is_empty() {
            request.headers_mut().remove("authorization");
        }
        let mut answer = self.agent.run(request).ok()?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn register(&self, name: &str) -> String {
        let body = json!({ "email": format!("{name}@example.org"), "password": "Abcdefg1" });
        let body = body.to_string();
        let path = "/api/v1/auth/register/";
        let (status, answer) = self
            .send("POST", path, "", body.as_bytes(), "application/json")
            .unwrap();
        assert_eq!(status, 201, "{answer}");
        answer["token"].as_str().unwrap().to_owned()
    }

    /// Creates, edits and deletes until the service is gone.
    fn burst(&self, token: &str, seed: u64) -> Told {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut told = Told::default();
        let mut mine: Vec<i64> = Vec::new();
        loop {
            let pictures = random.random_range(1..=3);
            let at = (!mine.is_empty()).then(|| random.random_range(0..mine.len()));
            let answer = match (random.random_range(0..3), at) {
                (0, Some(at)) => {
                    let id = mine.swap_remove(at);
                    let path = format!("/api/v1/flyers/{id}/");
                    told.unclear.insert(id);
                    let answer = self.send("DELETE", &path, token, b"", "text/plain");
                    if let Some((204, _)) = answer {
                        told.unclear.remove(&id);
                        told.gone.insert(id);
                    }
                    answer.map(drop)
                }
                (1, Some(at)) => self.edit(token, mine[at], random.random_range(0..100)),
                _ => {
                    let body = form(pictures).bytes();
                    let answer = self.send("POST", "/api/v1/flyers/", token, &body, &Form::kind());
                    if let Some((201, flyer)) = &answer {
                        let id = flyer["id"].as_i64().unwrap();
                        told.made.push(id);
                        mine.push(id);
                    }
                    answer.map(drop)
                }
            };
            if answer.is_none() {
                return told;
            }
        }
    }

    /// Replaces the first picture.
    fn edit(&self, token: &str, id: i64, number: u32) -> Option<()> {
        let path = format!("/api/v1/flyers/{id}/");
        let (_, flyer) = self.send("GET", &path, token, b"", "text/plain")?;
        let form = Form::default()
            .text("remove_images", &flyer["images"][0]["id"].to_string())
            .file("image_1", &picture(number));
        self.send("PATCH", &path, token, &form.bytes(), &Form::kind())
            .map(drop)
    }

    /// Ids of flyers and paths of pictures, as they are in the database.
    fn rows(&self, runtime: &tokio::runtime::Runtime) -> (HashSet<i64>, Vec<String>) {
        runtime.block_on(async {
            let url = DatabaseUrl::parse(self.place.url()).unwrap();
            let database = Database::open(&url, 1).await.unwrap();
            let ids: Vec<(i64,)> = query("SELECT id FROM flyers AS f")
                .fetch_all(database.read())
                .await
                .unwrap();
            let paths: Vec<(String,)> = query("SELECT path FROM flyer_images AS i")
                .fetch_all(database.read())
                .await
                .unwrap();
            database.close().await;
            (
                ids.into_iter().map(|(id,)| id).collect(),
                paths.into_iter().map(|(path,)| path).collect(),
            )
        })
    }
}

#[test]
fn whenever_it_is_killed_rows_and_files_agree_after_the_next_start() {
    let place = Place::new(crate::DIALECT);
    let media = place.folder().join("media").display().to_string();
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = agent
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let killed = Killed {
        place,
        media,
        address: free_port(),
        agent,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let mut service = killed.start();
    let tokens: Vec<String> = (0..CLIENTS)
        .map(|n| killed.register(&format!("user{n}")))
        .collect();
    let mut all = Told::default();
    for round in 0..ROUNDS {
        let alive = Duration::from_millis(random.random_range(50..900));
        std::thread::scope(|scope| {
            let bursts: Vec<_> = tokens
                .iter()
                .zip(0..)
                .map(|(token, n)| {
                    let killed = &killed;
                    scope.spawn(move || killed.burst(token, u64::from(round) * CLIENTS + n))
                })
                .collect();
            std::thread::sleep(alive);
            // SIGKILL.
            service.kill().unwrap();
            service.wait().unwrap();
            for burst in bursts {
                let told = burst.join().unwrap();
                all.made.extend(told.made);
                all.gone.extend(told.gone);
                all.unclear.extend(told.unclear);
            }
        });
        service = killed.start();
        let (ids, paths) = killed.rows(&runtime);
        agreement::check(&paths, Path::new(&killed.media));
        for id in &all.made {
            let clear = !all.unclear.contains(id);
            let there = ids.contains(id);
            let expected = !all.gone.contains(id);
            assert!(
                !clear || there == expected,
                "flyer {id} in round {round}: {there}"
            );
        }
    }
    service.kill().unwrap();
    service.wait().unwrap();
    let (made, gone) = (all.made.len(), all.gone.len());
    assert!(
        made > 20 && gone > 3,
        "too little happened: {made} made, {gone} deleted"
    );
}
