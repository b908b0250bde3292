//! An audit: build, prepare, start, probe and explain at each scale, load the largest, judge;
//! then try what would help.

mod advice;
mod compose;
mod database;
mod evidence;
mod judge;
mod measure;
mod probe;
mod process;
mod scenario;
mod stage;
mod steps;
mod under_load;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use speedwell_collect::{Limits, Receiver};
use speedwell_load::{CancelHandle, Connection, Expect, Session, Step, Template};
use speedwell_plan::{Activity, AdvisedIndex, Database, build_indexes};
use speedwell_sql::{Fingerprint, shape, structure};
use speedwell_trace::{Dialect, Statement};

use self::{
    database::{Given, Using},
    evidence::{AtScale, Explained},
    probe::{Probe, Target, probe},
    process::{Running, Surroundings},
    steps::feeds,
};
use crate::{
    config::{Audited, ConfigError, RouteSpec},
    progress::Progress,
    report::Report,
};

pub(crate) use self::{
    advice::When as AdviseWhen,
    compose::grows,
    database::check as check_database,
    evidence::{Evidence, growth::TIME_FLOOR_MS},
    measure::{bytes_per_row, rows_per_row},
    process::ProcessError,
    scenario::{load_options, scenario, tasks as scenario_tasks},
    stage::{Stage, build, put_on, read_rows, shared},
    steps::Sizes,
    under_load::{Loaded, load_report},
};

/// Counted probes of each route, scale and page size: an odd number, so that the median is one
/// that was measured, and enough to outvote two disturbed ones.
const PROBES: usize = 5;

/// What the command line asks of an audit beyond the configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Names of the only routes to audit; all when empty.
    pub(crate) only: Vec<String>,
    /// Whether literals in statements may be printed.
    pub(crate) show_values: bool,
    /// Whether the load is left out.
    pub(crate) no_load: bool,
    /// When to try what would help.
    pub(crate) advise: AdviseWhen,
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
    check_steps(audited)?;
    let routes = selected(audited, &options.only)?;
    check_database(audited)?;
    let home = home()?;
    build(audited, home.path(), progress).await?;
    let round = Round {
        audited,
        routes: &routes,
        options,
        progress,
    };
    let (mut report, measured, stages) = round.measure(home.path(), &[]).await?;
    if options.advise.is_now(&report) {
        round
            .advise(home.path(), &mut report, &measured, &stages)
            .await?;
    }
    for stage in stages {
        stage.remove().await?;
    }
    Ok(report)
}

/// One round through all scales; with advice there is a second one.
struct Round<'a> {
    audited: &'a Audited,
    routes: &'a [&'a RouteSpec],
    options: &'a Options,
    progress: &'a Progress,
}

impl<'a> Round<'a> {
    /// Observes every scale and loads the largest, with these indexes in place. The stages are
    /// there still.
    async fn measure(
        &self,
        home: &Path,
        indexes: &[AdvisedIndex],
    ) -> Result<(Report, compose::Measured<'a>, Vec<Stage<'a>>), AuditError> {
        let (audited, options, progress) = (self.audited, self.options, self.progress);
        let mut scales = Vec::new();
        let mut stages = Vec::new();
        let mut load = None;
        let mut shared_rows = None;
        for (index, &scale) in audited.data.scales.iter().enumerate() {
            let stage = Stage::new(audited, self.routes, scale, home).await?;
            scales.push(stage.observe(indexes, progress).await?);
            if index + 1 == audited.data.scales.len() && !options.no_load {
                // The first users were probed, and what they could do once is done.
                let load_of = stage.load(PROBES + 1, progress, CancelHandle::new());
                load = Some(load_of.await?);
                shared_rows = stage.shared_rows()?;
            }
            stages.push(stage);
        }
        let whole = self.routes.len() == audited.routes.len();
        let evidence = evidence::weigh(audited, &scales, whole);
        let measured = compose::Measured {
            audited,
            routes: self.routes,
            scales,
            load,
            evidence,
            options,
            probes: PROBES,
        };
        let mut report = compose::compose(&measured);
        report.warnings.extend(shared_rows);
        Ok((report, measured, stages))
    }

    /// Tries what would help on copies of the databases; then, where the audit made them itself,
    /// audits again on new ones that have the indexes.
    async fn advise(
        &self,
        home: &Path,
        report: &mut Report,
        measured: &compose::Measured<'_>,
        stages: &[Stage<'_>],
    ) -> Result<(), AuditError> {
        let all = match advice::ask(stages, &measured.scales, &report.findings, self.progress).await
        {
            Ok(all) => all,
            Err(reason) => {
                let warning = format!("There is no advice: {reason}.");
                report.warnings.push(warning);
                return Ok(());
            }
        };
        let Some(mut advised) = advice::report(&all, |sql| measured.shown_here(sql)) else {
            return Ok(());
        };
        advice::into_findings(&mut report.findings, &advised);
        let indexes = all.last().map(|(_, advice)| advice.indexes.as_slice());
        let indexes = indexes.unwrap_or_default();
        if !indexes.is_empty() && stages.iter().all(Stage::is_own) {
            let what = format!("auditing again with {} indexes", indexes.len());
            let _shown = self.progress.spinner(what);
            let again = home.join("advised");
            match self.measure(&again, indexes).await {
                Ok((after, _, stages)) => {
                    advised.routes = advice::compare(report, &after);
                    for stage in stages {
                        stage.remove().await?;
                    }
                }
                Err(error) => {
                    advised.note = Some(format!("The audit with the indexes failed: {error}."));
                }
            }
        }
        report.advice = Some(advised);
        Ok(())
    }
}

/// Checks that every route of the configuration can be asked for.
pub(crate) fn check_steps(audited: &Audited) -> Result<(), ConfigError> {
    steps::check(audited).map_err(|message| ConfigError::Wrong {
        path: audited.file.clone(),
        message,
    })
}

/// The folder for the data of all scales, which goes with the value.
pub(crate) fn home() -> Result<tempfile::TempDir, AuditError> {
    tempfile::Builder::new()
        .prefix("speedwell-")
        .tempdir()
        .map_err(AuditError::Workdir)
}

/// The routes named in `only`, or all, with those that feed them.
pub(crate) fn selected<'a>(
    audited: &'a Audited,
    only: &[String],
) -> Result<Vec<&'a RouteSpec>, AuditError> {
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

impl Stage<'_> {
    /// Prepares the data, probes the instrumented service and explains what it ran.
    async fn observe(
        &self,
        indexes: &[AdvisedIndex],
        progress: &Progress,
    ) -> Result<AtScale, AuditError> {
        self.prepare(progress).await?;
        if !indexes.is_empty() {
            let built = build_indexes(&self.address()?, indexes).await;
            built.map_err(|error| AuditError::Explain(error.to_string()))?;
        }
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

    /// Where the database of the stage is.
    fn address(&self) -> Result<String, AuditError> {
        Ok(self.database(&self.surroundings()?))
    }

    /// Whether the audit made the database itself, so that it may build indexes in it.
    fn is_own(&self) -> bool {
        let inside = |surroundings: Surroundings| {
            let file = self.file(&surroundings);
            file.is_some_and(|file| file.starts_with(&self.workdir))
        };
        matches!(self.database, Given::Scratch(_)) || self.surroundings().is_ok_and(inside)
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
}

fn explain_error(error: speedwell_plan::ExplainError) -> AuditError {
    AuditError::Explain(error.to_string())
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
