//! What must hold for any request.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use std::{sync::LazyLock, time::Duration};

use proptest::prelude::*;
use speedwell_trace::{
    Budget, CacheAction, CacheChange, CacheOperation, ChangeOutcome, Detectors, Dialect,
    ReadOutcome, Request, Site, Statement, Thresholds, Values, testing::complaint,
};
use support::{request, statement};

/// Texts that hit every rule, whole and broken.
const TEXTS: [&str; 20] = [
    "SELECT id, name FROM authors ORDER BY id LIMIT 20",
    "SELECT id FROM books WHERE author_id = $1",
    "SELECT id FROM books WHERE author_id = 7",
    "SELECT id FROM books WHERE author_id = ANY($1)",
    "SELECT COUNT(*) FROM books",
    "SELECT id FROM books LIMIT 20 OFFSET 5000",
    "SELECT id FROM books LIMIT 20 OFFSET $1",
    "SELECT id FROM books WHERE title LIKE '%a'",
    "SELECT * FROM books",
    "INSERT INTO tags (a, b) VALUES ($1, $2)",
    "INSERT INTO tags (a, b) VALUES ($1, $2), ($3, $4)",
    "UPDATE books SET title = $1 WHERE id = $2",
    "DELETE FROM tags WHERE id = $1",
    "BEGIN",
    "COMMIT",
    "PRAGMA foreign_keys = ON",
    "SELECT id FROM books WHERE (",
    "SELECT 'open",
    "",
    "ä $1 )) ; ?",
];

prop_compose! {
    fn any_statement()(
        text in prop_oneof![9 => prop::sample::select(&TEXTS[..]).prop_map(str::to_owned), 1 => "\\PC{0,40}"],
        micros in 0_u64..2_000_000,
        rows in prop::option::of(0_u64..2_000),
        seen in prop::option::of(prop::collection::vec(0_u64..4, 0..3)),
        function in prop::option::of(prop::sample::select(vec!["a::b", "c::d"])),
        dialect in prop::sample::select(vec![Dialect::Sqlite, Dialect::Postgres, Dialect::MySql]),
        failed in any::<bool>(),
    ) -> Statement {
        let made = statement(&text);
        let values = match seen {
            Some(hashes) if made.values == Values::Hidden => Values::Hashed(hashes.into()),
            _ => made.values.clone(),
        };
        Statement {
            duration: Duration::from_micros(micros),
            rows_returned: rows,
            site: function.map(|name| Site { function: name.into(), file: None, line: None }),
            values,
            dialect,
            failed,
            ..made
        }
    }
}

prop_compose! {
    fn any_operation()(
        read in prop::option::of(prop::sample::select(vec![
            ReadOutcome::Memory, ReadOutcome::Redis, ReadOutcome::Load, ReadOutcome::Failed,
        ])),
        key_hash in 0_u64..9,
        group in prop::sample::select(vec!["list", "share"]),
        micros in 0_u64..2_000,
        at_micros in 0_u64..20_000,
        function in prop::option::of(prop::sample::select(vec!["a::b", "c::d"])),
    ) -> CacheOperation {
        CacheOperation {
            cache: "deals".into(),
            action: match read {
                Some(outcome) => CacheAction::Read { group: group.into(), key_hash, outcome },
                None => CacheAction::Change {
                    change: CacheChange::Set,
                    names: key_hash,
                    outcome: ChangeOutcome::Told,
                },
            },
            offset: Duration::from_micros(at_micros),
            duration: Duration::from_micros(micros),
            site: function.map(|name| Site { function: name.into(), file: None, line: None }),
        }
    }
}

prop_compose! {
    fn any_request()(
        statements in prop::collection::vec(any_statement(), 0..40),
        cache in prop_oneof![Just(Vec::new()), prop::collection::vec(any_operation(), 0..40)],
        answered in prop::option::of(0_u64..50),
        dropped in 0_u64..3,
    ) -> Request {
        let mut made = statements.into_iter().fold(request("/any"), |made, one| made.run(one)).done();
        made.rows_answered = answered;
        made.statements_dropped = dropped;
        made.cache = cache;
        made
    }
}

static STANDARD: LazyLock<Detectors> = LazyLock::new(|| Detectors::standard(Thresholds::default()));

fn budget() -> Budget {
    Budget::new()
        .statements(3)
        .rows(100)
        .rows_per_row(2.0)
        .database_time(Duration::from_millis(50))
        .statement_time(Duration::from_millis(10))
}

proptest! {
    #[test]
    fn the_same_request_gives_the_same_answer(request in any_request()) {
        let fresh = Detectors::standard(Thresholds::default());
        for budget in [None, Some(&budget())] {
            let first = format!("{:?}", STANDARD.inspect(&request, budget));
            let again = format!("{:?}", fresh.inspect(&request, budget));
            prop_assert_eq!(first, again);
        }
    }

    #[test]
    fn a_finding_is_whole_and_its_id_is_its_own(request in any_request()) {
        let seen = STANDARD.inspect(&request, Some(&budget()));
        let mut ids = std::collections::HashSet::new();
        for finding in &seen.findings {
            prop_assert!(ids.insert(finding.id), "two findings of one id: {:#?}", finding);
            prop_assert!(finding.count >= 1);
            prop_assert!(finding.summary.ends_with('.'), "{}", finding.summary);
            prop_assert!(!finding.remedy.is_empty() && !finding.evidence.is_empty());
        }
        for left_out in &seen.suppressed {
            prop_assert!(!left_out.reason.is_empty());
        }
    }

    #[test]
    fn a_report_can_be_written_of_anything(request in any_request()) {
        let seen = STANDARD.inspect(&request, Some(&budget()));
        let complains = complaint(&budget(), &request, &seen).is_some();
        let answered_by_cache = !request.cache.is_empty() && request.cache_hits_and_misses().1 == 0;
        prop_assert_eq!(complains, request.statements.is_empty() && !answered_by_cache
            || !budget().breaches(&request).is_empty()
            || seen.findings.iter().any(|finding| finding.proof >= speedwell_trace::Proof::Likely));
    }

    #[test]
    fn stricter_thresholds_never_find_less(request in any_request()) {
        let strict = Detectors::standard(Thresholds::tests()).inspect(&request, None);
        for finding in STANDARD.inspect(&request, None).findings {
            prop_assert!(strict.findings.iter().any(|other| other.id == finding.id));
        }
    }
}
