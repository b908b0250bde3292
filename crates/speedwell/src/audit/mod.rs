//! An audit: build, prepare, start, probe and explain at each scale, load the largest, judge.

mod compose;
mod database;
mod evidence;
mod judge;
mod measure;
mod probe;
mod process;
mod steps;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use speedwell_collect::{Limits, Receiver};
use speedwell_load::{
    CancelHandle, Connection, Expect, LoadOptions, Model, Outcome, Rows, Scenario, Session, Step,
    Task, Template,
};
use speedwell_plan::{Activity, Database, ScratchDatabase};
use speedwell_sql::{Fingerprint, shape, structure};
use speedwell_trace::{Dialect, Statement};

use self::{
    database::Using,
    evidence::{AtScale, Explained},
    probe::{Probe, Target, probe},
    process::{Running, Surroundings},
    steps::{Sizes, feeds, step},
};
use crate::{
    config::{Audited, ConfigError, RouteSpec},
    progress::Progress,
    report::Report,
};

pub(crate) use self::{
    compose::grows,
    evidence::{Evidence, growth::TIME_FLOOR_MS},
    measure::{bytes_per_row, rows_per_row},
    process::ProcessError,
};

/// Counted probes of each route, scale and page size: an odd number, so that the median is one
/// that was measured, and enough to outvote two disturbed ones.
const PROBES: usize = 5;
/// Requests still open when the load ends are waited for this long.
const DRAIN: Duration = Duration::from_secs(10);

/// What the command line asks of an audit beyond the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Names of the only routes to audit; all when empty.
    pub(crate) only: Vec<String>,
    /// Whether literals in statements may be printed.
    pub(crate) show_values: bool,
    /// Whether the load is left out.
    pub(crate) no_load: bool,
}

/// An audit that came to no verdict, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("cannot make a folder for the audit's data: {0}")]
    Workdir(std::io::Error),
    #[error("no route is named `{name}`; routes of {service}: {known}")]
    NoSuchRoute {
        name: String,
        service: String,
        known: String,
    },
    #[error("cannot read the simulated users (`[data] users`): {0}")]
    Rows(String),
    #[error("cannot receive spans: {0}")]
    Receiver(String),
    #[error(
        "observed nothing: {requests} requests were answered and the service reported none of them.\n\
             It must send OTLP spans to OTEL_EXPORTER_OTLP_ENDPOINT (http/protobuf); a Rust service does with speedwell-trace's OTLP sink,\n\
             others with their OpenTelemetry instrumentation. An audit that saw no statement would say nothing.\n\
             The end of the service's log:\n{log}"
    )]
    ObservedNothing { requests: usize, log: String },
    #[error(
        "observed no statement in {requests} requests: the service reports its requests but not its SQL; instrument the database driver as well"
    )]
    ObservedNoStatement { requests: usize },
    #[error("no probe of {service} was answered as expected; the first failure: {failure}")]
    NothingAnswered { service: String, failure: String },
    #[error("cannot explain statements: {0}")]
    Explain(String),
    #[error("cannot make a database for the audit (`{{scratch}}`): {0}")]
    Scratch(String),
    #[error("cannot load the service: {0}")]
    Load(String),
}

/// Audits one service from its build to the verdict.
///
/// # Errors
/// [`AuditError`] when no verdict can be given.
pub(crate) async fn audit(
    audited: &Audited,
    options: &Options,
    progress: &Progress,
) -> Result<Report, AuditError> {
    steps::check(audited).map_err(|message| ConfigError::Wrong {
        path: audited.file.clone(),
        message,
    })?;
    let routes = selected(audited, &options.only)?;
    database::check(audited)?;
    let home = tempfile::Builder::new()
        .prefix("speedwell-")
        .tempdir()
        .map_err(AuditError::Workdir)?;
    build(audited, home.path(), progress).await?;
    let mut scales = Vec::new();
    let mut load = None;
    let mut shared_rows = None;
    for (index, &scale) in audited.data.scales.iter().enumerate() {
        let stage = Stage {
            audited,
            routes: &routes,
            scale,
            workdir: workdir(home.path(), scale)?,
            database: database::Given::make(&audited.service, scale).await?,
        };
        scales.push(stage.observe(progress).await?);
        if index + 1 == audited.data.scales.len() {
            if !options.no_load {
                load = Some(stage.load(progress).await?);
                shared_rows = stage.shared_rows()?;
            }
        } else {
            // The data of one scale can be large, and the next scale does not need it.
            let _ = std::fs::remove_dir_all(&stage.workdir);
        }
        stage.database.remove().await?;
    }
    let whole = routes.len() == audited.routes.len();
    let evidence = evidence::weigh(audited, &scales, whole);
    let mut report = compose::compose(&compose::Measured {
        audited,
        routes: &routes,
        scales,
        load,
        evidence,
        options,
        probes: PROBES,
    });
    report.warnings.extend(shared_rows);
    Ok(report)
}

