//! A running service for one test, and shorthand for what tests do with it.

use std::{
    ops::{Deref, DerefMut},
    sync::OnceLock,
};

use deals::{
    MIGRATIONS,
    alerts::Alerts,
    app::{self, State},
    cache_version,
    views::Storing,
};
use serde_json::{Value, json};
use service_kit::{
    cache,
    database::query,
    server::ServeError,
    testing::{Place, Service, config, watch},
    token::Tokens,
};

pub(crate) use service_kit::testing::Answer;

/// A service of its own for one test; stops when dropped.
pub(crate) struct Running {
    service: Service,
    pub(crate) state: State,
    tokens: Tokens,
}

impl Deref for Running {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Service {
        &mut self.service
    }
}

/// The alerts of this process, told by the layer that watches all its services.
pub(crate) fn alerts() -> Alerts {
    static ALERTS: OnceLock<Alerts> = OnceLock::new();
    let alerts = ALERTS.get_or_init(Alerts::default);
    watch(vec![std::sync::Arc::new(alerts.clone())]);
    alerts.clone()
}

/// How many users an empty service has.
pub(crate) const USERS: i64 = 5;

impl Running {
    /// With users and what listings point at, and no listing.
    pub(crate) fn empty() -> Self {
        Self::with(&[])
    }

    /// The same, with variables of the environment.
    pub(crate) fn with(environment: &[(&str, &str)]) -> Self {
        let running = Self::at(Place::new(crate::DIALECT), environment);
        running.fill();
        running
    }

