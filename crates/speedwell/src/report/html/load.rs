//! The verdict of a load alone: one line a route, without the columns of an audit.

use maud::{Markup, html};

use super::{badge, budget, interval, tone};
use crate::report::{
    Report, RouteReport,
    columns::errors,
    wording::{significant, thousands},
};

pub(super) fn overview(report: &Report) -> Markup {
    html! {
        h2 { "Verdict" }
        div class="card scroll" {
            table {
                thead {
                    tr {
                        th {} th { "route" } th.n { "requests" } th.n { "per second" } th.n { "p50 ms" }
                        th.n { "p95 ms" } th.n { "p99 ms" } th.n { "max ms" } th { "errors" } th { "budget" }
                    }
                }
                tbody { @for (index, route) in report.routes.iter().enumerate() { (row(index, route)) } }
            }
        }
    }
}

fn row(index: usize, route: &RouteReport) -> Markup {
    let latency = route.latency.as_ref();
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
    html! {
        tr {
            td { (badge(route.verdict)) }
            td.name { a href={ "#route-" (index) } { (route.name) } }
            td.n { (thousands(route.requests)) }
            td.n { (number(latency.map(|each| each.requests_per_s))) }
            td.n { (number(latency.map(|each| each.p50_ms))) }
            td.n title=[latency.map(interval)] { (number(latency.map(|each| each.p95_ms))) }
            td.n { (number(latency.map(|each| each.p99_ms))) }
            td.n { (number(latency.map(|each| each.max_ms))) }
            td { (errors(route)) }
            td { (budget(route)) @for reason in &route.reasons { div class={ "why " (tone(route.verdict)) } { (reason) } } }
        }
    }
}
