//! A load that goes on while the database goes away and comes back: a killed server, or a
//! file that another process holds locked.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use flyers::geocoder::Gazetteer;
use serde_json::{Value as Json, json};
use service_kit::{
    config::DatabaseUrl,
    database::{Database, Dialect, Transaction},
    testing::Place,
};

use crate::{create::form, forms::Form, running::Running};

/// What makes the database unusable, and usable again.
enum Outage {
    /// The server is killed.
    Server(Box<throwaway::Postgres>),
    /// Another process writes and does not end.
    Lock(Database, Option<Transaction>),
}

impl Outage {
    fn begin(&mut self, service: &Running) {
        match self {
            Self::Server(server) => server.kill(),
            Self::Lock(other, held) => {
                *held = Some(service.runtime.block_on(other.begin()).unwrap());
            }
        }
    }

    fn end(&mut self, service: &Running) {
        match self {
            Self::Server(server) => server.start_again().unwrap(),
            Self::Lock(_, held) => {
                let held = held.take().unwrap();
                service.runtime.block_on(held.rollback()).unwrap();
            }
        }
    }

    /// How many there are, and how long each lasts: who waits for SQLite's lock does so for
    /// three seconds.
    fn lengths() -> Vec<Duration> {
        match crate::DIALECT {
            Dialect::Sqlite => vec![Duration::from_millis(4500)],
            Dialect::Postgres => vec![Duration::from_millis(1500); 2],
        }
    }
}

/// A service over a database that can go away.
fn start() -> (Running, Outage) {
    let environment = [("DATABASE_CONNECTIONS", "4")];
    match crate::DIALECT {
        Dialect::Sqlite => {
            let service = Running::start(&environment, Arc::new(Gazetteer));
            let url = DatabaseUrl::parse(service.url()).unwrap();
            let other = service.runtime.block_on(Database::open(&url, 1)).unwrap();
            (service, Outage::Lock(other, None))
        }
        Dialect::Postgres => {
            let server = throwaway::Postgres::start().unwrap();
            let place = Place::on(&server);
            let service = Running::at(place, &environment, Arc::new(Gazetteer));
            (service, Outage::Server(Box::new(server)))
        }
    }
}

/// One request of the load.
struct Done {
    what: &'static str,
    from: Instant,
    until: Instant,
    /// No status: the answer was no HTTP.
    status: Result<u16, String>,
    /// Whether a refusal says what it must: a problem, and when to come back.
    well_formed: bool,
}

/// What the service said that it has done.
#[derive(Default)]
struct Acknowledged {
    emails: Vec<String>,
    flyers: Vec<i64>,
}

struct Load<'s> {
    service: &'s Running,
    agent: ureq::Agent,
    token: String,
    stop: AtomicBool,
    done: Mutex<Vec<Done>>,
    acknowledged: Mutex<Acknowledged>,
}

const WORKERS: usize = 4;
/// A client that hangs longer has been forgotten. Three seconds for a connection, five for
/// a lock or a statement, and time for a machine that builds beside.
const PATIENCE: Duration = Duration::from_secs(15);
/// After the database is back, its connections are made anew and those who waited are served.
const RECOVERY: Duration = Duration::from_secs(4);

