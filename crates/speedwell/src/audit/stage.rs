//! One scale of an audit: its data, and the service on top of it, started and loaded.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use speedwell_load::{CancelHandle, LoadOptions, Outcome, Phase, Rows, Scenario};
use speedwell_plan::ScratchDatabase;

use super::{
    AuditError,
    database::Given,
    process::{self, Running, Surroundings},
    scenario::{load_options, scenario},
    steps::{self, Sizes},
};
use crate::{
    config::{Audited, ConfigError, RouteSpec},
    progress::Progress,
};

/// One scale: its folder, its database, and what is asked of the service.
pub(crate) struct Stage<'a> {
    pub(super) audited: &'a Audited,
    pub(super) routes: &'a [&'a RouteSpec],
    pub(super) scale: u64,
    pub(super) workdir: PathBuf,
    pub(super) database: Given,
}

impl<'a> Stage<'a> {
    /// Makes the folder and the database of one scale, below `home`.
    pub(crate) async fn new(
        audited: &'a Audited,
        routes: &'a [&'a RouteSpec],
        scale: u64,
        home: &Path,
    ) -> Result<Self, AuditError> {
        let workdir = home.join(scale.to_string());
        std::fs::create_dir_all(&workdir).map_err(AuditError::Workdir)?;
        Ok(Self {
            audited,
            routes,
            scale,
            workdir,
            database: Given::make(&audited.service, scale).await?,
        })
    }

    /// Drops the database that was made for the stage.
    pub(crate) async fn remove(self) -> Result<(), AuditError> {
        self.database.remove().await
    }

    pub(super) fn surroundings(&self) -> Result<Surroundings, AuditError> {
        let address = process::address_for(&self.audited.service)?;
        Ok(Surroundings::new(
            &self.audited.service,
            &self.workdir,
            self.scale,
            address,
            self.database.url(),
        ))
    }

    /// Prepares the data, and checks that the files are there which the routes upload.
    pub(crate) async fn prepare(&self, progress: &Progress) -> Result<(), AuditError> {
        if let Some(prepare) = &self.audited.data.prepare {
            let _shown = progress.spinner(format!("preparing data at scale {}", self.scale));
            self.surroundings()?.run("prepare", prepare).await?;
        }
        steps::check_files(self.audited, &self.workdir, self.scale).map_err(|message| {
            let path = self.audited.file.clone();
            AuditError::from(ConfigError::Wrong { path, message })
        })
    }

    /// The simulated users of the configuration.
    pub(super) fn rows(&self, surroundings: &Surroundings) -> Result<Option<Rows>, AuditError> {
        let users = self.audited.data.users.as_ref();
        users
            .map(|users| read_rows(self.audited, &surroundings.fill(users)))
            .transpose()
    }

    /// Users who share an account share its cache entries, which is kinder than life.
    pub(crate) fn shared_rows(&self) -> Result<Option<String>, AuditError> {
        let rows = self.rows(&self.surroundings()?)?;
        Ok(rows.and_then(|rows| shared(&rows, self.audited.load.users)))
    }

    /// Loads the service, uninstrumented, with the scenario. The first `used` of the simulated
    /// users have done already what can be done once.
    pub(crate) async fn load(
        &self,
        used: usize,
        progress: &Progress,
        cancel: CancelHandle,
    ) -> Result<Outcome, AuditError> {
        let surroundings = self.surroundings()?;
        let mut service = Running::start(&self.audited.service, &surroundings).await?;
        let rows = self.rows(&surroundings)?.map(|rows| rows.after(used));
        let scenario = self.scenario(service.address, rows)?;
        let options = load_options(&self.audited.load);
        let outcome = put_on(scenario, &options, progress, cancel).await?;
        if let Some(error) = service.unexpected_end("under load") {
            return Err(error.into());
        }
        service.stop().await;
        Ok(outcome)
    }

    fn scenario(&self, target: SocketAddr, rows: Option<Rows>) -> Result<Scenario, AuditError> {
        let sizes = Sizes {
            page_size: None,
            scale: self.scale,
            workdir: Some(&self.workdir),
        };
        scenario(self.audited, self.routes, target, sizes, rows).map_err(AuditError::Load)
    }
}

/// Builds the service if the configuration says how.
pub(crate) async fn build(
    audited: &Audited,
    home: &Path,
    progress: &Progress,
) -> Result<(), AuditError> {
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

/// Reads the simulated users of `path`, which counts from the service's folder.
pub(crate) fn read_rows(audited: &Audited, path: &str) -> Result<Rows, AuditError> {
    Rows::read(&audited.service.directory.join(path))
        .map_err(|error| AuditError::Rows(error.to_string()))
}

/// What to say when there are more users than rows.
pub(crate) fn shared(rows: &Rows, users: usize) -> Option<String> {
    rows.shared_by(users).then(|| {
        format!(
            "{users} users shared the {} rows of `[data] users`.",
            rows.len()
        )
    })
}

/// Puts the load on, and shows live how it goes.
pub(crate) async fn put_on(
    scenario: Scenario,
    options: &LoadOptions,
    progress: &Progress,
    cancel: CancelHandle,
) -> Result<Outcome, AuditError> {
    let bar = progress.clock("loading", options.ramp + options.steady);
    speedwell_load::run(
        Arc::new(scenario),
        options,
        |now| bar.at(now.elapsed, &live(now)),
        cancel,
    )
    .await
    .map_err(|error| AuditError::Load(error.to_string()))
}

/// The figures of the last second, in one line that fits a narrow terminal.
fn live(now: &speedwell_load::Progress) -> String {
    let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1000.0);
    let phase = match now.phase {
        Phase::Setup => " (setup)",
        Phase::Ramp => " (ramp)",
        Phase::Steady => "",
        Phase::Drain => " (end)",
    };
    format!(
        "{:.0}/s, p50 {}, p95 {} ms, {} errors, {} users{phase}",
        now.recent.requests_per_s,
        ms(now.recent.p50),
        ms(now.recent.p95),
        now.errors,
        now.active_users,
    )
}

#[cfg(test)]
mod tests {
    use speedwell_load::Recent;

    use super::*;

    #[test]
    fn live_figures_are_those_of_the_last_second_and_errors_of_the_whole() {
        let now = speedwell_load::Progress {
            elapsed: Duration::from_secs(12),
            planned: Duration::from_secs(70),
            phase: Phase::Steady,
            active_users: 100,
            requests: 4000,
            errors: 3,
            recent: Recent {
                requests_per_s: 128.6,
                errors: 1,
                p50: Duration::from_micros(1950),
                p95: Duration::from_millis(7),
            },
        };
        assert_eq!(
            live(&now),
            "129/s, p50 1.9, p95 7.0 ms, 3 errors, 100 users"
        );
    }
}
