//! The report as one HTML file that needs no network: everything is in it.

mod advice;
mod load;
mod plots;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use speedwell_trace::Proof;

use super::{
    CacheReport, Exponents, FindingReport, Kind, Latency, LoadReport, ProbeReport, Report,
    RouteReport, Verdict, Waterfall,
    wording::{
        cost, counted, exponent, known, limits, one_line, shortened, significant, thousands,
    },
};
use crate::audit::{bytes_per_row, grows, rows_per_row};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(crate) fn html(report: &Report) -> String {
    let title = format!("{}: {}", report.service, sentence(report.verdict));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (header(report))
                    @match report.kind {
                        Kind::Audit => { (overview(report)) (findings(report)) (advice::advice(report)) }
                        Kind::Load => { (load::overview(report)) }
                    }
                    h2 { "Routes" }
                    @for (index, route) in report.routes.iter().enumerate() { (section(index, route, report)) }
                    @if report.kind == Kind::Audit { (statements(report)) (suppressed(report)) }
                    (notes(report))
                    footer { "Made by speedwell from " (report.config) "." }
                }
            }
        }
    };
    page.into_string()
}

fn sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Within => "within budget",
        Verdict::Unsure => "unsure",
        Verdict::Over => "over budget",
    }
}

/// The verdict in words; a budget of latency that was not judged is not held.
pub(super) fn headline(report: &Report) -> String {
    let unjudged = if report.load.is_none() {
        ", latency not judged"
    } else {
        ""
    };
    format!("{}{unjudged}", sentence(report.verdict))
}

fn badge(verdict: Verdict) -> Markup {
    let (class, word) = match verdict {
        Verdict::Within => ("badge pass", "pass"),
        Verdict::Unsure => ("badge unsure", "unsure"),
        Verdict::Over => ("badge fail", "fail"),
    };
    html! { span class=(class) { (word) } }
}

/// How reasons are set: only what is over is as loud as a fault.
fn tone(verdict: Verdict) -> &'static str {
    if verdict == Verdict::Over {
        "over"
    } else {
        "doubt"
    }
}

fn header(report: &Report) -> Markup {
    let class = match report.verdict {
        Verdict::Within => "badge pass",
        Verdict::Unsure => "badge unsure",
        Verdict::Over => "badge fail",
    };
    let scales: Vec<String> = report.scales.iter().map(|rows| thousands(*rows)).collect();
    html! {
        header {
            span class=(class) { (headline(report)) }
            h1 { (report.service) }
            @if report.kind == Kind::Audit { p.soft {
                "Probed at " (scales.join(", ")) " rows, " (report.probes)
                " requests for each route, scale and page size."
            } }
            @if let Some(load) = &report.load { (load_facts(load)) }
        }
    }
}

fn load_facts(load: &LoadReport) -> Markup {
    let users = match load.rate {
        Some(rate) => (format!("{rate}/s"), "arrivals"),
        None => (thousands(load.users), "users"),
    };
    let facts = [
        (users.1, users.0),
        ("rows", known((load.scale > 0).then_some(load.scale))),
        ("steady load", format!("{} s", significant(load.steady_s))),
        ("requests", thousands(load.requests)),
        ("per second", significant(load.requests_per_s)),
        ("errors", thousands(load.errors)),
        (
            "load engine CPU",
            format!("{:.0} %", load.client_cpu_share * 100.0),
        ),
    ];
    html! {
        @if let Some(target) = &load.target { p.soft { "Sent to " (target) "." } }
        dl.facts {
            @for (what, value) in facts { div { dt { (what) } dd { (value) } } }
        }
    }
}

fn overview(report: &Report) -> Markup {
    html! {
        h2 { "Verdict" }
        div class="card scroll" {
            table {
                thead {
                    tr {
                        th {} th {} th.group colspan="3" { "under load, ms" }
                        th.group colspan="2" { "one request" } th.group colspan="3" { "growth" } th {}
                    }
                    tr {
                        th {} th { "route" } th.n { "p50" } th.n { "p95" } th.n { "p99" }
                        th.n { "statements" } th.n { "rows fetched" br; "/ answered" }
                        th.n { "statements" } th.n { "rows" } th.n { "time" } th { "budget" }
                    }
                }
                tbody { @for (index, route) in report.routes.iter().enumerate() { (row(index, route)) } }
            }
        }
    }
}