    /// A service over this database, as it is.
    pub(crate) fn at(place: Place, environment: &[(&str, &str)]) -> Self {
        let alerts = alerts();
        let mut config = config("deals", &place, environment);
        config.planning = deals::PLANNING;
        let mut made = None;
        let build = async |database: service_kit::database::Database| {
            let version = cache_version(&config.database);
            let cache = cache::open(&config, version).await.unwrap();
            let lookup = |name: &str| {
                let found = environment.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let state = State::new(&config, database.clone(), cache, lookup).unwrap();
            let storing = Storing::start(state.views(), &database);
            made = Some(state.clone());
            (app::build(&config, &state, alerts), storing.end())
        };
        let service = Service::start(place, &config, MIGRATIONS, build);
        Self {
            service,
            state: made.unwrap(),
            tokens: Tokens::from_config(&config),
        }
    }

    /// Another process of the same service: the same database, these variables.
    pub(crate) fn beside(&self, environment: &[(&str, &str)]) -> Self {
        let url = self.url().to_owned();
        let mut environment = environment.to_vec();
        environment.push(("DATABASE_URL", &url));
        Self::at(
            Place::new(service_kit::database::Dialect::Sqlite),
            &environment,
        )
    }

    fn fill(&self) {
        for id in 1..=USERS {
            let user = "INSERT INTO \"user\" (id, username, display_name, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)";
            let name = (id == 2).then(|| "Second User".to_owned());
            let now = service_kit::clock::now();
            self.run(
                query(user)
                    .bind(id)
                    .bind(format!("user{id}"))
                    .bind(name)
                    .bind(now),
            );
        }
        let now = service_kit::clock::now();
        let cpu = "INSERT INTO cpu (id, name, manufacturer, cpu_mark_multi, cpu_mark_single, created_at, updated_at) VALUES (1, 'i5-8500T', 'Intel', 8000, 2000, $1, $1)";
        self.run(query(cpu).bind(now));
        let gpu = "INSERT INTO gpu (id, name, manufacturer, gpu_mark, created_at, updated_at) VALUES (1, 'UHD 630', 'Intel', 1200, $1, $1)";
        self.run(query(gpu).bind(now));
        let ports = "INSERT INTO ports_profile (id, name, created_at, updated_at) VALUES (1, 'Micro', $1, $1)";
        self.run(query(ports).bind(now));
        self.execute("INSERT INTO port (ports_profile_id, type, count) VALUES (1, 'usb_a', 4), (1, 'displayport', 2)");
        self.execute("INSERT INTO ram_spec (id, label, ddr_generation, speed_mhz) VALUES (1, 'DDR4-2666', 'ddr4', 2666)");
        self.execute("INSERT INTO storage_profile (id, label, medium) VALUES (1, 'NVMe', 'nvme'), (2, 'Disk', 'hdd')");
        self.execute("INSERT INTO profile (id, name, weights_json, rule_group_weights_json) VALUES (1, 'Balanced', '{}', '{}')");
        self.execute(
            "INSERT INTO valuation_ruleset (id, name, version) VALUES (1, 'Standard', '1')",
        );
    }

    /// Waits until the service has ended.
    pub(crate) fn ended(self) -> Result<(), ServeError> {
        self.service.ended()
    }

    /// A token of this user.
    pub(crate) fn token(&self, user: i64) -> String {
        self.tokens.issue(user, "").unwrap()
    }

    pub(crate) fn get_by(&self, user: i64, path: &str) -> Answer {
        self.get_as(&self.token(user), path)
    }

    pub(crate) fn post_by(&self, user: i64, path: &str, body: &Value) -> Answer {
        self.post_as(&self.token(user), path, body)
    }

    pub(crate) fn patch_by(&self, user: i64, path: &str, body: &Value) -> Answer {
        self.call("PATCH", &self.token(user), path, body)
    }

    pub(crate) fn delete_by(&self, user: i64, path: &str) -> Answer {
        self.call("DELETE", &self.token(user), path, &Value::Null)
    }

    /// A listing with everything that it can point at.
    pub(crate) fn listing(&self, title: &str, price: f64) -> i64 {
        let body = full_listing(title, price);
        id(&self.post_by(1, "/api/v1/listings/", &body).expect(201))
    }

    /// A collection of this user with so many new listings.
    pub(crate) fn collection(&self, user: i64, visibility: &str, items: usize) -> i64 {
        let body = json!({ "name": "Mini PCs", "visibility": visibility });
        let made = id(&self
            .post_by(user, "/api/v1/collections/", &body)
            .expect(201));
        for number in 0..items {
            let listing = self.listing(&format!("Listing {number}"), 100.0 + number as f64);
            self.put(user, made, listing).expect(201);
        }
        made
    }

    /// Puts a listing into a collection.
    pub(crate) fn put(&self, user: i64, collection: i64, listing: i64) -> Answer {
        let path = format!("/api/v1/collections/{collection}/items/");
        self.post_by(user, &path, &json!({ "listing_id": listing }))
    }

    /// A link of this user to a listing: its path.
    pub(crate) fn share(&self, user: i64, listing: i64) -> String {
        let path = format!("/api/v1/listings/{listing}/share/");
        let made = self.post_by(user, &path, &json!({})).expect(201);
        format!(
            "/api/v1/deals/{listing}/{}",
            made["share_token"].as_str().unwrap()
        )
    }
}

/// Everything that a listing can point at is there.
pub(crate) fn full_listing(title: &str, price: f64) -> Value {
    json!({
        "title": title, "price_usd": price, "adjusted_price_usd": price - 10.0,
        "cpu_id": 1, "gpu_id": 1, "ports_profile_id": 1, "active_profile_id": 1, "ruleset_id": 1,
        "ram_spec_id": 1, "primary_storage_profile_id": 1, "secondary_storage_profile_id": 2,
        "score_composite": 71.5, "ram_gb": 16, "primary_storage_gb": 512, "manufacturer": "Dell",
        "raw_listing_json": { "image_url": "https://img.example/1.jpg" },
    })
}

/// The id in an answer.
pub(crate) fn id(answer: &Value) -> i64 {
    answer["id"].as_i64().unwrap()
}

/// The names of the wrong fields in a 422.
pub(crate) fn wrong(answer: &Answer) -> Vec<String> {
    let json = answer.expect(422);
    let details = json["error"]["details"].as_object().unwrap();
    details.keys().cloned().collect()
}
