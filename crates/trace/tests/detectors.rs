//! What every detector must find, and what it must leave alone, on requests made by hand.
#![allow(
    clippy::unwrap_used,
    reason = "a broken test may panic in its helpers too"
)]

mod support;

use std::time::Duration;

use speedwell_trace::{
    Budget, Detectors, Finding, FindingKind, Observation, Proof, Request, Statement, Thresholds,
    Values, detect::is_list_without_limit,
};
use support::{Made, request, statement};

const LIST: &str = "SELECT id, name FROM authors ORDER BY id LIMIT $1";
const CHILD: &str = "SELECT id, title FROM books WHERE author_id = $1";

fn look(made: Made) -> Observation {
    inspect(&made.done())
}

fn inspect(request: &Request) -> Observation {
    Detectors::standard(Thresholds::default()).inspect(request, None)
}

fn look_as_test(made: Made) -> Observation {
    Detectors::standard(Thresholds::tests()).inspect(&made.done(), None)
}

fn look_within(made: Made, budget: &Budget) -> Observation {
    Detectors::standard(Thresholds::default()).inspect(&made.done(), Some(budget))
}

fn find(seen: &Observation, kind: FindingKind) -> Option<&Finding> {
    seen.findings.iter().find(|finding| finding.kind == kind)
}

fn only(seen: &Observation, kind: FindingKind) -> &Finding {
    assert_eq!(seen.findings.len(), 1, "{:#?}", seen.findings);
    find(seen, kind).unwrap_or_else(|| panic!("{:#?}", seen.findings))
}

fn reason(seen: &Observation, kind: FindingKind) -> &str {
    &seen
        .suppressed
        .iter()
        .find(|left_out| left_out.kind == kind)
        .unwrap()
        .reason
}

#[test]
fn in_nested_loops_the_inner_read_is_driven_by_the_one_around_it() {
    let outer = "SELECT id, title FROM books WHERE author_id = $1 ORDER BY id LIMIT 3";
    let inner = "SELECT name FROM publishers WHERE id = $1";
    let seen = look(request("/authors").read(LIST, 20).each(20, |made, _| {
        made.read(outer, 3).each(3, |made, _| made.read(inner, 1))
    }));
    let parent_of = |table: &str| {
        let finding = seen
            .findings
            .iter()
            .find(|each| each.statement.contains(table))
            .unwrap();
        finding.parent.clone().unwrap()
    };
    assert_eq!(&*parent_of("FROM publishers"), outer);
    assert_eq!(&*parent_of("FROM books"), LIST);
}

#[test]
fn two_reads_per_row_are_both_driven_by_the_list() {
    let other = "SELECT name FROM publishers WHERE id = $1";
    let seen = look(
        request("/authors")
            .read(LIST, 20)
            .each(20, |made, _| made.read(CHILD, 1).read(other, 1)),
    );
    assert_eq!(seen.findings.len(), 2);
    assert!(
        seen.findings
            .iter()
            .all(|each| each.parent.as_deref() == Some(LIST))
    );
}