fn row(index: usize, route: &RouteReport) -> Markup {
    let latency = route.latency.as_ref();
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), significant);
    let probe = route.probes.last();
    html! {
        tr {
            td { (badge(route.verdict)) }
            td.name {
                a href={ "#route-" (index) } { (route.name) }
                div.plan { (shortened(&route.plan, 44)) }
            }
            td.n { (ms(latency.map(|each| each.p50_ms))) }
            td.n title=[latency.map(interval)] { (ms(latency.map(|each| each.p95_ms))) }
            td.n { (ms(latency.map(|each| each.p99_ms))) }
            td.n { @if let Some(probe) = probe { (probe.statements) } @else { "-" } }
            td.n { @if let Some(probe) = probe { (rows(probe)) } @else { "-" } }
            (exponents(route))
            td { (budget(route)) @for reason in &route.reasons { div class={ "why " (tone(route.verdict)) } { (reason) } } }
        }
    }
}

fn rows(probe: &ProbeReport) -> String {
    format!(
        "{} / {}",
        known(probe.rows_fetched),
        thousands(probe.rows_answered)
    )
}

fn interval(latency: &Latency) -> String {
    let high = latency
        .p95_high_ms
        .map_or_else(|| "no upper bound".to_owned(), significant);
    format!(
        "95 % interval {} to {}, {} samples",
        significant(latency.p95_low_ms),
        high,
        latency.samples
    )
}

fn exponents(route: &RouteReport) -> Markup {
    let Exponents { rows, time, .. } = route.growth.by_scale;
    let class = |value: Option<f64>| match (grows(value), route.verdict) {
        (true, Verdict::Over) => "n over",
        (true, _) => "n strong",
        (false, _) => "n",
    };
    html! {
        @for value in [route.growth.statements(), rows, time] {
            td class=(class(value)) { (exponent(value)) }
        }
    }
}

fn budget(route: &RouteReport) -> Markup {
    html! {
        (limits(&route.budget))
        @if let Some(source) = &route.budget.source { div.why { (source) } }
    }
}

fn findings(report: &Report) -> Markup {
    let (faults, possible): (Vec<_>, Vec<_>) = report
        .findings
        .iter()
        .partition(|finding| finding.proof >= Proof::Likely);
    html! {
        h2 { "Findings" }
        @if faults.is_empty() { p { "No fault was found." } }
        @for fault in &faults { (finding(fault)) }
        @if !possible.is_empty() {
            details {
                summary { (possible.len()) " possible, not counted against a budget" }
                @for each in &possible { (finding(each)) }
            }
        }
    }
}

fn finding(finding: &FindingReport) -> Markup {
    let (class, proof) = match finding.proof {
        Proof::Proved => ("badge fail", "proved"),
        Proof::Likely => ("badge fail", "likely"),
        Proof::Possible => ("badge unsure", "possible"),
    };
    html! {
        div.card id={ "finding-" (finding.id) } {
            div.head {
                span class=(class) { (proof) }
                h3 { (finding.kind.name().replace('_', " ")) }
                span.soft { (finding.name) @if finding.route != finding.name { ", " code { (finding.route) } } }
            }
            p { (finding.summary) }
            dl.finding {
                @if let Some(statement) = &finding.statement { dt { "statement" } dd { pre { (statement) } } }
                @if let Some(parent) = &finding.parent { dt { "driven by" } dd { pre { (parent) } } }
                @if let Some(site) = &finding.site { dt { "from" } dd { code { (site) } } }
                dt { "why" } dd { @for evidence in &finding.evidence { p { (evidence) } } }
                dt { "costs" } dd { (cost(finding)) }
                dt { "do" } dd { (remedy(&finding.remedy)) }
                dt { "id" } dd { code.soft { (finding.id) } }
            }
        }
    }
}

/// The first line is a sentence; what follows is SQL.
fn remedy(text: &str) -> Markup {
    let (sentence, sql) = text.split_once('\n').unwrap_or((text, ""));
    html! { p { (sentence) } @if !sql.is_empty() { pre { (sql) } } }
}

fn section(index: usize, route: &RouteReport, report: &Report) -> Markup {
    html! {
        div.card id={ "route-" (index) } {
            div.head { (badge(route.verdict)) h3 { (route.name) } code.soft { (route.route) } }
            p { (budget(route)) }
            @for reason in &route.reasons { p class=(tone(route.verdict)) { (reason) } }
            @if !route.plan.is_empty() { p { span.soft { "Plan: " } code { (route.plan) } } }
            @if let Some(cache) = &route.cache { p { span.soft { "Cache: " } (cache_line(cache)) } }
            div.plots {
                @if let Some(latency) = &route.latency {
                    div { h4 { "Latency under load, from the intended start" } (plots::histogram(latency, route.budget.p95_ms)) }
                }
                @if report.scales.len() > 1 {
                    div { h4 { "Growth with the number of rows" } (plots::growth(&route.probes)) }
                }
                @if !(route.waterfall.bars.is_empty() && route.waterfall.cache.is_empty()) {
                    div.wide {
                        h4 { "One request: " (counted(route.waterfall.bars.len() as u64, "statement")) (cache_uses(&route.waterfall)) " in " (significant(route.waterfall.total_ms)) " ms" }
                        (plots::waterfall(&route.waterfall, &report.statements))
                    }
                }
            }
            @if !route.probes.is_empty() {
                details {
                    summary { "Measurements" }
                    div.scroll { (probes(route)) }
                }
            }
        }
    }
}

