//! The plots of the report, as SVG: latency histogram, growth, waterfall of one request.

use maud::{Markup, html};

use super::super::{
    Latency, ProbeReport, StatementReport, Waterfall,
    wording::{counted, one_line, shortened, significant, thousands},
};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
const LEFT: f64 = 14.0;
const RIGHT: f64 = 14.0;
/// Room for the labels of the percentiles and the budget, so that no bar reaches them.
const TOP: f64 = 52.0;
const BOTTOM: f64 = 24.0;

/// A logarithmic axis from `low` to `high`, laid over `from..to` pixels.
#[derive(Clone, Copy)]
struct LogAxis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl LogAxis {
    fn new(low: f64, high: f64, from: f64, to: f64) -> Self {
        let low = low.max(1e-4);
        Self {
            low,
            high: high.max(low * 1.01),
            from,
            to,
        }
    }

    fn at(self, value: f64) -> f64 {
        let share = (value.max(self.low) / self.low).ln() / (self.high / self.low).ln();
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Powers of ten on the axis; with 2s and 5s when there are few.
    fn ticks(self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let steps: &[f64] = if decades <= 2.2 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        (first..=last)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|tick| (self.low * 0.999..=self.high * 1.001).contains(tick))
            .collect()
    }
}

fn axis_line(x: LogAxis, label: fn(f64) -> String) -> Markup {
    let y = HEIGHT - BOTTOM;
    html! {
        line.axis x1=(LEFT) y1=(y) x2=(WIDTH - RIGHT) y2=(y) {}
        @for tick in x.ticks() {
            line.axis x1=(px(x.at(tick))) y1=(y) x2=(px(x.at(tick))) y2=(y + 4.0) {}
            text x=(px(x.at(tick))) y=(y + 16.0) text-anchor="middle" { (label(tick)) }
        }
    }
}

/// Latency: how many requests took how long, with the percentiles and the budget.
pub(super) fn histogram(latency: &Latency, budget_ms: Option<f64>) -> Markup {
    let bars: Vec<(f64, f64, u64)> = latency
        .histogram
        .iter()
        .filter(|bucket| bucket.count > 0)
        .map(|bucket| (bucket.from_ms, bucket.up_to_ms, bucket.count))
        .collect();
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return html! {};
    };
    let high = budget_ms.unwrap_or(0.0).max(last.1) * 1.15;
    let x = LogAxis::new(first.0 * 0.9, high, LEFT, WIDTH - RIGHT);
    let most = bars.iter().map(|bar| bar.2).max().unwrap_or(1) as f64;
    let floor = HEIGHT - BOTTOM;
    let tall = floor - TOP;
    let label = format!(
        "Histogram of {} requests: p50 {}, p95 {}, p99 {} ms",
        latency.samples,
        significant(latency.p50_ms),
        significant(latency.p95_ms),
        significant(latency.p99_ms)
    );
    let marks = [
        ("p50", latency.p50_ms, 11.0),
        ("p95", latency.p95_ms, 23.0),
        ("p99", latency.p99_ms, 35.0),
    ];
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(label) {
            @for (low, up_to, count) in &bars {
                @let height = (*count as f64 / most * tall).max(1.5);
                rect.bars x=(px(x.at(*low))) y=(px(floor - height)) width=(px((x.at(*up_to) - x.at(*low) - 1.0).max(1.0))) height=(px(height)) {
                    title { (count) " requests up to " (significant(*up_to)) " ms" }
                }
            }
            @for (name, value, y) in marks {
                line.mark x1=(px(x.at(value))) y1=(y - 8.0) x2=(px(x.at(value))) y2=(floor) {}
                (beside(x.at(value), y, "strong", &format!("{name} {} ms", significant(value))))
            }
            @if let Some(budget) = budget_ms {
                line.limit x1=(px(x.at(budget))) y1="4" x2=(px(x.at(budget))) y2=(floor) {}
                (beside(x.at(budget), 47.0, "limit-text", &format!("p95 budget {budget} ms")))
            }
            (axis_line(x, |tick| format!("{} ms", trimmed(tick))))
        }
    }
}

/// A label to the right of a mark, or to its left where it would leave the picture.
fn beside(x: f64, y: f64, class: &str, label: &str) -> Markup {
    let left = x > WIDTH - 110.0;
    let (x, anchor) = if left {
        (x - 4.0, "end")
    } else {
        (x + 4.0, "start")
    };
    html! { text class=(class) x=(px(x)) y=(px(y)) text-anchor=(anchor) { (label) } }
}

