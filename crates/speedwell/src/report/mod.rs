//! The report of an audit: its model, and the three forms it is shown in.

mod baseline;
mod columns;
mod html;
mod model;
#[cfg(test)]
mod sample;
mod terminal;
pub(crate) mod wording;

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

pub(crate) use self::{
    baseline::compare,
    html::html,
    model::{
        AdviceReport, Bar, Bucket, Budget, CacheBar, CacheReport, Exponents, FindingReport, Growth,
        IndexAdvice, Kind, Latency, LoadReport, NeedlessAdvice, Prices, ProbeReport, Report,
        RewriteAdvice, RouteAfter, RouteReport, SampledPlan, ScaleTime, StatementAdvice,
        StatementReport, SuppressedReport, Tried, VERSION, Verdict, Waterfall,
    },
    terminal::{Look, terminal},
    wording::thousands,
};

/// A report file that cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("cannot read the report `{path}`: {reason}; `speedwell audit --save FILE` writes one")]
    Read { path: String, reason: String },
    #[error("`{path}` is not a report of this version ({VERSION}): {reason}")]
    Format { path: String, reason: String },
    #[error("cannot write the report to `{path}`: {reason}")]
    Write { path: String, reason: String },
}

impl Report {
    /// The report as `report.json`.
    pub(crate) fn json(&self) -> String {
        // Every field is a number, a text or a list of them: there is nothing that could fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a `report.json`.
    pub(crate) fn read(path: &std::path::Path) -> Result<Self, ReportError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ReportError::Read {
            path: name.clone(),
            reason: error.to_string(),
        })?;
        let report: Self = serde_json::from_str(&text).map_err(|error| ReportError::Format {
            path: name.clone(),
            reason: error.to_string(),
        })?;
        if report.version != VERSION {
            let reason = format!("it says version {}", report.version);
            return Err(ReportError::Format { path: name, reason });
        }
        Ok(report)
    }

    /// Writes `text` so that the file is either the old one or the whole new one.
    pub(crate) fn write(path: &std::path::Path, text: &str) -> Result<(), ReportError> {
        let failed = |error: std::io::Error| ReportError::Write {
            path: path.display().to_string(),
            reason: error.to_string(),
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => std::path::Path::new("."),
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        // As any other file is made: a scratch file would be for its owner's eyes only.
        let file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(failed)?;
        std::fs::write(file.path(), text).map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{sample::sample, *};

    #[test]
    fn a_saved_report_reads_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/report.json");
        let report = sample();
        Report::write(&path, &report.json()).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report);
        assert_eq!(Report::read(&path).unwrap().json(), report.json());
    }

    /// Adds a field to every object and takes `gone` out of it.
    fn changed(value: &mut serde_json::Value, gone: &[&str]) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.retain(|name, _| !gone.contains(&name.as_str()));
                fields.values_mut().for_each(|value| changed(value, gone));
                // Maps of counts take numbers only.
                fields.insert("of_a_later_build".to_owned(), 1.into());
            }
            serde_json::Value::Array(items) => {
                items.iter_mut().for_each(|item| changed(item, gone));
            }
            _ => {}
        }
    }

    fn read(report: &serde_json::Value) -> Report {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        Report::write(&path, &report.to_string()).unwrap();
        Report::read(&path).unwrap()
    }

    #[test]
    fn a_report_of_a_later_build_is_read_as_far_as_it_is_known() {
        let mut later = serde_json::to_value(sample()).unwrap();
        changed(&mut later, &[]);
        let mut report = read(&later);
        for route in &mut report.routes {
            let of_latency = route.latency.as_mut().map(|latency| &mut latency.errors);
            for errors in [&mut route.errors].into_iter().chain(of_latency) {
                assert_eq!(errors.remove("of_a_later_build"), Some(1));
            }
        }
        assert_eq!(report, sample());
    }

    #[test]
    fn a_report_of_an_earlier_build_is_read_without_what_is_new() {
        let mut earlier = serde_json::to_value(sample()).unwrap();
        changed(
            &mut earlier,
            &["body_bytes", "bytes_per_row", "skipped", "interrupted"],
        );
        let report = read(&earlier);
        let route = &report.routes[0];
        assert_eq!((route.skipped, route.probes[0].body_bytes), (0, None));
        assert_eq!(route.budget.bytes_per_row, None);
        assert_eq!(route.budget.p95_ms, sample().routes[0].budget.p95_ms);
    }

    #[test]
    fn a_report_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let other = sample().json().replace("\"version\": 1", "\"version\": 99");
        Report::write(&path, &other).unwrap();
        assert!(
            Report::read(&path)
                .unwrap_err()
                .to_string()
                .contains("version 99")
        );
    }
}
