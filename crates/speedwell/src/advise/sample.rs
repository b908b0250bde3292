//! Advice with some of everything, for tests.

use std::time::Duration;

use speedwell_plan::{
    Advice, AdvisedIndex, Bought, Figures, Judged, Needless, NeedlessIndex, Refused, Rewrite,
    RewriteKind, RewriteOutcome, RowPrice, Times, Verdict,
};
use speedwell_sql::Dialect;

pub(super) fn advice() -> Advice {
    let good = figures(3.0, 0.02);
    Advice {
        dialect: Dialect::Postgres,
        statements: vec![
            judged(
                "feed",
                Verdict::Improved,
                Some((figures(4167.0, 21.8), figures(5.5, 0.05))),
            ),
            judged(
                "search",
                Verdict::Improved,
                Some((figures(4167.0, 78.4), figures(17.0, 0.19))),
            ),
            judged("one flyer", Verdict::AlreadyGood, Some((good, good))),
            judged(
                "broken",
                Verdict::Cannot("column \"x\" does not exist".to_owned()),
                None,
            ),
        ],
        indexes: vec![created_at(), title()],
        needless: vec![NeedlessIndex {
            index: "flyers_a".to_owned(),
            table: "flyers".to_owned(),
            why: Needless::Prefix,
            beside: Some("flyers_a_b".to_owned()),
        }],
        rewrites: vec![
            Rewrite {
                sql: "SELECT id FROM flyers WHERE (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $1".to_owned(),
                outcome: RewriteOutcome::Proved,
                tried_on: "the page behind 10000 rows".to_owned(),
                before: Some(figures(9871.0, 12.4)),
                after: Some(figures(5.5, 0.05)),
                ..rewrite("page")
            },
            rewrite("report"),
        ],
        tried: 4,
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
        estimated: None,
        executed: 31,
        times: Times {
            copy: Duration::from_millis(500),
            build: Duration::from_millis(100),
            draft: Duration::ZERO,
            choose: Duration::from_millis(200),
            all: Duration::from_millis(900),
        },
    }
}

fn created_at() -> AdvisedIndex {
    let bought = Bought {
        statement: "feed".to_owned(),
        without: figures(4167.0, 21.8),
        with: figures(5.5, 0.05),
    };
    AdvisedIndex {
        insert: Some(price(3.02, 1.4)),
        update: Some(price(3.5, 1.9)),
        ..index(
            "flyers_created_at_idx",
            "(created_at DESC) WHERE state = 'live'",
            bought,
        )
    }
}

fn title() -> AdvisedIndex {
    let bought = Bought {
        statement: "search".to_owned(),
        without: figures(4167.0, 78.4),
        with: figures(17.0, 0.19),
    };
    index(
        "\"flyers_Title_idx\"",
        "USING gin (\"Title\" gin_trgm_ops)",
        bought,
    )
}

fn index(name: &str, body: &str, bought: Bought) -> AdvisedIndex {
    let definition = format!("flyers {body}");
    AdvisedIndex {
        name: name.trim_matches('"').to_owned(),
        table: "flyers".to_owned(),
        ddl: format!("CREATE INDEX {name} ON {definition}"),
        up: format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}"),
        down: format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
        definition,
        bytes: 2_300_000,
        buys: vec![bought],
        insert: None,
        update: None,
        delete: None,
    }
}

fn price(pages: f64, micros: f64) -> RowPrice {
    RowPrice { pages, micros }
}

/// One that came to nothing.
fn rewrite(statement: &str) -> Rewrite {
    Rewrite {
        statement: statement.to_owned(),
        kind: RewriteKind::Keyset,
        sql: String::new(),
        prepare: Vec::new(),
        undo: Vec::new(),
        insert: None,
        update: None,
        delete: None,
        outcome: RewriteOutcome::Cannot("its outputs look across rows".to_owned()),
        tried_on: String::new(),
        before: None,
        after: None,
        statements: 1,
    }
}

/// A search of SQLite that needs a table of its own.
pub(super) fn full_text(statement: &str) -> Rewrite {
    let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Rewrite {
        kind: RewriteKind::FullText,
        sql: "SELECT id FROM notes WHERE id IN (SELECT rowid FROM notes_fts WHERE body LIKE $1)"
            .to_owned(),
        prepare: strings(&[
            "CREATE VIRTUAL TABLE notes_fts USING fts5(body)",
            "CREATE TRIGGER notes_fts_insert AFTER INSERT ON notes BEGIN SELECT 1; END",
        ]),
        undo: strings(&[
            "DROP TRIGGER IF EXISTS notes_fts_insert",
            "DROP TABLE IF EXISTS notes_fts",
        ]),
        insert: Some(price(4.0, 12.5)),
        delete: Some(price(3.0, 9.0)),
        outcome: RewriteOutcome::Proved,
        tried_on: "6 choices of values".to_owned(),
        before: Some(figures(900.0, 12.0)),
        after: Some(figures(30.0, 0.4)),
        ..rewrite(statement)
    }
}

fn figures(pages: f64, millis: f64) -> Figures {
    Figures {
        pages,
        trigger_pages: 0.0,
        millis,
    }
}

fn judged(name: &str, verdict: Verdict, figures: Option<(Figures, Figures)>) -> Judged {
    let (before, after) = figures.unzip();
    Judged {
        name: name.to_owned(),
        verdict,
        before,
        after,
        values: 6,
    }
}