/// Growth: statements, rows and time at each scale, as multiples of the smallest, both axes
/// logarithmic; a flat line does not grow, the grey diagonal grows as the data does.
pub(super) fn growth(probes: &[ProbeReport]) -> Markup {
    let page = probes.iter().map(|probe| probe.page_size).max().flatten();
    let points: Vec<&ProbeReport> = probes
        .iter()
        .filter(|probe| probe.page_size == page)
        .collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return html! {};
    };
    let span = last.scale as f64 / first.scale.max(1) as f64;
    let series = [
        (
            "statements",
            points
                .iter()
                .map(|p| p.statements as f64)
                .collect::<Vec<_>>(),
            1.0,
        ),
        (
            "rows",
            points
                .iter()
                .map(|p| p.rows_fetched.unwrap_or(0) as f64)
                .collect(),
            1.0,
        ),
        (
            "database time",
            points.iter().map(|p| p.database_ms).collect(),
            crate::audit::TIME_FLOOR_MS,
        ),
    ];
    let rows_known = points.iter().all(|point| point.rows_fetched.is_some());
    let factors: Vec<(&str, Vec<f64>)> = series
        .into_iter()
        .filter(|(name, ..)| rows_known || *name != "rows")
        .map(|(name, values, floor)| {
            let base = values.first().copied().unwrap_or(floor).max(floor);
            (
                name,
                values.iter().map(|value| value.max(floor) / base).collect(),
            )
        })
        .collect();
    let all = || {
        factors
            .iter()
            .flat_map(|(_, values)| values.iter().copied())
    };
    let low = all().fold(1.0f64, f64::min).min(0.7);
    let high = all().fold(span, f64::max).max(2.0);
    let x = LogAxis::new(first.scale as f64, last.scale as f64, 52.0, WIDTH - 118.0);
    let y = LogAxis::new(low, high, HEIGHT - BOTTOM, 10.0);
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Growth of statements, rows and time with the number of rows, as multiples of the smallest scale" {
            @for tick in y.ticks() {
                line.axis x1="52" y1=(px(y.at(tick))) x2=(WIDTH - 118.0) y2=(px(y.at(tick))) {}
                text x="46" y=(px(y.at(tick) + 4.0)) text-anchor="end" { (trimmed(tick)) "×" }
            }
            @for point in &points {
                text x=(px(x.at(point.scale as f64))) y=(HEIGHT - 8.0) text-anchor="middle" { (thousands(point.scale)) }
            }
            line.mark x1=(px(x.at(first.scale as f64))) y1=(px(y.at(1.0))) x2=(px(x.at(last.scale as f64))) y2=(px(y.at(span))) {}
            text x=(px(x.at(last.scale as f64) + 8.0)) y=(px(y.at(span) + 4.0)) { "as the data" }
            @for (index, (name, values)) in factors.iter().enumerate() {
                @let path: Vec<String> = points.iter().zip(values).map(|(point, value)| {
                    format!("{},{}", px(x.at(point.scale as f64)), px(y.at(*value)))
                }).collect();
                path class={ "s" (index) } d={ "M" (path.join(" L")) } {}
                @for (point, value) in points.iter().zip(values) {
                    circle class={ "s" (index) } cx=(px(x.at(point.scale as f64))) cy=(px(y.at(*value))) r="3" {
                        title { (name) ": " (significant(*value)) " times at " (thousands(point.scale)) " rows" }
                    }
                }
            }
            @for (index, name, at) in labels(&factors, y) {
                text class={ "s" (index) } x=(px(x.at(last.scale as f64) + 8.0)) y=(px(at + 4.0)) { (name) }
            }
        }
    }
}

/// The names of the series beside their last points, moved apart where they would overlap.
fn labels<'a>(factors: &[(&'a str, Vec<f64>)], y: LogAxis) -> Vec<(usize, &'a str, f64)> {
    let mut labels: Vec<(usize, &str, f64)> = factors
        .iter()
        .enumerate()
        .map(|(index, (name, values))| (index, *name, y.at(values.last().copied().unwrap_or(1.0))))
        .collect();
    labels.sort_by(|a, b| b.2.total_cmp(&a.2));
    for index in 1..labels.len() {
        labels[index].2 = labels[index].2.min(labels[index - 1].2 - 13.0);
    }
    labels
}

