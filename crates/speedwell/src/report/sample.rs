//! A small report of every kind of line, for tests of what is shown.

use std::collections::BTreeMap;

use speedwell_plan::{Figures, Refused, RewriteKind, RewriteOutcome};
use speedwell_trace::{FindingKind, Proof};

use super::*;

fn latency(p95_ms: f64) -> Latency {
    Latency {
        samples: 1000,
        p50_ms: p95_ms / 3.0,
        p95_ms,
        p99_ms: p95_ms * 1.7,
        max_ms: p95_ms * 2.5,
        p95_low_ms: p95_ms * 0.9,
        p95_high_ms: Some(p95_ms * 1.1),
        service_p95_ms: p95_ms * 0.98,
        requests_per_s: 16.7,
        errors: BTreeMap::new(),
        error_sample: None,
        histogram: (0..12)
            .map(|step| Bucket {
                from_ms: p95_ms * 0.1 * f64::from(step + 1),
                up_to_ms: p95_ms * 0.1 * f64::from(step + 2),
                count: [3, 20, 90, 210, 260, 190, 110, 60, 30, 17, 8, 2][step as usize],
            })
            .collect(),
    }
}

fn probes(statements: [u64; 2], rows: u64, growth: f64) -> Vec<ProbeReport> {
    let mut probes = Vec::new();
    for (at, scale) in [1000u64, 10_000, 100_000].into_iter().enumerate() {
        for (page, page_size) in [10u64, 50].into_iter().enumerate() {
            probes.push(ProbeReport {
                scale,
                page_size: Some(page_size),
                statements: statements[page],
                rows_fetched: Some(rows * page_size),
                rows_answered: 2 * page_size,
                body_bytes: Some(700 * page_size),
                database_ms: 0.4 * 10f64.powf(growth * at as f64),
                total_ms: 0.9 * 10f64.powf(growth * at as f64),
            });
        }
    }
    probes
}

