//! What the service counts, in the text form that Prometheus reads.

use std::{sync::Arc, time::Duration};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use crate::{database::Database, problem::Problem};

/// Counts requests and shows pools. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    families: Arc<Families>,
    others: Vec<Other>,
}

/// Writes metrics of its own in the text form, without an end mark.
#[derive(Clone)]
struct Other(Arc<dyn Fn() -> String + Send + Sync>);

impl std::fmt::Debug for Other {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Other")
    }
}

#[derive(Debug)]
struct Families {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<OfRoute, Histogram, Buckets>,
    pool_size: Family<OfPool, Gauge>,
    pool_idle: Family<OfPool, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPool {
    pool: &'static str,
}

/// From half a millisecond, below which a request never was a problem, to ten seconds,
/// with bounds at the budgets of the papers (100, 200, 500 ms, 1 s, 2 s).
const BOUNDS_S: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

#[derive(Debug, Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BOUNDS_S)
    }
}

impl Metrics {
    /// Metrics of a service over this database.
    pub fn new(database: &Database) -> Self {
        let mut registry = Registry::default();
        let requests = Family::default();
        let durations = Family::new_with_constructor(Buckets);
        let pool_size = Family::default();
        let pool_idle = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Time from arrival to the head of the answer",
            durations.clone(),
        );
        registry.register("db_pool_connections", "Open connections", pool_size.clone());
        registry.register(
            "db_pool_idle_connections",
            "Connections nobody uses",
            pool_idle.clone(),
        );
        for pool in database.pools() {
            let labels = [("pool".into(), pool.name.into())];
            registry
                .sub_registry_with_labels(labels.into_iter())
                .register(
                    "db_pool_wait_seconds",
                    "Time until a connection was there",
                    pool.waits,
                );
        }
        let families = Arc::new(Families {
            registry,
            requests,
            durations,
            pool_size,
            pool_idle,
        });
        Self {
            families,
            others: Vec::new(),
        }
    }

    /// With what `other` writes: whole families in the text form of Prometheus.
    #[must_use]
    pub fn also(mut self, other: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.others.push(Other(Arc::new(other)));
        self
    }

    /// Counts one request. `route` is a template, so that there are as many as routes.
    pub fn answered(&self, route: &str, status: StatusCode, took: Duration) {
        let route = route.to_owned();
        self.families
            .durations
            .get_or_create(&OfRoute {
                route: route.clone(),
            })
            .observe(took.as_secs_f64());
        self.families
            .requests
            .get_or_create(&Answered {
                route,
                status: status.as_u16(),
            })
            .inc();
    }

    /// Everything counted so far, and the pools as they are now.
    pub fn answer(&self, database: &Database) -> Response {
        for pool in database.pools() {
            let label = OfPool { pool: pool.name };
            self.families
                .pool_size
                .get_or_create(&label)
                .set(i64::from(pool.size));
            self.families
                .pool_idle
                .get_or_create(&label)
                .set(i64::try_from(pool.idle).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        if encode(&mut text, &self.families.registry).is_err() {
            return Problem::internal().into_response();
        }
        let end = text.len() - text.strip_suffix(END).map_or(0, |_| END.len());
        for Other(other) in &self.others {
            text.insert_str(end, &open_metrics(&other()));
        }
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        ([(header::CONTENT_TYPE, kind)], text).into_response()
    }
}

/// How the text form of OpenMetrics ends.
const END: &str = "# EOF\n";

/// In OpenMetrics a counter is named without the `_total` of its samples.
fn open_metrics(prometheus: &str) -> String {
    let mut text = String::with_capacity(prometheus.len());
    for line in prometheus.lines() {
        match line
            .strip_prefix("# ")
            .and_then(|about| about.split_once("_total "))
        {
            Some((name, rest)) if !name.contains('"') && name.split(' ').count() == 2 => {
                text += &format!("# {name} {rest}");
            }
            _ => text += line,
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_lose_their_ending_where_they_are_described_and_keep_it_where_they_count() {
        let text = "# HELP a_total How often, in _total of all.\n# TYPE a_total counter\na_total{x=\"1\"} 3\n";
        assert_eq!(
            open_metrics(text),
            "# HELP a How often, in _total of all.\n# TYPE a counter\na_total{x=\"1\"} 3\n"
        );
    }
}
