//! The real service on a free port, which counts what reaches it and can go away.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{Router, extract::Request, middleware::from_fn};
use flyers::{MIGRATIONS, app, seed::Plan, surroundings::Surroundings};
use serde_json::{Value, json};
use service_kit::{config::Config, database::Database};
use tokio::{net::TcpListener, runtime::Runtime, sync::oneshot, task::JoinHandle};

/// A service for one test.
pub(crate) struct Site {
    pub(crate) origin: String,
    runtime: Runtime,
    address: SocketAddr,
    router: Router,
    served: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    requests: Arc<Mutex<Vec<String>>>,
    agent: ureq::Agent,
    _folder: tempfile::TempDir,
}

/// Somebody with an account.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) token: String,
}

impl Site {
    /// With nobody and nothing.
    pub(crate) fn empty() -> Self {
        Self::seeded(0)
    }

    /// With invented flyers.
    pub(crate) fn seeded(scale: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let environment = environment(folder.path());
        let config = Config::from_lookup("flyers", &environment).unwrap();
        let surroundings = Surroundings::from_env(&environment).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&requests);
        let (router, listener) = runtime.block_on(async {
            let database = Database::open(&config.database, config.connections)
                .await
                .unwrap();
            database.migrate(MIGRATIONS).await.unwrap();
            if scale > 0 {
                let plan = Plan {
                    scale,
                    seed: 7,
                    ..Plan::default()
                };
                flyers::seed::run(&database, &plan).await.unwrap();
            }
            let router = app::build_with(&config, database, surroundings)
                .await
                .unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            (router, listener)
        });
        let router = router.layer(from_fn(
            move |request: Request, next: axum::middleware::Next| {
                let line = format!("{} {}", request.method(), request.uri());
                heard.lock().unwrap().push(line);
                next.run(request)
            },
        ));
        let address = listener.local_addr().unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(0)
            .build()
            .into();
        let mut site = Self {
            origin: format!("http://{address}"),
            runtime,
            address,
            router,
            served: None,
            requests,
            agent,
            _folder: folder,
        };
        site.serve(listener);
        site
    }

    fn serve(&mut self, listener: TcpListener) {
        let router = self.router.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let served = self.runtime.spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            axum::serve(listener, router)
                .with_graceful_shutdown(stopped)
                .await
                .unwrap();
        });
        self.served = Some((stop, served));
    }

    /// Nobody answers any more.
    pub(crate) fn go_away(&mut self) {
        let (stop, served) = self.served.take().unwrap();
        stop.send(()).unwrap();
        self.runtime.block_on(served).unwrap();
    }

    /// The same service at the same address.
    pub(crate) fn come_back(&mut self) {
        let listener = self
            .runtime
            .block_on(TcpListener::bind(self.address))
            .unwrap();
        self.serve(listener);
    }

    /// What was asked since the last time: `GET /path`.
    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    pub(crate) fn call(
        &self,
        person: Option<&Person>,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.origin))
            .header("content-type", "application/json");
        if let Some(person) = person {
            request = request.header("authorization", format!("Bearer {}", person.token));
        }
        let mut answer = if body.is_null() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body.to_string()).unwrap())
        }
        .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        (answer.status().as_u16(), json)
    }

    pub(crate) fn register(&self, email: &str, name: &str) -> Person {
        let body = json!({ "email": email, "password": "Abcdefg1", "name": name });
        let (status, json) = self.call(None, "POST", "/api/v1/auth/register/", &body);
        assert_eq!(status, 201, "{json}");
        Person {
            id: json["user_id"].as_i64().unwrap(),
            token: json["token"].as_str().unwrap().to_owned(),
        }
    }

    /// A flyer with one small picture.
    pub(crate) fn flyer(&self, person: &Person, title: &str, category: &str, address: &str) -> i64 {
        let fields = [
            ("title", title),
            ("caption", &format!("About {title}.")),
            ("category_tags", category),
            ("location_address", address),
        ];
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend_from_slice(
                format!(
                    "--part\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
                )
                .as_bytes(),
            );
        }
        body.extend_from_slice(
            b"--part\r\ncontent-disposition: form-data; name=\"image_1\"; filename=\"a.png\"\r\n\r\n",
        );
        body.extend_from_slice(PNG);
        body.extend_from_slice(b"\r\n--part--\r\n");
        let mut answer = self
            .agent
            .post(format!("{}/api/v1/flyers/", self.origin))
            .header("authorization", format!("Bearer {}", person.token))
            .header("content-type", "multipart/form-data; boundary=part")
            .send(&body[..])
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert_eq!(answer.status().as_u16(), 201, "{text}");
        let json: Value = serde_json::from_str(&text).unwrap();
        json["id"].as_i64().unwrap()
    }
}

/// A picture of 4 by 5 pixels.
const PNG: &[u8] = b"\
    \x89\x50\x4e\x47\x0d\x0a\x1a\x0a\x00\x00\x00\x0d\x49\x48\x44\x52\x00\x00\x00\x04\
    \x00\x00\x00\x05\x08\x02\x00\x00\x00\xed\xcf\xda\x8c\x00\x00\x00\x10\x49\x44\x41\
    \x54\x78\xda\x63\x38\x64\x2e\x05\x47\x0c\x64\x70\x00\xc7\xbd\x15\x7d\x13\x9e\x8d\
    \x26\x00\x00\x00\x00\x49\x45\x4e\x44\xae\x42\x60\x82";

fn environment(folder: &std::path::Path) -> impl Fn(&str) -> Option<String> + use<> {
    let database = format!("sqlite:{}", folder.join("flyers.db").display());
    let media = folder.join("media").display().to_string();
    move |name| match name {
        "DATABASE_URL" => Some(database.clone()),
        "OBJECT_STORE_URL" => Some(media.clone()),
        "JWT_SECRET" => Some("a secret of the tests, long enough".to_owned()),
        _ => None,
    }
}
