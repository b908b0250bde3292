//! A running service for one test, and shorthand for what tests do with it.

use std::ops::Deref;

use challenges::{
    MIGRATIONS,
    app::{self, State},
    cache_version, storage_from_env,
};
use chrono::{Days, NaiveDate, Utc};
use serde_json::{Value, json};
use service_kit::{
    cache,
    clock::now,
    database::{Dialect, query},
    testing::{Place, Service, config, watch},
    token::Tokens,
    uuid::Uuid,
};

pub(crate) use service_kit::testing::Answer;

/// A service of its own for one test; stops when dropped.
pub(crate) struct Running {
    service: Service,
    tokens: Tokens,
    pub(crate) state: State,
}

impl Deref for Running {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// Users that a new service has.
pub(crate) const USERS: u8 = 6;

/// The id of the user with this number, from 1.
pub(crate) fn user(number: u8) -> Uuid {
    let mut bytes = [0; 16];
    bytes[0] = 0xaa;
    bytes[15] = number;
    Uuid::from_bytes(bytes)
}

/// The id of a habit that everybody has, from 1 to 10: its last digits are decimal.
pub(crate) fn habit(number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000000{number:02}")
}

impl Running {
    /// With some users and nothing else.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with variables of the environment.
    pub(crate) fn with(environment: &[(&str, &str)]) -> Self {
        let running = Self::at(Place::new(crate::DIALECT), environment);
        for number in 1..=USERS {
            running.add(user(number), &format!("user{number}"));
        }
        running
    }

    /// A service over this database, as it is.
    pub(crate) fn at(place: Place, environment: &[(&str, &str)]) -> Self {
        watch(Vec::new());
        let mut config = config("challenges", &place, environment);
        config.planning = challenges::PLANNING;
        let files = place.folder().join("media").display().to_string();
        let mut made = None;
        let build = async |database: service_kit::database::Database| {
            let lookup = |name: &str| match name {
                "CACHE" => Some(crate::CACHE.to_owned()),
                "OBJECT_STORE_URL" => Some(files.clone()),
                name => {
                    let found = environment.iter().find(|(key, _)| *key == name);
                    found.map(|(_, value)| (*value).to_owned())
                }
            };
            let version = cache_version(&config.database);
            let cache = cache::open(&config, version).await.unwrap();
            let storage = storage_from_env(lookup).unwrap();
            let state = State::new(&config, database, cache, storage, lookup).unwrap();
            made = Some(state.clone());
            (app::build(&config, &state), async {})
        };
        let service = Service::start(place, &config, MIGRATIONS, build);
        Self {
            service,
            tokens: Tokens::from_config(&config),
            state: made.unwrap(),
        }
    }

    /// Another process of the same service: the same database, these variables.
    #[allow(dead_code, reason = "without a cache there is nothing to share")]
    pub(crate) fn beside(&self, environment: &[(&str, &str)]) -> Self {
        let url = self.url().to_owned();
        let mut environment = environment.to_vec();
        environment.push(("DATABASE_URL", &url));
        Self::at(Place::new(Dialect::Sqlite), &environment)
    }

    /// A user who signs in with nothing but a token.
    pub(crate) fn add(&self, id: Uuid, name: &str) {
        let email = format!("{name}@example.org");
        let account =
            "INSERT INTO accounts (id, email, password_hash, created_at) VALUES ($1, $2, '', $3)";
        self.run(query(account).bind(id).bind(&email).bind(now()));
        let profile = "INSERT INTO user_profiles (id, email, display_name, search_text, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)";
        self.run(
            query(profile)
                .bind(id)
                .bind(&email)
                .bind(name)
                .bind(
                    format!(" {name} {email}")
                        .to_lowercase()
                        .replace(['@', '.', '-'], " "),
                )
                .bind(now()),
        );
    }

    /// A token of this user.
    pub(crate) fn token(&self, number: u8) -> String {
        self.token_of(user(number))
    }

    pub(crate) fn token_of(&self, id: Uuid) -> String {
        self.tokens.issue(id, "").unwrap()
    }

    pub(crate) fn get_by(&self, number: u8, path: &str) -> Answer {
        self.get_as(&self.token(number), &format!("/api/v1{path}"))
    }

    pub(crate) fn post_by(&self, number: u8, path: &str, body: &Value) -> Answer {
        self.post_as(&self.token(number), &format!("/api/v1{path}"), body)
    }