/// One request: each statement and each use of the cache as a bar from its start to its end. One that
/// runs more than a few times has one line with all its bars, so that a loop is seen at once.
pub(super) fn waterfall(waterfall: &Waterfall, statements: &[StatementReport]) -> Markup {
    const ROW: f64 = 19.0;
    const WIDE: f64 = 1160.0;
    const TEXT: f64 = 430.0;
    let marks = marks(waterfall, statements);
    let lanes = lanes(&marks);
    let end = marks
        .iter()
        .map(Mark::end_ms)
        .fold(waterfall.total_ms, f64::max)
        .max(1e-3);
    let scale = (WIDE - TEXT - 170.0) / end;
    let height = ROW * (lanes.len() as f64 + 1.0) + 10.0;
    html! {
        svg viewBox={ "0 0 " (WIDE) " " (height) } role="img" aria-label=(waterfall_label(waterfall)) {
            rect x=(TEXT) y="3" width=(px(waterfall.total_ms * scale)) height="10" rx="2" fill="var(--line)" {}
            text.strong x="0" y="12" { "request" }
            text x=(px(TEXT + waterfall.total_ms * scale + 6.0)) y="12" { (significant(waterfall.total_ms)) " ms" }
            @for (index, lane) in lanes.iter().enumerate() {
                @let y = ROW * (index as f64 + 1.0);
                text x="0" y=(px(y + 12.0)) { (shortened(&lane[0].text, 66)) }
                @for mark in lane {
                    rect class=(mark.class) x=(px(TEXT + mark.start_ms * scale)) y=(px(y + 3.0)) width=(px((mark.duration_ms * scale).max(1.5))) height="10" rx="2" {
                        title {
                            (significant(mark.start_ms)) " ms + " (significant(mark.duration_ms)) " ms"
                            @if let Some(function) = mark.function { ", " (function) }
                        }
                    }
                }
                text x=(px(TEXT + lane_end(lane) * scale + 6.0)) y=(px(y + 12.0)) { (lane_label(lane)) }
            }
        }
    }
}

/// What the picture shows, for those who do not see it.
fn waterfall_label(waterfall: &Waterfall) -> &'static str {
    match waterfall.cache.is_empty() {
        true => "Statements of one request in time",
        false => "Statements and uses of the cache of one request in time",
    }
}

/// One bar: a statement or a use of the cache.
struct Mark<'a> {
    /// What is the same for all bars of a loop.
    key: Key<'a>,
    text: String,
    class: &'static str,
    start_ms: f64,
    duration_ms: f64,
    result: Outcome<'a>,
    function: Option<&'a str>,
}

#[derive(PartialEq)]
enum Key<'a> {
    Statement(&'a str),
    Cache(&'a str, &'a str, Option<&'a str>),
}

/// What came of it.
enum Outcome<'a> {
    Rows(Option<u64>),
    Cache(&'a str),
}

impl Mark<'_> {
    fn end_ms(&self) -> f64 {
        self.start_ms + self.duration_ms
    }
}

/// All bars in order of their start; a read of the cache stands before what it loads.
fn marks<'a>(waterfall: &'a Waterfall, statements: &'a [StatementReport]) -> Vec<Mark<'a>> {
    let text = |fingerprint: &'a str| {
        let statement = statements
            .iter()
            .find(|each| each.fingerprint == fingerprint);
        one_line(statement.map_or(fingerprint, |each| each.text.as_str()))
    };
    let used = waterfall.cache.iter().map(|bar| Mark {
        key: Key::Cache(&bar.cache, &bar.operation, bar.group.as_deref()),
        text: match &bar.group {
            Some(group) => format!("cache {} of {}/{group}", bar.operation, bar.cache),
            None => format!("cache {} in {}", bar.operation, bar.cache),
        },
        class: "cached",
        start_ms: bar.start_ms,
        duration_ms: bar.duration_ms,
        result: Outcome::Cache(&bar.outcome),
        function: bar.function.as_deref(),
    });
    let ran = waterfall.bars.iter().map(|bar| Mark {
        key: Key::Statement(&bar.fingerprint),
        text: text(&bar.fingerprint),
        class: "bars",
        start_ms: bar.start_ms,
        duration_ms: bar.duration_ms,
        result: Outcome::Rows(bar.rows),
        function: bar.function.as_deref(),
    });
    let mut marks: Vec<Mark<'_>> = used.chain(ran).collect();
    marks.sort_by(|a, b| a.start_ms.total_cmp(&b.start_ms));
    marks
}

/// The bars of each line, in the order of their first start.
fn lanes<'m, 'a>(marks: &'m [Mark<'a>]) -> Vec<Vec<&'m Mark<'a>>> {
    /// Up to so many executions are told apart line by line.
    const FEW: usize = 5;
    let mut lanes: Vec<Vec<&Mark<'_>>> = Vec::new();
    for mark in marks {
        let same = |other: &&Mark<'_>| other.key == mark.key;
        let looped = marks.iter().filter(same).count() > FEW;
        match lanes
            .iter_mut()
            .find(|lane| looped && lane[0].key == mark.key)
        {
            Some(lane) => lane.push(mark),
            None => lanes.push(vec![mark]),
        }
    }
    lanes
}