fn selected<'a>(audited: &'a Audited, only: &[String]) -> Result<Vec<&'a RouteSpec>, AuditError> {
    for name in only {
        if !audited.routes.iter().any(|route| route.name == *name) {
            let known: Vec<&str> = audited
                .routes
                .iter()
                .map(|route| route.name.as_str())
                .collect();
            return Err(AuditError::NoSuchRoute {
                name: name.clone(),
                service: audited.service.name.clone(),
                known: known.join(", "),
            });
        }
    }
    let mut wanted: BTreeSet<&str> = only.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        wanted = audited
            .routes
            .iter()
            .map(|route| route.name.as_str())
            .collect();
    }
    // A route that feeds a wanted one is wanted too, and so is what feeds that.
    loop {
        let feeding: Vec<&str> = audited
            .routes
            .iter()
            .filter(|route| !wanted.contains(route.name.as_str()))
            .filter(|route| {
                audited
                    .routes
                    .iter()
                    .any(|other| wanted.contains(other.name.as_str()) && feeds(route, other))
            })
            .map(|route| route.name.as_str())
            .collect();
        if feeding.is_empty() {
            break;
        }
        wanted.extend(feeding);
    }
    Ok(audited
        .routes
        .iter()
        .filter(|route| wanted.contains(route.name.as_str()))
        .collect())
}

fn workdir(home: &Path, scale: u64) -> Result<PathBuf, AuditError> {
    let folder = home.join(scale.to_string());
    std::fs::create_dir_all(&folder).map_err(AuditError::Workdir)?;
    Ok(folder)
}

async fn build(audited: &Audited, home: &Path, progress: &Progress) -> Result<(), AuditError> {
    let Some(build) = &audited.service.build else {
        return Ok(());
    };
    let _shown = progress.spinner(format!("building {}", audited.service.name));
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
    // The database of a scale is not there yet, and a build must not touch another one.
    let database = match ScratchDatabase::is_asked_for(&audited.service.database) {
        true => "",
        false => &audited.service.database,
    };
    Surroundings::new(&audited.service, home, 0, nowhere, database)
        .run("build", build)
        .await?;
    Ok(())
}

/// One scale of an audit: its data and the service on top of it.
struct Stage<'a> {
    audited: &'a Audited,
    routes: &'a [&'a RouteSpec],
    scale: u64,
    workdir: PathBuf,
    database: database::Given,
}