#[test]
fn a_read_per_row_with_hidden_values_is_a_likely_n_plus_one() {
    let seen = look(
        request("/authors")
            .read(LIST, 20)
            .each(20, |made, _| made.read(CHILD, 3)),
    );
    let finding = only(&seen, FindingKind::NPlusOne);
    assert_eq!(finding.proof, Proof::Likely);
    assert_eq!(finding.count, 20);
    assert_eq!(finding.cost.statements, 19);
    assert_eq!(finding.cost.time, Duration::from_millis(10));
    assert_eq!(finding.parent.as_deref(), Some(LIST));
    insta::assert_snapshot!(finding.summary, @"One read of books ran 20 times in one request, after a read that returned 20 rows, 10.0 ms in all.");
    insta::assert_snapshot!(finding.evidence.join("\n"), @"
    20 executions of one statement. The values are hidden: if they are all equal, this is one read repeated 20 times, which one read mends as well.
    Before them, this returned 20 rows: SELECT id, name FROM authors ORDER BY id LIMIT $1
    ");
    insta::assert_snapshot!(finding.remedy, @"
    Read all of them at once and hand the rows out by author_id (now selected too):
    SELECT author_id, id, title
    FROM books WHERE author_id = ANY($1)
    ");
}

#[test]
fn a_read_per_row_with_seen_values_counts_the_different_ones() {
    let seen = look(
        request("/authors")
            .read(LIST, 5)
            .each(5, |made, i| made.read_with(CHILD, i)),
    );
    let finding = only(&seen, FindingKind::NPlusOne);
    assert!(
        finding.evidence[0].contains("5 different values"),
        "{:?}",
        finding.evidence
    );
}

#[test]
fn four_different_values_are_not_yet_a_loop_but_two_are_in_a_test() {
    let made = || {
        request("/")
            .read(LIST, 4)
            .each(4, |made, i| made.read_with(CHILD, i))
    };
    let seen = look(made());
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
    assert!(reason(&seen, FindingKind::NPlusOne).contains("only 4 different values"));
    only(&look_as_test(made()), FindingKind::NPlusOne);
}

#[test]
fn in_a_test_two_hidden_reads_after_a_list_of_two_are_a_loop_but_two_reads_by_id_are_not() {
    only(
        &look_as_test(request("/").read(LIST, 2).read(CHILD, 3).read(CHILD, 3)),
        FindingKind::NPlusOne,
    );
    let person = "SELECT id, name FROM people WHERE id = $1";
    let seen = look_as_test(request("/").read(person, 1).read(person, 1));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
}

#[test]
fn literals_in_the_text_are_values() {
    let seen = look(request("/").read(LIST, 6).each(6, |made, i| {
        made.read(
            &format!("SELECT id, title FROM books WHERE author_id = {i}"),
            3,
        )
    }));
    let finding = only(&seen, FindingKind::NPlusOne);
    assert!(
        !finding.statement.contains('3'),
        "a user's value is shown: {}",
        finding.statement
    );
}

#[test]
fn a_loop_that_runs_slowly_is_a_loop() {
    let mut slow = request("/")
        .read(LIST, 6)
        .each(6, |made, i| made.read_with(CHILD, i))
        .done();
    for (place, statement) in slow.statements.iter_mut().enumerate() {
        statement.offset = Duration::from_secs(place as u64);
    }
    only(&inspect(&slow), FindingKind::NPlusOne);
}

#[test]
fn nested_loops_are_one_finding_per_statement() {
    let inner = "SELECT id, page FROM pages WHERE book_id = $1";
    let seen = look(request("/").read(LIST, 5).each(5, |made, _| {
        made.read(CHILD, 3)
            .read(inner, 1)
            .read(inner, 1)
            .read(inner, 1)
    }));
    assert_eq!(seen.findings.len(), 2);
    let books = seen
        .findings
        .iter()
        .find(|finding| &*finding.statement == CHILD)
        .unwrap();
    assert_eq!((books.count, books.parent.as_deref()), (5, Some(LIST)));
    let pages = seen
        .findings
        .iter()
        .find(|finding| &*finding.statement == inner)
        .unwrap();
    assert_eq!(pages.count, 15);
}

#[test]
fn executions_without_a_site_join_those_with_one() {
    let seen = look(
        request("/")
            .read(LIST, 6)
            .each(3, |made, _| made.read_in(CHILD, "library::books"))
            .each(3, |made, _| made.read(CHILD, 3)),
    );
    let finding = only(&seen, FindingKind::NPlusOne);
    assert_eq!(finding.count, 6);
    assert_eq!(
        finding.site.as_ref().map(|site| &*site.function),
        Some("library::books")
    );
}

#[test]
fn two_functions_that_share_a_statement_are_judged_apart() {
    let seen = look(
        request("/")
            .each(3, |made, _| made.read_in(CHILD, "a"))
            .each(3, |made, _| made.read_in(CHILD, "b")),
    );
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
}

#[test]
fn a_batch_is_no_loop() {
    let seen = look(request("/").each(6, |made, i| {
        made.read_with("SELECT id, title FROM books WHERE author_id = ANY($1)", i)
    }));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
    assert!(reason(&seen, FindingKind::NPlusOne).contains("batch"));
    let in_text = |made: Made, i: u64| {
        made.read(
            &format!(
                "SELECT title FROM books WHERE author_id IN ({i}, {})",
                i + 50
            ),
            6,
        )
    };
    assert!(look(request("/").each(6, in_text)).findings.is_empty());
}

#[test]
fn a_list_of_constants_does_not_make_a_loop_a_batch() {
    let text = "SELECT id FROM books WHERE author_id = $1 AND kind IN ('novel', 'essay')";
    only(
        &look(request("/").each(6, |made, i| made.read_with(text, i))),
        FindingKind::NPlusOne,
    );
}

#[test]
fn a_walk_through_pages_is_no_loop() {
    let text = "SELECT id, title FROM books WHERE id > $1 ORDER BY id LIMIT 100";
    let seen = look(request("/").each(8, |made, i| made.read_with(text, i)));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
    assert!(reason(&seen, FindingKind::NPlusOne).contains("next page"));
}

#[test]
fn the_value_that_changes_is_the_one_that_is_batched() {
    let text = "SELECT role FROM members WHERE team_id = $1 AND person_id = $2";
    let run = |made: Made, i: u64| {
        made.run(Statement {
            values: Values::Hashed(Box::new([7, i])),
            ..statement(text)
        })
    };
    let seen = look(request("/").each(6, run));
    let finding = only(&seen, FindingKind::NPlusOne);
    assert!(
        finding
            .remedy
            .contains("team_id = $1 AND person_id = ANY($2)"),
        "{}",
        finding.remedy
    );
}

#[test]
fn the_same_read_with_the_same_value_is_repeated() {
    let seen = look(request("/").each(6, |made, _| made.read_with(CHILD, 7)));
    let finding = only(&seen, FindingKind::Repeated);
    assert_eq!(
        (finding.proof, finding.count, finding.cost.statements),
        (Proof::Proved, 6, 5)
    );
    let whole = "SELECT name FROM settings";
    only(
        &look(request("/").read(whole, 9).read(whole, 9)),
        FindingKind::Repeated,
    );
}

#[test]
fn many_values_read_twice_are_one_finding() {
    let seen = look(request("/").each(6, |made, number| made.read_with(CHILD, number % 3)));
    let finding = only(&seen, FindingKind::Repeated);
    assert_eq!((finding.count, finding.cost.statements), (6, 3));
    assert_eq!(
        finding.summary,
        "One read ran 6 times in one request with only 3 different values; 1.50 ms of 3.00 ms could \
         be spared."
    );
}

#[test]
fn retries_after_failures_are_no_loop() {
    let failed = || Statement {
        failed: true,
        ..statement(CHILD)
    };
    let made = request("/").each(6, |made, _| made.run(failed()));
    let seen = look(made.read(CHILD, 3));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
}

#[test]
fn a_count_of_a_joined_table_is_not_that_of_the_page() {
    let page = "SELECT b.id, a.name FROM books b JOIN authors a ON a.id = b.author_id LIMIT 20";
    let seen = |count| look(request("/").read(count, 1).read(page, 20));
    assert!(seen("SELECT COUNT(*) FROM authors").findings.is_empty());
    only(
        &seen("SELECT COUNT(*) FROM books"),
        FindingKind::CountPerPage,
    );
}

#[test]
fn a_write_in_between_justifies_reading_again() {
    let made = |write: &str| {
        request("/")
            .read_with(CHILD, 7)
            .write(write)
            .read_with(CHILD, 7)
    };
    let seen = look(made("UPDATE books SET title = $1 WHERE id = $2"));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
    assert_eq!(
        reason(&seen, FindingKind::Repeated),
        "justified by a write in between"
    );
    only(
        &look(made("UPDATE authors SET name = $1 WHERE id = $2")),
        FindingKind::Repeated,
    );
}

#[test]
fn a_retry_after_a_failure_is_not_repeated() {
    let failed = Statement {
        failed: true,
        values: Values::Hashed(Box::new([7])),
        ..statement(CHILD)
    };
    let seen = look(request("/").run(failed).read_with(CHILD, 7));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
}

#[test]
fn few_reads_with_hidden_values_are_left_out_and_said_so() {
    let seen = look(request("/").read(CHILD, 3).read(CHILD, 3));
    assert!(seen.findings.is_empty(), "{:#?}", seen.findings);
    assert!(reason(&seen, FindingKind::Repeated).contains("values hidden"));
}

#[test]
fn slow_is_strictly_over_the_threshold() {
    let timed = |ms| {
        request("/").run(Statement {
            duration: Duration::from_millis(ms),
            ..statement(LIST)
        })
    };
    assert!(look(timed(500)).findings.is_empty());
    let seen = look(timed(501));
    insta::assert_snapshot!(only(&seen, FindingKind::Slow).summary, @"One statement took 501 ms; the limit is 500 ms.");
    let budget = Budget::new().statement_time(Duration::from_millis(10));
    only(&look_within(timed(11), &budget), FindingKind::Slow);
}

#[test]
fn a_budget_of_statements_does_not_count_transaction_control() {
    let made = || {
        request("/")
            .write("BEGIN")
            .read(LIST, 1)
            .read(CHILD, 1)
            .write("COMMIT")
    };
    assert!(
        look_within(made(), &Budget::new().statements(2))
            .findings
            .is_empty()
    );
    let seen = look_within(made(), &Budget::new().statements(1));
    let finding = only(&seen, FindingKind::Chatty);
    assert_eq!((finding.count, finding.cost.statements), (2, 1));
    assert!(look(made()).findings.is_empty(), "chatty without a budget");
}

#[test]
fn a_budget_of_rows_names_the_statement_with_the_most() {
    let made = request("/").read(LIST, 20).read(CHILD, 300);
    let seen = look_within(made, &Budget::new().rows(100));
    let finding = find(&seen, FindingKind::Chatty).unwrap();
    assert_eq!(&*finding.statement, CHILD);
    assert_eq!(finding.cost.rows, 220);
}

#[test]
fn rows_far_above_the_answer_are_over_fetched() {
    let made = || request("/").read(LIST, 20).read(CHILD, 300);
    assert!(
        find(&look(made()), FindingKind::OverFetch).is_none(),
        "the answer is not known"
    );
    let seen = look(made().answered(20));
    let finding = find(&seen, FindingKind::OverFetch).unwrap();
    assert_eq!((finding.proof, &*finding.statement), (Proof::Proved, CHILD));
    assert_eq!(finding.cost.rows, 300);
    assert!(
        find(&look(made().answered(160)), FindingKind::OverFetch).is_none(),
        "ratio is 2.0"
    );
    let few = request("/").read(LIST, 20).answered(1);
    assert!(
        find(&look(few), FindingKind::OverFetch).is_none(),
        "excess is 19"
    );
}

#[test]
fn a_list_without_limit_is_possible_until_growth_shows_it() {
    let text = "SELECT id, title FROM books ORDER BY id";
    let seen = look(request("/").read(text, 600));
    assert_eq!(
        only(&seen, FindingKind::UnboundedList).proof,
        Proof::Possible
    );
    assert!(look(request("/").read(text, 99)).findings.is_empty());
    let asks = |text| is_list_without_limit(&speedwell_sql::shape(text, Default::default()));
    assert!(asks(text));
    assert!(!asks("SELECT COUNT(*) FROM books"));
    assert!(!asks("SELECT id FROM books LIMIT $1"));
    assert!(!asks("SELECT id FROM books WHERE author_id IN ($1, $2)"));
}

#[test]
fn a_limited_page_that_others_are_joined_to_is_no_list_without_limit() {
    let joined = "WITH page AS (SELECT id, title FROM books ORDER BY id LIMIT $1)
         SELECT page.id, page.title, images.url
         FROM page
         JOIN images ON images.book_id = page.id";
    assert!(look(request("/").read(joined, 600)).findings.is_empty());
    let picture_each = "SELECT id, (SELECT url FROM images WHERE book_id = books.id LIMIT 1)
         FROM books";
    let seen = look(request("/").read(picture_each, 600));
    only(&seen, FindingKind::UnboundedList);
}

#[test]
fn a_write_per_row_is_a_loop() {
    let text = "INSERT INTO tags (book_id, name) VALUES ($1, $2)";
    let seen = look(request("/").each(5, |made, _| made.write(text)));
    let finding = only(&seen, FindingKind::WriteLoop);
    assert_eq!(finding.proof, Proof::Likely);
    insta::assert_snapshot!(finding.summary, @"One INSERT into tags ran 5 times in one request, 2.50 ms in all.");
    insta::assert_snapshot!(finding.remedy, @"
    Write all rows in one statement:
    INSERT INTO tags (book_id, name) VALUES (?, ?), (?, ?), …
    ");
    let seen = look(request("/").each(4, |made, _| made.write(text)));
    assert!(seen.findings.is_empty());
    let batch = "INSERT INTO tags (book_id, name) VALUES ($1, $2), ($3, $4)";
    assert!(
        look(request("/").each(5, |made, _| made.write(batch)))
            .findings
            .is_empty()
    );
}

#[test]
fn a_commit_between_the_writes_is_a_commit_per_row() {
    let text = "UPDATE books SET title = $1 WHERE id = $2";
    let made = request("/").each(6, |made, _| made.write("BEGIN").write(text).write("COMMIT"));
    let seen = look(made);
    let finding = find(&seen, FindingKind::CommitPerRow).unwrap();
    assert_eq!((finding.proof, finding.count), (Proof::Proved, 6));
    let once = request("/")
        .write("BEGIN")
        .each(6, |made, _| made.write(text))
        .write("COMMIT");
    assert!(find(&look(once), FindingKind::CommitPerRow).is_none());
    let savepoints = request("/").each(6, |made, _| made.write("SAVEPOINT a").write(text));
    assert!(find(&look(savepoints), FindingKind::CommitPerRow).is_none());
}

#[test]
fn a_deep_offset_is_proved_by_its_number() {
    let page = |offset: &str| format!("SELECT id FROM books ORDER BY id LIMIT 20 OFFSET {offset}");
    let seen = look(request("/").read(&page("1000"), 20));
    let finding = only(&seen, FindingKind::DeepOffset);
    assert_eq!((finding.proof, finding.cost.rows), (Proof::Proved, 1_000));
    assert!(
        look(request("/").read(&page("980"), 20))
            .findings
            .is_empty()
    );
    let seen = look(request("/").read(&page("$1"), 20));
    assert_eq!(
        reason(&seen, FindingKind::DeepOffset),
        "offset value hidden"
    );
}

#[test]
fn a_count_beside_a_page_of_the_same_table_is_found() {
    let count = "SELECT COUNT(*) FROM books WHERE author_id = $1";
    let page = "SELECT id FROM books WHERE author_id = $1 ORDER BY id LIMIT 20";
    let seen = look(request("/").read(count, 1).read(page, 20));
    assert_eq!(only(&seen, FindingKind::CountPerPage).proof, Proof::Likely);
    assert!(
        look(request("/").read(count, 1).read(LIST, 20))
            .findings
            .is_empty()
    );
    let one = "SELECT id FROM books WHERE author_id = $1 LIMIT 1";
    assert!(
        look(request("/").read(count, 1).read(one, 1))
            .findings
            .is_empty()
    );
    let capped = "SELECT COUNT(*) FROM (SELECT 1 FROM books LIMIT 1001) AS some";
    assert!(
        look(request("/").read(capped, 1).read(page, 20))
            .findings
            .is_empty()
    );
}

#[test]
fn a_pattern_that_begins_with_a_wildcard_is_found_however_it_is_written() {
    for text in [
        "SELECT id FROM books WHERE title LIKE '%war%' LIMIT 20",
        "SELECT id FROM books WHERE title ILIKE '%' || $1 || '%' LIMIT 20",
    ] {
        only(
            &look(request("/").read(text, 2)),
            FindingKind::LeadingWildcard,
        );
    }
    let prefix = "SELECT id FROM books WHERE title LIKE $1 || '%' LIMIT 20";
    assert!(look(request("/").read(prefix, 2)).findings.is_empty());
}

#[test]
fn the_identity_of_a_finding_does_not_hang_on_values_or_counts() {
    let ids = |count, rows| {
        let seen = look(request("/authors").read(LIST, rows).each(count, |made, i| {
            made.read(
                &format!("SELECT id FROM books WHERE author_id = {}", i + rows),
                3,
            )
        }));
        only(&seen, FindingKind::NPlusOne).id
    };
    assert_eq!(ids(6, 6), ids(20, 20));
}

#[test]
fn the_surest_and_dearest_comes_first() {
    let mut made = request("/")
        .read("SELECT a FROM t", 500)
        .each(6, |made, i| made.read_with(CHILD, i));
    made = made.run(Statement {
        duration: Duration::from_secs(1),
        ..statement(LIST)
    });
    let kinds: Vec<_> = look(made)
        .findings
        .iter()
        .map(|finding| finding.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            FindingKind::Slow,
            FindingKind::NPlusOne,
            FindingKind::UnboundedList
        ]
    );
}