/// A route that passes and one that does not.
pub(crate) fn sample() -> Report {
    let exponents = |time| Exponents {
        statements: Some(0.0),
        rows: Some(0.0),
        time: Some(time),
    };
    let feed = RouteReport {
        name: "feed".to_owned(),
        route: "GET /api/v1/flyers/feed/".to_owned(),
        verdict: Verdict::Within,
        reasons: Vec::new(),
        budget: Budget {
            p95_ms: Some(200.0),
            statements: Some(3),
            source: Some("seed 000: feed with 1000+ flyers < 200 ms".to_owned()),
            ..Budget::default()
        },
        requests: 1000,
        errors: BTreeMap::new(),
        latency: Some(latency(4.82)),
        skipped: 0,
        probes: probes([3, 3], 2, 0.02),
        growth: Growth {
            by_scale: exponents(0.02),
            by_page: exponents(0.4),
        },
        plan: "flyers by flyers_feed; flyer_images by flyer_images_flyer".to_owned(),
        waterfall: Waterfall {
            total_ms: 1.9,
            bars: vec![
                Bar {
                    start_ms: 0.2,
                    duration_ms: 0.6,
                    rows: Some(50),
                    fingerprint: "a1".to_owned(),
                    function: Some("feed::page".to_owned()),
                },
                Bar {
                    start_ms: 0.9,
                    duration_ms: 0.5,
                    rows: Some(50),
                    fingerprint: "b2".to_owned(),
                    function: None,
                },
            ],
            cache: vec![CacheBar {
                start_ms: 0.1,
                duration_ms: 1.5,
                cache: "flyers".to_owned(),
                operation: "read".to_owned(),
                group: Some("feed".to_owned()),
                outcome: "load".to_owned(),
                function: Some("feed::page".to_owned()),
            }],
        },
        cache: Some(CacheReport {
            requests: 18,
            hits: 15,
            misses: 3,
            changes: 0,
        }),
    };
    let reviews = RouteReport {
        name: "reviews".to_owned(),
        route: "GET /items/{id}/reviews".to_owned(),
        verdict: Verdict::Over,
        reasons: vec![
            "p95 310.0 ms is over 200 ms".to_owned(),
            "findings: n_plus_one".to_owned(),
        ],
        requests: 1000,
        errors: BTreeMap::new(),
        latency: Some(latency(310.0)),
        probes: probes([11, 51], 1, 0.9),
        growth: Growth {
            by_scale: exponents(0.9),
            by_page: Exponents {
                statements: Some(0.95),
                rows: Some(1.0),
                time: Some(1.0),
            },
        },
        budget: Budget {
            p95_ms: Some(200.0),
            bytes_per_row: Some(400.0),
            ..Budget::default()
        },
        plan: "items by primary key; authors by primary key".to_owned(),
        ..feed.clone()
    };
    Report {
        version: VERSION,
        kind: Kind::Audit,
        service: "shop".to_owned(),
        database: "SQLite 3.51.3".to_owned(),
        config: "speedwell.toml".to_owned(),
        verdict: Verdict::Over,
        scales: vec![1000, 10_000, 100_000],
        probes: 5,
        load: Some(LoadReport {
            target: None,
            interrupted: false,
            scale: 100_000,
            users: 100,
            rate: None,
            ramp_s: 10.0,
            steady_s: 60.0,
            requests: 3120,
            requests_per_s: 50.1,
            errors: 0,
            client_cpu_share: 0.021,
            client_lateness_p99_ms: 0.4,
            open_at_end: 0,
        }),
        routes: vec![feed, reviews],
        findings: vec![looped()],
        suppressed: vec![SuppressedReport {
            kind: FindingKind::NPlusOne,
            route: "GET /api/v1/flyers/feed/".to_owned(),
            statement: "SELECT path FROM flyer_images WHERE flyer_id IN (SELECT value FROM json_each($1))".to_owned(),
            count: 1,
            reason: "a batch".to_owned(),
        }],
        statements: vec![
            StatementReport {
                fingerprint: "a1".to_owned(),
                text: "SELECT id, title FROM flyers WHERE is_active ORDER BY created_at DESC LIMIT $1".to_owned(),
                routes: vec!["feed".to_owned()],
                plan: "SCAN flyers USING INDEX flyers_feed".to_owned(),
                sampled: vec![],
                time_ms: vec![ScaleTime { scale: 1000, median_ms: 0.4 }, ScaleTime { scale: 100_000, median_ms: 0.5 }],
            },
            StatementReport {
                fingerprint: "b2".to_owned(),
                text: "SELECT name FROM authors WHERE id = $1".to_owned(),
                routes: vec!["reviews".to_owned()],
                plan: "SEARCH authors USING INTEGER PRIMARY KEY (rowid=?)".to_owned(),
                sampled: vec![],
                time_ms: vec![],
            },
        ],
        warnings: vec!["2 probed requests were answered but never reported by the service; their statements are not counted.".to_owned()],
        advice: Some(advice()),
    }
}

/// A loop.
fn looped() -> FindingReport {
    FindingReport {
        id: "00c0ffee00c0ffee".to_owned(),
        kind: FindingKind::NPlusOne,
        proof: Proof::Proved,
        route: "GET /items/{id}/reviews".to_owned(),
        name: "reviews".to_owned(),
        summary: "One statement ran 50 times, once per row of the statement before it.".to_owned(),
        fingerprint: Some("b2".to_owned()),
        statement: Some("SELECT name FROM authors WHERE id = $1".to_owned()),
        parent: Some("SELECT id, author_id FROM reviews WHERE item_id = $1 LIMIT $2".to_owned()),
        tables: vec!["authors".to_owned()],
        site: Some("shop::reviews::author (src/reviews.rs:41)".to_owned()),
        evidence: vec!["It ran 10 times for a page of 10 and 50 times for a page of 50.".to_owned()],
        cost_ms: 12.3,
        cost_statements: 49,
        cost_rows: 0,
        remedy: "Read them in one statement: SELECT id, name FROM authors WHERE id IN (SELECT value FROM json_each($1))".to_owned(),
        untried: None,
    }
}