impl Load<'_> {
    fn run(&self, worker: usize) {
        let mut round = 0;
        while !self.stop.load(Ordering::Relaxed) {
            round += 1;
            match (worker + round) % 4 {
                0 => self.register(&format!("w{worker}r{round}@example.org")),
                1 => self.publish(),
                2 => drop(self.call("feed", "/api/v1/flyers/feed/?page_size=5", None)),
                _ => drop(self.call("user", "/api/v1/users/1/", None)),
            }
        }
    }

    fn register(&self, email: &str) {
        let body = json!({ "email": email, "password": "Abcdefg1" });
        let body = ("application/json".to_owned(), body.to_string().into_bytes());
        let answer = self.call("register", "/api/v1/auth/register/", Some(body));
        if answer.is_some() {
            let mut acknowledged = self.acknowledged.lock().unwrap();
            acknowledged.emails.push(email.to_owned());
        }
    }

    fn publish(&self) {
        let body = (Form::kind(), form(1).bytes());
        if let Some(made) = self.call("publish", "/api/v1/flyers/", Some(body)) {
            let mut acknowledged = self.acknowledged.lock().unwrap();
            acknowledged.flyers.push(made["id"].as_i64().unwrap());
        }
    }

    /// Asks, notes how it went, gives the answer if it is a good one.
    fn call(
        &self,
        what: &'static str,
        path: &str,
        body: Option<(String, Vec<u8>)>,
    ) -> Option<Json> {
        let url = format!("{}{path}", self.service.origin);
        let from = Instant::now();
        let answer = match body {
            Some((kind, body)) => self
                .agent
                .post(url)
                .header("authorization", format!("Bearer {}", self.token))
                .header("content-type", kind)
                .send(body),
            None => self.agent.get(url).call(),
        };
        let until = Instant::now();
        let (status, well_formed, json) = match answer {
            Ok(mut answer) => {
                let header = |name| answer.headers().get(name).cloned();
                let is_problem =
                    header("content-type").is_some_and(|kind| kind == "application/problem+json");
                let well_formed = is_problem && header("retry-after").is_some();
                let status = answer.status().as_u16();
                let json = answer.body_mut().read_json::<Json>().ok();
                (Ok(status), well_formed, json)
            }
            Err(error) => (Err(error.to_string()), false, None),
        };
        let good = matches!(status, Ok(200 | 201));
        self.done.lock().unwrap().push(Done {
            what,
            from,
            until,
            status,
            well_formed,
        });
        json.filter(|_| good)
    }
}

#[test]
fn a_load_outlives_its_database_and_loses_nothing_that_was_acknowledged() {
    let (service, mut outage) = start();
    let (token, _) = service.register("first@example.org");
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE * 2))
        .build();
    let load = Load {
        service: &service,
        agent: agent.into(),
        token,
        stop: AtomicBool::new(false),
        done: Mutex::default(),
        acknowledged: Mutex::default(),
    };
    let mut away = Vec::new();
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let load = &load;
            scope.spawn(move || load.run(worker));
        }
        sleep(Duration::from_secs(1));
        for length in Outage::lengths() {
            let from = Instant::now();
            outage.begin(&service);
            sleep(length);
            outage.end(&service);
            away.push((from, Instant::now()));
            sleep(RECOVERY / 2);
        }
        sleep(RECOVERY / 2 + Duration::from_secs(1));
        load.stop.store(true, Ordering::Relaxed);
    });
    let done = load.done.into_inner().unwrap();
    every_answer_is_in_order(&done, &away);
    everything_is_there(&service, &load.acknowledged.into_inner().unwrap());
}

fn every_answer_is_in_order(done: &[Done], away: &[(Instant, Instant)]) {
    for one in done {
        let took = one.until - one.from;
        let what = format!("{}: {:?} after {took:?}", one.what, one.status);
        assert!(took < PATIENCE, "{what}");
        let Ok(200 | 201) = one.status else {
            assert_eq!(one.status, Ok(503), "{what}");
            assert!(one.well_formed, "{what}");
            let concerned = |(from, until): &(Instant, Instant)| {
                one.until >= *from && one.from <= *until + RECOVERY
            };
            assert!(away.iter().any(concerned), "the database was there: {what}");
            continue;
        };
    }
    for (from, until) in away {
        let refused = |one: &Done| one.status == Ok(503) && one.until > *from;
        assert!(done.iter().any(refused), "nobody noticed");
        for what in ["register", "publish", "feed", "user"] {
            let served =
                |one: &Done| one.what == what && one.status != Ok(503) && one.from > *until;
            assert!(done.iter().any(served), "no {what} afterwards");
        }
    }
}

fn everything_is_there(service: &Running, acknowledged: &Acknowledged) {
    let Acknowledged { emails, flyers } = acknowledged;
    assert!(
        emails.len() > 3 && flyers.len() > 3,
        "{} {}",
        emails.len(),
        flyers.len()
    );
    let count = |sql: &str, list: String| service.value::<i64>(format!("{sql} IN ({list})"));
    let list: Vec<_> = emails.iter().map(|email| format!("'{email}'")).collect();
    let users =
        "SELECT count(*) FROM users AS u JOIN profiles AS p ON p.user_id = u.id WHERE u.email";
    assert_eq!(count(users, list.join(",")), emails.len() as i64);
    let list: Vec<_> = flyers.iter().map(i64::to_string).collect();
    let links = "SELECT count(*) FROM flyers AS f JOIN flyer_categories AS c ON c.flyer_id = f.id WHERE f.id";
    assert_eq!(count(links, list.join(",")), flyers.len() as i64);
}
