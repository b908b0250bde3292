//! The program itself: what it prints and leaves behind.

use std::{
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use service_kit::testing::{Client, Place};

const SECRET: &str = "a secret of the tests, long enough";

fn challenges(place: &Place) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_challenges"));
    let kept = |name: &str| ["PATH", "HOME", "TMPDIR"].contains(&name);
    command
        .env_clear()
        .envs(std::env::vars().filter(|(name, _)| kept(name)))
        .env("DATABASE_URL", place.url())
        .env("JWT_SECRET", SECRET)
        .current_dir(place.folder());
    command
}

fn run(place: &Place, arguments: &[&str]) -> Output {
    challenges(place).args(arguments).output().unwrap()
}

#[test]
fn a_seeded_service_answers_the_users_of_its_file_and_stops_when_told() {
    let place = Place::new(crate::DIALECT);
    let seeded = run(
        &place,
        &["seed", "--scale", "200", "--users-csv", "users.csv"],
    );
    assert!(
        seeded.status.success(),
        "{}",
        String::from_utf8_lossy(&seeded.stderr)
    );
    let users = std::fs::read_to_string(place.folder().join("users.csv")).unwrap();
    let mut lines = users
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let (names, first) = (lines.next().unwrap(), lines.next().unwrap());
    let get = |name: &str| first[names.iter().position(|one| *one == name).unwrap()];
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let mut child = challenges(&place)
        .arg("serve")
        .env("LISTEN", &address)
        .env("RUST_LOG", "warn")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let client = Client::of(format!("http://{address}"));
    let until = Instant::now() + Duration::from_secs(30);
    while client
        .agent()
        .get(format!("{}/ready", client.origin))
        .call()
        .is_err()
    {
        assert!(Instant::now() < until, "the service does not start");
        std::thread::sleep(Duration::from_millis(20));
    }
    let me = client.get_as(get("token"), "/api/v1/users/me/").expect(200);
    assert_eq!(me["id"], Value::from(get("user_id")));
    let sign_in = serde_json::json!({ "email": get("email"), "password": "Correct-horse1" });
    client.post("/api/v1/auth/login/", &sign_in).expect(200);
    let token = run(&place, &["token", get("user_id")]);
    let token = String::from_utf8(token.stdout).unwrap();
    client.get_as(token.trim(), "/api/v1/users/me/").expect(200);
    let id = child.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(!log.contains("panic") && !log.contains(SECRET), "{log}");
}

#[test]
fn what_cannot_be_used_is_named_with_what_to_do() {
    let place = Place::new(crate::DIALECT);
    for (variable, value, remedy) in [
        ("CACHE", "maybe", "write on or off"),
        ("ALLOWED_ORIGINS", "app.example", "https://app.example"),
        ("JWT_SECRET", "short", "openssl rand"),
        ("DATABASE_URL", "mysql://x", "DATABASE_URL"),
        ("LISTEN", "80", "127.0.0.1:8080"),
    ] {
        let output = challenges(&place)
            .arg("serve")
            .env(variable, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(variable) && said.contains(remedy), "{said}");
    }
    let token = run(&place, &["token", "7"]);
    assert_eq!(token.status.code(), Some(2));
    let migrated = run(&place, &["migrate"]);
    assert!(migrated.status.success());
}