/// ` and 2 uses of the cache`, or nothing.
fn cache_uses(waterfall: &Waterfall) -> String {
    match waterfall.cache.len() {
        0 => String::new(),
        1 => " and 1 use of the cache".to_owned(),
        uses => format!(" and {} uses of the cache", thousands(uses as u64)),
    }
}

fn cache_line(cache: &CacheReport) -> String {
    format!(
        "{}, {} and {} in {}",
        counted(cache.hits, "hit"),
        match cache.misses {
            1 => "1 miss".to_owned(),
            misses => format!("{} misses", thousands(misses)),
        },
        counted(cache.changes, "change"),
        counted(cache.requests, "probed request")
    )
}

fn probes(route: &RouteReport) -> Markup {
    html! {
        table {
            thead { tr {
                th.n { "rows in the database" } th.n { "page size" } th.n { "statements" } th.n { "rows fetched / answered" }
                th.n { "fetched per answered" } th.n { "bytes answered" } th.n { "bytes per row" } th.n { "database ms" } th.n { "total ms" }
            } }
            tbody {
                @for probe in &route.probes {
                    tr {
                        td.n { (thousands(probe.scale)) }
                        td.n { @if let Some(size) = probe.page_size { (size) } @else { "-" } }
                        td.n { (probe.statements) } td.n { (rows(probe)) }
                        td.n { (rows_per_row(probe).map_or_else(|| "-".to_owned(), significant)) }
                        td.n { (known(probe.body_bytes)) }
                        td.n { (bytes_per_row(probe).map_or_else(|| "-".to_owned(), significant)) }
                        td.n { (significant(probe.database_ms)) } td.n { (significant(probe.total_ms)) }
                    }
                }
            }
        }
    }
}

fn statements(report: &Report) -> Markup {
    html! {
        h2 { "Statements" }
        p.soft { (report.statements.len()) " distinct statements, values left out unless they were asked for." }
        @for statement in &report.statements {
            details.card id={ "statement-" (statement.fingerprint) } {
                summary { code { (first_words(&statement.text)) } " " span.soft { (statement.routes.join(", ")) } }
                pre { (statement.text) }
                pre { (statement.plan) }
                @for sampled in statement.sampled.iter().filter(|sampled| sampled.plan != statement.plan) {
                    p.soft { "With " (sampled.label) " values:" }
                    pre { (sampled.plan) }
                }
                p.soft {
                    "Median time: "
                    @for (index, time) in statement.time_ms.iter().enumerate() {
                        @if index > 0 { ", " }
                        (significant(time.median_ms)) " ms at " (thousands(time.scale)) " rows"
                    }
                }
            }
        }
    }
}

fn first_words(text: &str) -> String {
    shortened(&one_line(text), 110)
}

fn suppressed(report: &Report) -> Markup {
    html! {
        @if !report.suppressed.is_empty() {
            h2 { "Looked at and left out" }
            details.card {
                summary { "Statements that look like a fault, and why they are not one (" (report.suppressed.len()) ")" }
                div.scroll { table {
                    thead { tr { th { "looks like" } th { "route" } th.n { "times" } th { "statement" } th { "reason" } } }
                    tbody {
                        @for each in &report.suppressed {
                            tr {
                                td { (each.kind.name().replace('_', " ")) } td { code { (each.route) } } td.n { (each.count) }
                                td { code { (first_words(&each.statement)) } } td { (each.reason) }
                            }
                        }
                    }
                } }
            }
        }
    }
}

fn notes(report: &Report) -> Markup {
    html! {
        @if !report.warnings.is_empty() {
            h2 { "Notes" }
            ul { @for warning in &report.warnings { li { (warning) } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::sample;

    #[test]
    fn the_page_needs_no_network() {
        let page = html(&sample());
        for reference in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(reference), "{reference}");
        }
    }

    #[test]
    fn what_a_service_says_is_shown_as_text() {
        let mut report = sample();
        report.routes[0].name = "<script>alert(1)</script>".to_owned();
        let page = html(&report);
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
    }

    #[test]
    fn the_same_report_gives_the_same_page() {
        assert_eq!(html(&sample()), html(&sample()));
    }
}