impl Stage<'_> {
    fn surroundings(&self) -> Result<Surroundings, AuditError> {
        let address = process::address_for(&self.audited.service)?;
        Ok(Surroundings::new(
            &self.audited.service,
            &self.workdir,
            self.scale,
            address,
            self.database.url(),
        ))
    }

    /// Prepares the data, probes the instrumented service and explains what it ran.
    async fn observe(&self, progress: &Progress) -> Result<AtScale, AuditError> {
        if let Some(prepare) = &self.audited.data.prepare {
            let _shown = progress.spinner(format!("preparing data at scale {}", self.scale));
            self.surroundings()?.run("prepare", prepare).await?;
        }
        steps::check_files(self.audited, &self.workdir, self.scale).map_err(|message| {
            ConfigError::Wrong {
                path: self.audited.file.clone(),
                message,
            }
        })?;
        let receiver = Receiver::bind(SocketAddr::from(([127, 0, 0, 1], 0)), Limits::default())
            .await
            .map_err(|error| AuditError::Receiver(error.to_string()))?;
        let mut surroundings = self.surroundings()?;
        surroundings.otlp = Some(receiver.endpoint());
        let before = self.activity(&surroundings).await?;
        let mut service = Running::start(&self.audited.service, &surroundings).await?;
        let target = Target {
            audited: self.audited,
            routes: self.routes,
            address: service.address,
            scale: self.scale,
            workdir: &self.workdir,
            users: self.rows(&surroundings)?,
            probes: PROBES,
        };
        let bar = progress.bar(
            format!("probing at scale {}", self.scale),
            (self.audited.setup.len() + self.routes.len()) as u64,
        );
        let probes = probe(&target, &receiver, |name| bar.advance(name)).await;
        drop(bar);
        if let Some(error) = service.unexpected_end("while it was probed") {
            return Err(error.into());
        }
        self.check_observed(&probes, &service)?;
        let mut database = self.open(&surroundings).await?;
        let after = database.activity().await.map_err(explain_error)?;
        let (explained, schema) = self.explain(&probes, &mut database, progress).await?;
        let using = Using {
            file: self.file(&surroundings),
            open_files: service.open_files(),
            activity: before.zip(after),
            requests: probes.iter().map(|probe| probe.samples.len()).sum(),
        };
        let doubt = using.doubt(&explained, &schema);
        let version = database.version().await.map_err(explain_error)?;
        service.stop().await;
        receiver.shutdown().await;
        Ok(AtScale {
            scale: self.scale,
            probes,
            explained,
            schema,
            version,
            doubt,
        })
    }

    fn rows(&self, surroundings: &Surroundings) -> Result<Option<Rows>, AuditError> {
        let Some(users) = &self.audited.data.users else {
            return Ok(None);
        };
        let path = self
            .audited
            .service
            .directory
            .join(surroundings.fill(users));
        Rows::read(&path)
            .map(Some)
            .map_err(|error| AuditError::Rows(error.to_string()))
    }

    /// Users who share an account share its cache entries, which is kinder than life.
    fn shared_rows(&self) -> Result<Option<String>, AuditError> {
        let users = self.audited.load.users;
        let rows = self.rows(&self.surroundings()?)?;
        Ok(rows.filter(|rows| rows.shared_by(users)).map(|rows| {
            format!(
                "{users} users shared the {} rows of `[data] users`.",
                rows.len()
            )
        }))
    }

    /// An audit that saw nothing must not pass.
    fn check_observed(&self, probes: &[Probe], service: &Running) -> Result<(), AuditError> {
        let seen: usize = probes.iter().map(|probe| probe.samples.len()).sum();
        let unseen: usize = probes.iter().map(|probe| probe.unseen).sum();
        let statements: usize = probes
            .iter()
            .flat_map(|probe| &probe.samples)
            .map(|sample| sample.request.statements.len())
            .sum();
        match (seen, unseen, statements) {
            (0, 0, _) => Err(AuditError::NothingAnswered {
                service: self.audited.service.name.clone(),
                failure: probes
                    .iter()
                    .find_map(|probe| probe.failure.as_ref())
                    .map(|failure| failure.detail.clone())
                    .unwrap_or_else(|| "none was sent".to_owned()),
            }),
            (0, requests, _) => Err(AuditError::ObservedNothing {
                requests,
                log: service.log_tail(),
            }),
            (requests, _, 0) => Err(AuditError::ObservedNoStatement { requests }),
            _ => Ok(()),
        }
    }

    /// Asks the database for the plan of every distinct statement, while the service runs.
    async fn explain(
        &self,
        probes: &[Probe],
        database: &mut Database,
        progress: &Progress,
    ) -> Result<(BTreeMap<Fingerprint, Explained>, speedwell_plan::Schema), AuditError> {
        let mut distinct: BTreeMap<Fingerprint, &Statement> = BTreeMap::new();
        let requests = probes.iter().flat_map(Probe::requests);
        for statement in requests.flat_map(|request| &request.statements) {
            distinct.entry(statement.fingerprint).or_insert(statement);
        }
        let schema = database.schema().await.map_err(explain_error)?;
        let columns = |table: &str| schema.columns(table);
        let bar = progress.bar(
            format!("explaining at scale {}", self.scale),
            distinct.len() as u64,
        );
        let mut explained = BTreeMap::new();
        for (fingerprint, statement) in distinct {
            bar.advance("");
            let plan = database
                .explain(&statement.text)
                .await
                .map_err(|error| error.to_string());
            // A statement without a plan has none with values either.
            let sampled = match &plan {
                Ok(_) => database
                    .explain_sampled(&statement.text)
                    .await
                    .unwrap_or_default(),
                Err(_) => Vec::new(),
            };
            explained.insert(
                fingerprint,
                Explained {
                    text: statement.text.to_string(),
                    dialect: statement.dialect,
                    shape: shape(&statement.text, statement.dialect),
                    structure: structure(&statement.text, statement.dialect, &columns).ok(),
                    plan,
                    sampled,
                },
            );
        }
        Ok((explained, schema))
    }

    async fn open(&self, surroundings: &Surroundings) -> Result<Database, AuditError> {
        Database::open(&self.database(surroundings))
            .await
            .map_err(explain_error)
    }

    /// Who uses the database before the service is started; a file may not be there yet.
    async fn activity(&self, surroundings: &Surroundings) -> Result<Option<Activity>, AuditError> {
        if self.file(surroundings).is_some() {
            return Ok(None);
        }
        let mut database = self.open(surroundings).await?;
        database.activity().await.map_err(explain_error)
    }

    /// The file that the database is, if it is one.
    fn file(&self, surroundings: &Surroundings) -> Option<PathBuf> {
        let address = self.database(surroundings);
        let path = address.strip_prefix("sqlite:")?;
        Some(PathBuf::from(path.split('?').next().unwrap_or(path)))
    }

    /// The database's address; a SQLite path that is not absolute counts from the service's folder.
    fn database(&self, surroundings: &Surroundings) -> String {
        match surroundings.database.strip_prefix("sqlite:") {
            Some(path) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                format!(
                    "sqlite:{}",
                    self.audited.service.directory.join(path).display()
                )
            }
            None => surroundings.database.clone(),
        }
    }

    /// Loads the service, uninstrumented, with the scenario.
    async fn load(&self, progress: &Progress) -> Result<Outcome, AuditError> {
        let surroundings = self.surroundings()?;
        let mut service = Running::start(&self.audited.service, &surroundings).await?;
        // The first users were probed, and what they could do once is done.
        let rows = self.rows(&surroundings)?.map(|rows| rows.after(PROBES + 1));
        let scenario = self.scenario(service.address, rows)?;
        let load = &self.audited.load;
        let options = load_options(load);
        let bar = progress.clock("loading", load.ramp + load.steady);
        let cancel = CancelHandle::new();
        let outcome = speedwell_load::run(
            Arc::new(scenario),
            &options,
            |now| {
                bar.at(
                    now.elapsed,
                    &format!("{} requests, {} errors", now.requests, now.errors),
                );
            },
            cancel,
        )
        .await
        .map_err(|error| AuditError::Load(error.to_string()))?;
        drop(bar);
        if let Some(error) = service.unexpected_end("under load") {
            return Err(error.into());
        }
        service.stop().await;
        Ok(outcome)
    }

    fn scenario(&self, target: SocketAddr, rows: Option<Rows>) -> Result<Scenario, AuditError> {
        let specs: Vec<&RouteSpec> = self
            .audited
            .setup
            .iter()
            .chain(self.routes.iter().copied())
            .collect();
        let steps = specs
            .iter()
            .map(|route| {
                let page_size = route.page_sizes.first().copied();
                step(
                    route,
                    Sizes {
                        page_size,
                        scale: self.scale,
                        workdir: Some(&self.workdir),
                    },
                )
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(AuditError::Load)?;
        let index = |name: &str| specs.iter().position(|route| route.name == name);
        let mut tasks: Vec<Task> = self
            .audited
            .tasks
            .iter()
            .map(|task| Task {
                name: task.routes.join(", "),
                weight: task.weight,
                steps: task.routes.iter().filter_map(|name| index(name)).collect(),
            })
            .filter(|task| !task.steps.is_empty())
            .collect();
        if tasks.is_empty() {
            // Only routes that no task asks for were wanted: each is a task of its own.
            tasks = self
                .routes
                .iter()
                .map(|route| Task {
                    name: route.name.clone(),
                    weight: 1,
                    steps: index(&route.name).into_iter().collect(),
                })
                .collect();
        }
        Ok(Scenario {
            target,
            steps,
            setup: (0..self.audited.setup.len()).collect(),
            tasks,
            rows,
            constants: Vec::new(),
        })
    }
}

fn explain_error(error: speedwell_plan::ExplainError) -> AuditError {
    AuditError::Explain(error.to_string())
}

fn load_options(load: &crate::config::Load) -> LoadOptions {
    LoadOptions {
        model: match load.rate {
            Some(rate) => Model::Open {
                rate,
                connections: load.users,
            },
            None => Model::Closed {
                users: load.users,
                think: load.think,
            },
        },
        ramp: load.ramp,
        steady: load.steady,
        seed: load.seed,
        timeout: load.timeout,
        drain: DRAIN,
        setup: load.setup,
        // The service needs the rest of the machine, and one thread sends far more requests than
        // users with think time ask for.
        workers: 1,
    }
}

/// Asks once whether the service can take requests.
async fn ready(address: SocketAddr, path: &str) -> Result<(), String> {
    let step = Step {
        name: "ready".to_owned(),
        route: format!("GET {path}"),
        method: http::Method::GET,
        path: Template::parse(path).map_err(|error| error.to_string())?,
        headers: Vec::new(),
        body: None,
        expect: Expect::default(),
        captures: Vec::new(),
    };
    let prepared = Session::new(0, 0, None)
        .prepare(&step)
        .map_err(|error| error.to_string())?;
    let mut connection = Connection::new(address, Duration::from_secs(5));
    match connection.send(&prepared, None).await {
        Ok(answer) if answer.status.is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status)),
        Err(error) => Err(error.to_string()),
    }
}

/// The dialect's name, as people write it.
pub(crate) fn dialect_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "SQLite",
        Dialect::Postgres => "PostgreSQL",
        Dialect::MySql => "MySQL",
    }
}