    pub(crate) fn patch_by(&self, number: u8, path: &str, body: &Value) -> Answer {
        self.call(
            "PATCH",
            &self.token(number),
            &format!("/api/v1{path}"),
            body,
        )
    }

    pub(crate) fn delete_by(&self, number: u8, path: &str) -> Answer {
        let path = format!("/api/v1{path}");
        self.call("DELETE", &self.token(number), &path, &Value::Null)
    }

    /// An active challenge of this user with these habits and room for six; its description.
    pub(crate) fn challenge(&self, number: u8, habits: &[u8]) -> Value {
        let habits: Vec<_> = habits.iter().map(|number| habit(*number)).collect();
        let body = json!({
            "name": "Early birds", "start_date": day(0), "end_date": day(30), "habit_ids": habits,
            "checkin_type": "any", "max_members": 6,
        });
        self.post_by(number, "/challenges/", &body).expect(201)
    }

    /// The user joins a challenge.
    pub(crate) fn join(&self, number: u8, challenge: &Value) -> Answer {
        let body = json!({ "invite_code": challenge["invite_code"] });
        self.post_by(number, "/challenges/join/", &body)
    }

    /// The user keeps a habit of a challenge.
    pub(crate) fn check_in(&self, number: u8, challenge: &Value, habit_number: u8) -> Answer {
        let body = json!({
            "challenge_id": challenge["id"], "habit_id": habit(habit_number), "caption": "done",
        });
        self.post_by(number, "/checkins/", &body)
    }

    /// Two users become friends.
    pub(crate) fn befriend(&self, one: u8, other: u8) {
        let body = json!({ "addressee_id": user(other) });
        let asked = self.post_by(one, "/friends/request/", &body).expect(201);
        let path = format!("/friends/requests/{}/respond/", text(&asked["id"]));
        self.post_by(other, &path, &json!({ "action": "accept" }))
            .expect(200);
    }

    /// So many days go by: everything happened that much earlier.
    pub(crate) fn days_pass(&self, days: u32) {
        let date = |column: &str, by: i64| match crate::DIALECT {
            Dialect::Sqlite => format!("{column} = date({column}, '{by} days')"),
            Dialect::Postgres => format!("{column} = {column} + ({by})"),
        };
        let time = |column: &str| match crate::DIALECT {
            Dialect::Sqlite => {
                format!("{column} = strftime('%Y-%m-%dT%H:%M:%S+00:00', {column}, '-{days} days')")
            }
            Dialect::Postgres => format!("{column} = {column} - interval '{days} days'"),
        };
        let back = -i64::from(days);
        for table in ["challenge_members", "user_profiles"] {
            let columns = [
                date("last_checkin_date", back),
                date("prior_date", back),
                time("streak_ends_at"),
                time("prior_ends_at"),
            ];
            self.execute(format!("UPDATE {table} SET {}", columns.join(", ")));
        }
        // In two steps: no day meets the one before on its way.
        for by in [-5000, 5000 + back] {
            let day = date("checkin_date", by);
            self.execute(format!("UPDATE check_ins SET {day}"));
            let day = date("hitch_date", by);
            self.execute(format!("UPDATE hitch_log SET {day}"));
        }
        let columns = [date("start_date", back), date("end_date", back)];
        self.execute(format!("UPDATE challenges SET {}", columns.join(", ")));
        // Nobody told the cache.
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(self.state.cache().clear()).unwrap();
    }
}

/// The day so many days from today, of UTC.
pub(crate) fn day(from_now: i64) -> NaiveDate {
    let today = Utc::now().date_naive();
    let days = Days::new(from_now.unsigned_abs());
    match from_now < 0 {
        true => today.checked_sub_days(days),
        false => today.checked_add_days(days),
    }
    .unwrap()
}

/// A text in an answer.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// What is wrong, as `place.field`, in a 422.
pub(crate) fn wrong(answer: &Answer) -> Vec<String> {
    let json = answer.expect(422);
    let details = json["detail"].as_array().unwrap().iter();
    let place = |one: &Value| {
        let parts = one["loc"].as_array().unwrap().iter().map(text);
        parts.collect::<Vec<_>>().join(".")
    };
    details.map(place).collect()
}

/// The sentence of a refusal.
pub(crate) fn refused(answer: &Answer, status: u16) -> String {
    text(&answer.expect(status)["detail"]).to_owned()
}