/// One index and one rewrite that help.
fn advice() -> AdviceReport {
    let tried = |before, after, before_ms, after_ms| Tried {
        before,
        after,
        before_ms,
        after_ms,
    };
    let after = |name: &str, before, p95_after_ms| RouteAfter {
        name: name.to_owned(),
        before,
        after: Verdict::Within,
        p95_before_ms: Some(612.0),
        p95_after_ms,
        reasons: Vec::new(),
        findings: Vec::new(),
    };
    AdviceReport {
        unit: "steps".to_owned(),
        indexes: vec![IndexAdvice {
            name: "flyers_created_at_9c1d_idx".to_owned(),
            table: "flyers".to_owned(),
            ddl: "CREATE INDEX flyers_created_at_9c1d_idx ON flyers (created_at DESC) WHERE is_active".to_owned(),
            bytes: 2_300_000,
            from_scale: 10_000,
            buys: vec![("a1".to_owned(), tried(98_712.0, 41.2, 91.3, 0.05))],
            insert_micros: Some(1.4),
            update_micros: Some(2.05),
            delete_micros: None,
        }],
        rewrites: vec![RewriteAdvice {
            fingerprint: "b2".to_owned(),
            kind: RewriteKind::Batch,
            sql: "SELECT id, name FROM authors WHERE id IN (SELECT value FROM json_each($1))".to_owned(),
            prepare: Vec::new(),
            undo: Vec::new(),
            insert_micros: None,
            update_micros: None,
            delete_micros: None,
            outcome: RewriteOutcome::Proved,
            tried_on: "20 values".to_owned(),
            statements: 20,
            tried: Some(tried(8.4, 7.9, 0.4, 0.05)),
        }],
        needless: vec![NeedlessAdvice {
            index: "flyers_a".to_owned(),
            table: "flyers".to_owned(),
            why: "flyers_a on flyers: flyers_a_b begins with its columns".to_owned(),
        }],
        statements: vec![StatementAdvice {
            fingerprint: "a1".to_owned(),
            verdict: speedwell_plan::Verdict::Improved,
            tried: Some(tried(98_712.0, 41.2, 91.3, 0.05)),
        }],
        refused: vec![Refused {
            index: "flyers (title)".to_owned(),
            statement: "feed".to_owned(),
            without: Some(Figures {
                pages: 40.0,
                trigger_pages: 0.0,
                millis: 0.5,
            }),
            with: Some(Figures {
                pages: 4000.0,
                trigger_pages: 0.0,
                millis: 15.0,
            }),
        }],
        flips: vec!["An index on flyers (is_active) helps at 1000 rows and no longer at 100000: it is not advised.".to_owned()],
        indexes_tried: 7,
        executions: 41,
        routes: vec![
            after("feed", Verdict::Within, Some(12.1)),
            after("reviews", Verdict::Over, Some(48.0)),
            RouteAfter {
                after: Verdict::Over,
                reasons: vec!["findings: full_scan".to_owned()],
                findings: vec![FindingReport {
                    kind: FindingKind::FullScan,
                    statement: Some("SELECT count(*)\nFROM flyers\nWHERE title LIKE $1".to_owned()),
                    evidence: vec!["The plan says: SCAN flyers.".to_owned()],
                    ..looped()
                }],
                ..after("search", Verdict::Over, Some(24.1))
            },
        ],
        note: None,
    }
}

/// The same service under load alone, with one route that fails now and then.
pub(crate) fn loaded() -> Report {
    let mut report = sample();
    report.kind = Kind::Load;
    report.database = String::new();
    report.scales = Vec::new();
    report.probes = 0;
    report.findings = Vec::new();
    report.suppressed = Vec::new();
    report.statements = Vec::new();
    report.warnings = Vec::new();
    report.advice = None;
    for route in &mut report.routes {
        route.probes = Vec::new();
        route.growth = Growth::default();
        route.plan = String::new();
        route.waterfall = Waterfall::default();
        route.cache = None;
        route.budget = Budget {
            p95_ms: route.budget.p95_ms,
            errors: Some(0),
            ..Budget::default()
        };
    }
    if let Some(load) = &mut report.load {
        load.target = Some("http://127.0.0.1:8080".to_owned());
        load.scale = 0;
        load.errors = 3;
    }
    let failing = &mut report.routes[1];
    failing.errors = BTreeMap::from([("5xx".to_owned(), 2), ("timeout".to_owned(), 1)]);
    failing.reasons = vec!["3 errors under load: 2 5xx, 1 timeout".to_owned()];
    report
}