fn lane_end(lane: &[&Mark<'_>]) -> f64 {
    lane.iter().map(|mark| mark.end_ms()).fold(0.0, f64::max)
}

fn lane_label(lane: &[&Mark<'_>]) -> String {
    let times = match lane.len() {
        1 => String::new(),
        many => format!("{many} times, "),
    };
    let total: f64 = lane.iter().map(|mark| mark.duration_ms).sum();
    format!("{times}{} ms{}", significant(total), results(lane))
}

/// The rows of a line, if all are known; or the different outcomes of a line of the cache.
fn results(lane: &[&Mark<'_>]) -> String {
    let mut rows = Some(0);
    let mut outcomes: Vec<&str> = Vec::new();
    for mark in lane {
        match mark.result {
            Outcome::Rows(more) => rows = rows.zip(more).map(|(rows, more)| rows + more),
            Outcome::Cache(outcome) if !outcomes.contains(&outcome) => outcomes.push(outcome),
            Outcome::Cache(_) => {}
        }
    }
    match (rows, outcomes.is_empty()) {
        (_, false) => format!(", {}", outcomes.join(", ")),
        (Some(rows), true) => format!(", {}", counted(rows, "row")),
        (None, true) => String::new(),
    }
}

/// A coordinate to a tenth of a pixel, so that equal reports are equal files.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// A tick without needless digits.
fn trimmed(value: f64) -> String {
    if value >= 1.0 {
        thousands(value.round() as u64)
    } else {
        format!("{value}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Bar, CacheBar};

    fn bar(fingerprint: &str, start_ms: f64) -> Bar {
        Bar {
            start_ms,
            duration_ms: 0.5,
            rows: Some(1),
            fingerprint: fingerprint.to_owned(),
            function: None,
        }
    }

    #[test]
    fn a_loop_has_one_line_and_a_few_executions_have_one_each() {
        let mut bars = vec![bar("list", 0.0), bar("few", 1.0), bar("few", 2.0)];
        bars.extend((0..50).map(|at| bar("loop", 3.0 + f64::from(at))));
        let one = Waterfall {
            total_ms: 60.0,
            bars,
            cache: Vec::new(),
        };
        let marks = marks(&one, &[]);
        let lanes = lanes(&marks);
        assert_eq!(
            lanes.iter().map(Vec::len).collect::<Vec<_>>(),
            [1, 1, 1, 50]
        );
        assert_eq!(lane_label(&lanes[3]), "50 times, 25.0 ms, 50 rows");
        assert_eq!(lane_label(&lanes[0]), "0.500 ms, 1 row");
    }

    #[test]
    fn uses_of_the_cache_stand_beside_the_statements_that_they_run() {
        let read = |start_ms: f64, outcome: &str| CacheBar {
            start_ms,
            duration_ms: 0.7,
            cache: "deals".to_owned(),
            operation: "read".to_owned(),
            group: Some("share".to_owned()),
            outcome: outcome.to_owned(),
            function: None,
        };
        let mut cache = vec![read(1.0, "load")];
        cache.extend((0..6).map(|at| read(5.0 + f64::from(at), "memory")));
        let one = Waterfall {
            total_ms: 12.0,
            bars: vec![bar("first", 0.0), bar("loaded", 1.0)],
            cache,
        };
        let marks = marks(&one, &[]);
        let shown: Vec<String> = lanes(&marks)
            .iter()
            .map(|lane| format!("{}: {}", lane[0].text, lane_label(lane)))
            .collect();
        assert_eq!(
            shown,
            [
                "first: 0.500 ms, 1 row",
                "cache read of deals/share: 7 times, 4.90 ms, load, memory",
                "loaded: 0.500 ms, 1 row",
            ]
        );
        assert!(
            waterfall(&one, &[])
                .into_string()
                .contains("uses of the cache")
        );
    }

    #[test]
    fn a_logarithmic_axis_puts_its_ends_at_its_ends() {
        let axis = LogAxis::new(1.0, 1000.0, 10.0, 310.0);
        assert_eq!((axis.at(1.0), axis.at(1000.0)), (10.0, 310.0));
        assert!((axis.at(10.0) - 110.0).abs() < 1e-9);
        assert_eq!(
            axis.at(0.0),
            10.0,
            "what is below the axis lies on its edge"
        );
    }
}
