//! Where the load is put: on a service that is started for it, or on one that runs already.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use http::header;
use speedwell_load::{CancelHandle, Outcome, Rows, Scenario, Template};

use super::target::{Target, TargetError};
use crate::{
    audit::{self, AuditError, Sizes, Stage},
    config::{Audited, ConfigError, Field, RouteSpec},
    progress::Progress,
};

/// Why no load could be put on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(
        "{what} is `{path}`, and with --target nothing is prepared; name the folder that stands for {{workdir}} with --workdir{or}"
    )]
    NoWorkdir {
        what: String,
        path: String,
        or: &'static str,
    },
}

/// A scenario whose service is ready for it.
pub(super) enum Place<'a> {
    /// Prepared here; started when the load begins.
    Own {
        stage: Stage<'a>,
        /// Holds the data and goes last.
        _home: tempfile::TempDir,
    },
    Running(Running),
}

/// A service that runs already, and what the scenario needs beside it.
pub(super) struct Running {
    target: Target,
    address: SocketAddr,
    rows: Option<Rows>,
    /// What `${scale}` stands for.
    scale: u64,
    workdir: Option<PathBuf>,
}

/// What a load measured, and where.
pub(super) struct Measured {
    pub(super) outcome: Outcome,
    /// The service that was running already.
    pub(super) target: Option<String>,
    /// What to say of users who share an account.
    pub(super) shared: Option<String>,
}

impl<'a> Place<'a> {
    /// Builds the service and prepares its data.
    pub(super) async fn own(
        audited: &'a Audited,
        routes: &'a [&'a RouteSpec],
        scale: u64,
        progress: &Progress,
    ) -> Result<Self, LoadError> {
        audit::check_database(audited)?;
        let home = audit::home()?;
        audit::build(audited, home.path(), progress).await?;
        let stage = Stage::new(audited, routes, scale, home.path()).await?;
        stage.prepare(progress).await?;
        Ok(Self::Own { stage, _home: home })
    }

    /// Finds the service, its users and the files to upload.
    pub(super) async fn running(
        audited: &Audited,
        target: &Target,
        scale: u64,
        workdir: Option<&Path>,
    ) -> Result<Self, LoadError> {
        let address = target.reach().await?;
        let users = audited.data.users.as_ref();
        let rows = users
            .map(|path| rows(audited, path, scale, workdir))
            .transpose()?;
        if workdir.is_none() {
            uploads_are_there(audited)?;
        }
        Ok(Self::Running(Running {
            target: target.clone(),
            address,
            rows,
            scale,
            workdir: workdir.map(Path::to_owned),
        }))
    }

    /// Puts the load on. When `cancel` is used, what was measured until then.
    pub(super) async fn load(
        self,
        audited: &Audited,
        routes: &[&RouteSpec],
        progress: &Progress,
        cancel: CancelHandle,
    ) -> Result<Measured, LoadError> {
        match self {
            Self::Own { stage, _home } => {
                let outcome = stage.load(0, progress, cancel).await?;
                let shared = stage.shared_rows()?;
                stage.remove().await?;
                Ok(Measured {
                    outcome,
                    target: None,
                    shared,
                })
            }
            Self::Running(running) => running.load(audited, routes, progress, cancel).await,
        }
    }
}

impl Running {
    async fn load(
        self,
        audited: &Audited,
        routes: &[&RouteSpec],
        progress: &Progress,
        cancel: CancelHandle,
    ) -> Result<Measured, LoadError> {
        let rows = self.rows.as_ref();
        let shared = rows.and_then(|rows| audit::shared(rows, audited.load.users));
        let sizes = Sizes {
            page_size: None,
            scale: self.scale,
            workdir: self.workdir.as_deref(),
        };
        let mut scenario = audit::scenario(audited, routes, self.address, sizes, self.rows)
            .map_err(AuditError::Load)?;
        name_host(&mut scenario, &self.target);
        let options = audit::load_options(&audited.load);
        Ok(Measured {
            outcome: audit::put_on(scenario, &options, progress, cancel).await?,
            target: Some(self.target.to_string()),
            shared,
        })
    }
}

/// A service behind a name may answer by it; the client knows only the address.
fn name_host(scenario: &mut Scenario, target: &Target) {
    for step in &mut scenario.steps {
        if !step.headers.iter().any(|(name, _)| *name == header::HOST) {
            let name = Template::literal(&target.authority());
            step.headers.push((header::HOST, name));
        }
    }
}

/// The simulated users that a running service knows.
fn rows(
    audited: &Audited,
    path: &str,
    scale: u64,
    workdir: Option<&Path>,
) -> Result<Rows, LoadError> {
    let path = path.replace("{scale}", &scale.to_string());
    let path = match workdir {
        Some(workdir) => path.replace("{workdir}", &workdir.display().to_string()),
        None if path.contains("{workdir}") => {
            return Err(LoadError::NoWorkdir {
                what: "`[data] users`".to_owned(),
                path,
                or: ", or the file with --users-csv",
            });
        }
        None => path,
    };
    Ok(audit::read_rows(audited, &path)?)
}

/// What is uploaded must be there although nothing was prepared.
fn uploads_are_there(audited: &Audited) -> Result<(), LoadError> {
    for route in audited.setup.iter().chain(&audited.routes) {
        for (name, field) in route.multipart.iter().flat_map(|form| &form.fields) {
            if let Field::File(upload) = field
                && upload.path().contains("{workdir}")
            {
                return Err(LoadError::NoWorkdir {
                    what: format!("route `{}`: multipart `{name}`", route.name),
                    path: upload.path().to_owned(),
                    or: "",
                });
            }
        }
    }
    Ok(())
}
