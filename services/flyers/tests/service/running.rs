//! A running service for one test, and a client for it.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use flyers::{
    MIGRATIONS, app,
    feed::DefaultRadius,
    geocoder::{Gazetteer, Geocoder},
    seed::Plan,
    surroundings::Surroundings,
};
use serde_json::Value;
pub(crate) use service_kit::testing::{Answer, take_time};
use service_kit::{
    database::query,
    image::{ImageOptions, Images},
    server::ServeError,
    storage::{Storage, StorageUrl},
    testing::{Place, Service, config},
};

/// A service of its own for one test; stops when dropped.
pub(crate) struct Running {
    service: Service,
    pub(crate) storage: Storage,
}

/// The folder of stored files in the folder of a test.
const MEDIA: &str = "media";

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

impl Running {
    /// With an empty database.
    pub(crate) fn empty() -> Self {
        Self::start(&[], Arc::new(Gazetteer))
    }

    /// With an empty database, variables of the environment, and a geocoder.
    pub(crate) fn start(environment: &[(&str, &str)], geocoder: Arc<dyn Geocoder>) -> Self {
        Self::at(Place::new(crate::DIALECT), environment, geocoder)
    }

    /// Like [`Running::start`], over an empty database of the caller's choice.
    pub(crate) fn at(
        place: Place,
        environment: &[(&str, &str)],
        geocoder: Arc<dyn Geocoder>,
    ) -> Self {
        let config = config("flyers", &place, environment);
        let radius = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let radius = DefaultRadius::from_env(radius).unwrap();
        let storage = Storage::open(&StorageUrl::Folder(place.folder().join(MEDIA))).unwrap();
        let kept = storage.clone();
        let build = async |database| {
            let surroundings = Surroundings {
                geocoder,
                storage: kept,
                images: Images::start(ImageOptions::default()).unwrap(),
                radius,
            };
            let router = app::build_with(&config, database, surroundings)
                .await
                .unwrap();
            (router, async {})
        };
        let service = Service::start(place, &config, MIGRATIONS, build);
        Self { service, storage }
    }

    /// The folder of stored files.
    pub(crate) fn media(&self) -> std::path::PathBuf {
        self.folder().join(MEDIA)
    }

    /// Waits until the service has ended.
    pub(crate) fn ended(self) -> Result<(), ServeError> {
        self.service.ended()
    }

    /// With seeded flyers.
    pub(crate) fn seeded(scale: u32) -> Self {
        let running = Self::empty();
        let plan = Plan {
            scale,
            seed: 7,
            ..Plan::default()
        };
        running
            .runtime
            .block_on(flyers::seed::run(&running.database, &plan))
            .unwrap();
        running
    }

    /// A new account: token and user id.
    pub(crate) fn register(&self, email: &str) -> (String, i64) {
        let body = serde_json::json!({ "email": email, "password": "Abcdefg1" });
        let json = self.post("/api/v1/auth/register/", &body).expect(201);
        (
            json["token"].as_str().unwrap().to_owned(),
            json["user_id"].as_i64().unwrap(),
        )
    }

    /// A live flyer made through the API.
    pub(crate) fn flyer(&self, token: &str, title: &str, category: &str, address: &str) -> i64 {
        let body = serde_json::json!({
            "title": title, "category_tags": [category], "location_address": address,
        });
        self.publish(token, &body).expect(201)["id"]
            .as_i64()
            .unwrap()
    }

    /// Moves the dates of a flyer; the API refuses dates in the past.
    pub(crate) fn set_dates(&self, id: i64, from: DateTime<Utc>, until: DateTime<Utc>) {
        let sql = "UPDATE flyers SET publication_date = $2, expiration_date = $3 WHERE id = $1";
        self.run(query(sql).bind(id).bind(from).bind(until));
    }

    /// Moves a flyer to another place.
    pub(crate) fn set_place(&self, id: i64, lat: f64, lng: f64) {
        let sql = "UPDATE flyers SET latitude = $2, longitude = $3 WHERE id = $1";
        self.run(query(sql).bind(id).bind(lat).bind(lng));
    }

    /// Two hours ago and in two hours.
    pub(crate) fn around_now() -> (DateTime<Utc>, DateTime<Utc>) {
        let now = service_kit::clock::now();
        (now - TimeDelta::hours(2), now + TimeDelta::hours(2))
    }
}

/// Ids of the rows of a page.
pub(crate) fn ids(page: &Value) -> Vec<i64> {
    page["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_i64().unwrap())
        .collect()
}
