//! The phrases of SQLite's `EXPLAIN QUERY PLAN`, read into [`PlanNode`]s.
//!
//! Written against SQLite 3.51. Total: a phrase that is not known becomes [`Operation::Other`].

use std::collections::{BTreeMap, BTreeSet};

use crate::{Operation, PlanNode, SortReason};

/// One row of `EXPLAIN QUERY PLAN`.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) parent: i64,
    pub(crate) detail: String,
}

/// What the names in the phrases stand for. Keys are in lower case, values as declared.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Base tables.
    pub(crate) tables: BTreeMap<String, String>,
    /// Table of each index.
    pub(crate) indexes: BTreeMap<String, String>,
    /// Table of each alias in the statement and in the views of the database.
    pub(crate) aliases: BTreeMap<String, String>,
}

/// The tree that the rows describe. A row whose parent is not there stands at the top.
pub(crate) fn tree(rows: &[Row], names: &Names) -> Vec<PlanNode> {
    let subqueries: BTreeSet<&str> = rows
        .iter()
        .filter_map(|row| materialized(&row.detail))
        .collect();
    let owners = owners(rows);
    // From the last row to the first, so that every node finds its children done.
    let mut done: BTreeMap<Option<usize>, Vec<PlanNode>> = BTreeMap::new();
    for (position, row) in rows.iter().enumerate().rev() {
        let mut node = phrase(&row.detail, names, &subqueries);
        node.children = done.remove(&Some(position)).unwrap_or_default();
        node.children.reverse();
        done.entry(owners[position]).or_default().push(node);
    }
    let mut top = done.remove(&None).unwrap_or_default();
    top.reverse();
    top
}

/// The row that each row stands under. Parents come before their children, so there is no ring.
fn owners(rows: &[Row]) -> Vec<Option<usize>> {
    let mut seen: BTreeMap<i64, usize> = BTreeMap::new();
    rows.iter()
        .enumerate()
        .map(|(position, row)| {
            let owner = seen.get(&row.parent).copied();
            if row.id != 0 {
                seen.entry(row.id).or_insert(position);
            }
            owner
        })
        .collect()
}

/// Whether a plan of these phrases reads a table or an index from end to end, or builds an index of one.
pub(crate) fn reads_all(phrases: &[&str]) -> bool {
    let subqueries: BTreeSet<&str> = phrases.iter().filter_map(|one| materialized(one)).collect();
    let names = Names::default();
    phrases.iter().any(|one| {
        let node = phrase(one, &names, &subqueries);
        let is_subquery =
            |name: &String| subqueries.contains(name.as_str()) || name.starts_with('(');
        match node.operation {
            Operation::Scan => !node.alias.as_ref().is_some_and(is_subquery),
            Operation::IndexWalk | Operation::AutomaticIndex => true,
            _ => false,
        }
    })
}

/// The name of the subquery that the phrase says is being computed.
fn materialized(detail: &str) -> Option<&str> {
    detail
        .strip_prefix("CO-ROUTINE ")
        .or_else(|| detail.strip_prefix("MATERIALIZE "))
}

/// One phrase.
fn phrase(detail: &str, names: &Names, subqueries: &BTreeSet<&str>) -> PlanNode {
    let mut node = PlanNode {
        operation: Operation::Other,
        table: None,
        alias: None,
        index: None,
        covering: false,
        constraints: Vec::new(),
        filter: None,
        estimate: None,
        detail: detail.to_owned(),
        children: Vec::new(),
    };
    if let Some(reason) = detail.strip_prefix("USE TEMP B-TREE FOR ") {
        node.operation = Operation::Sort(sort_reason(reason));
    } else if let Some(name) = materialized(detail) {
        node.operation = Operation::Materialize;
        node.alias = Some(name.to_owned());
    } else if detail.starts_with("SCAN ")
        && (detail.contains("CONSTANT ROW") || detail.ends_with("-ROW VALUES CLAUSE"))
    {
        node.operation = Operation::Constant;
    } else if let Some(rest) = detail.strip_prefix("SCAN ") {
        access(&mut node, rest, false, names, subqueries);
    } else if let Some(rest) = detail.strip_prefix("SEARCH ") {
        access(&mut node, rest, true, names, subqueries);
    } else if detail.contains("SUBQUERY") && !detail.starts_with("LEFT-MOST") {
        node.operation = Operation::Subquery {
            correlated: detail.starts_with("CORRELATED "),
        };
    } else if is_compound(detail) {
        node.operation = Operation::Compound;
    }
    node
}

fn sort_reason(words: &str) -> SortReason {
    match words {
        "ORDER BY" => SortReason::Order,
        "GROUP BY" => SortReason::Group,
        "DISTINCT" => SortReason::Distinct,
        _ if words.ends_with("(DISTINCT)") || words.ends_with("(ORDER BY)") => {
            SortReason::Aggregate
        }
        // LAST TERM OF, LAST 2 TERMS OF, RIGHT PART OF
        _ if words.ends_with("ORDER BY") => SortReason::OrderTail,
        _ => SortReason::Other,
    }
}

fn is_compound(detail: &str) -> bool {
    [
        "COMPOUND QUERY",
        "LEFT-MOST SUBQUERY",
        "LEFT",
        "RIGHT",
        "UNION ALL",
    ]
    .contains(&detail)
        || detail.starts_with("MERGE (")
        || ["UNION", "INTERSECT", "EXCEPT"]
            .iter()
            .any(|word| detail.strip_prefix(word) == Some(" USING TEMP B-TREE"))
}

/// What follows `SCAN` or `SEARCH`: a name, then how it is read.
fn access(
    node: &mut PlanNode,
    rest: &str,
    search: bool,
    names: &Names,
    subqueries: &BTreeSet<&str>,
) {
    let end = [
        " USING ",
        " VIRTUAL TABLE INDEX ",
        " EXISTS",
        " LEFT-JOIN",
        " (~",
    ]
    .iter()
    .filter_map(|mark| rest.find(mark))
    .min()
    .unwrap_or(rest.len());
    let (name, how) = rest.split_at(end);
    node.operation = if search {
        Operation::Search
    } else {
        Operation::Scan
    };
    if let Some((_, using)) = how.split_once(" USING ") {
        read_using(node, using, search);
    }
    if how.contains("VIRTUAL TABLE INDEX ") {
        node.operation = Operation::TableFunction;
    }
    resolve(node, name, names, subqueries);
}

/// `COVERING INDEX i (a=? AND b>?)`, `INTEGER PRIMARY KEY (rowid=?)`, `AUTOMATIC ... INDEX (a=?)`.
fn read_using(node: &mut PlanNode, using: &str, search: bool) {
    let (way, constraints) = match using.find(" (") {
        Some(at) => (&using[..at], conditions(&using[at + 2..])),
        None => (using.trim_end_matches(" LEFT-JOIN"), Vec::new()),
    };
    node.constraints = constraints;
    node.covering = way.contains("COVERING INDEX");
    if way.starts_with("AUTOMATIC ") {
        node.operation = Operation::AutomaticIndex;
        return;
    }
    let index = way
        .strip_prefix("COVERING ")
        .unwrap_or(way)
        .strip_prefix("INDEX ");
    if let Some(index) = index {
        node.index = Some(index.to_owned());
        if !search {
            node.operation = Operation::IndexWalk;
        }
    }
}

/// The conditions before the closing parenthesis: `a=? AND (b,c)<(?,?)`.
fn conditions(text: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let end = text
        .char_indices()
        .find(|&(_, c)| match c {
            '(' => {
                depth += 1;
                false
            }
            ')' if depth == 0 => true,
            ')' => {
                depth -= 1;
                false
            }
            _ => false,
        })
        .map_or(text.len(), |(at, _)| at);
    // A row count may stand here when SQLite is built for debugging.
    if text.starts_with('~') {
        return Vec::new();
    }
    text[..end]
        .split(" AND ")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Which table a name stands for: the index knows best, then a subquery of that name hides
/// everything, then a table, then an alias.
fn resolve(node: &mut PlanNode, name: &str, names: &Names, subqueries: &BTreeSet<&str>) {
    let bare = name.split_once('.').map_or(name, |(_, table)| table);
    let key = name.to_lowercase();
    let by_index = node
        .index
        .as_ref()
        .and_then(|index| names.indexes.get(&index.to_lowercase()));
    let by_name = || {
        if subqueries.contains(name) || name.starts_with('(') {
            return None;
        }
        // An alias may be the name of another table: `FROM users flyers`.
        names
            .aliases
            .get(&key)
            .or_else(|| names.tables.get(&key))
            .or_else(|| names.tables.get(&bare.to_lowercase()))
    };
    node.table = by_index.or_else(by_name).cloned();
    let same =
        |table: &String| table.eq_ignore_ascii_case(name) || table.eq_ignore_ascii_case(bare);
    if !node.table.as_ref().is_some_and(same) {
        node.alias = Some(name.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Names {
        let own = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        Names {
            tables: own(&[("flyers", "flyers"), ("users", "users")]),
            indexes: own(&[("feed", "flyers")]),
            aliases: own(&[("f", "flyers")]),
        }
    }

    fn read(detail: &str) -> PlanNode {
        phrase(detail, &names(), &BTreeSet::from(["page"]))
    }

    #[test]
    fn what_is_walked_from_end_to_end_is_told_from_subqueries_and_searches() {
        let search = "SEARCH f USING INDEX feed (is_active=?)";
        assert!(!reads_all(&[search]));
        assert!(!reads_all(&[
            "CO-ROUTINE page",
            search,
            "SCAN page",
            "SCAN (subquery-2)"
        ]));
        assert!(!reads_all(&["SCAN CONSTANT ROW"]));
        for walk in [
            "SCAN f",
            "SCAN f USING COVERING INDEX feed",
            "SEARCH f USING AUTOMATIC COVERING INDEX (a=?)",
        ] {
            assert!(reads_all(&[search, walk]), "{walk}");
        }
    }

    #[test]
    fn every_phrase_of_sqlite_has_its_operation() {
        use Operation as O;
        let cases = [
            ("SCAN flyers", O::Scan),
            ("SCAN f USING INDEX feed", O::IndexWalk),
            ("SCAN f USING COVERING INDEX feed", O::IndexWalk),
            (
                "SEARCH f USING INDEX feed (is_active=? AND created_at<?)",
                O::Search,
            ),
            ("SEARCH f USING INTEGER PRIMARY KEY (rowid=?)", O::Search),
            ("SEARCH f USING PRIMARY KEY (user_id=?)", O::Search),
            ("SEARCH f EXISTS USING INDEX feed (is_active=?)", O::Search),
            (
                "SEARCH f USING AUTOMATIC COVERING INDEX (a=?)",
                O::AutomaticIndex,
            ),
            (
                "SEARCH f USING AUTOMATIC PARTIAL COVERING INDEX (a=?) LEFT-JOIN",
                O::AutomaticIndex,
            ),
            ("SCAN CONSTANT ROW", O::Constant),
            ("SCAN 3 CONSTANT ROWS", O::Constant),
            ("SCAN 2-ROW VALUES CLAUSE", O::Constant),
            ("SCAN j VIRTUAL TABLE INDEX 1:", O::TableFunction),
            ("SCAN page", O::Scan),
            ("MULTI-INDEX OR", O::Other),
            ("INDEX 1", O::Other),
            ("LIST SUBQUERY 2", O::Subquery { correlated: false }),
            ("REUSE LIST SUBQUERY 2", O::Subquery { correlated: false }),
            (
                "CORRELATED SCALAR SUBQUERY 1",
                O::Subquery { correlated: true },
            ),
            (
                "CORRELATED LIST SUBQUERY 1",
                O::Subquery { correlated: true },
            ),
            ("CO-ROUTINE page", O::Materialize),
            ("MATERIALIZE page", O::Materialize),
            ("COMPOUND QUERY", O::Compound),
            ("LEFT-MOST SUBQUERY", O::Compound),
            ("UNION USING TEMP B-TREE", O::Compound),
            ("EXCEPT USING TEMP B-TREE", O::Compound),
            ("MERGE (UNION)", O::Compound),
            ("USE TEMP B-TREE FOR ORDER BY", O::Sort(SortReason::Order)),
            ("USE TEMP B-TREE FOR GROUP BY", O::Sort(SortReason::Group)),
            (
                "USE TEMP B-TREE FOR DISTINCT",
                O::Sort(SortReason::Distinct),
            ),
            (
                "USE TEMP B-TREE FOR count(DISTINCT)",
                O::Sort(SortReason::Aggregate),
            ),
            (
                "USE TEMP B-TREE FOR group_concat(ORDER BY)",
                O::Sort(SortReason::Aggregate),
            ),
            (
                "USE TEMP B-TREE FOR LAST TERM OF ORDER BY",
                O::Sort(SortReason::OrderTail),
            ),
            (
                "USE TEMP B-TREE FOR LAST 2 TERMS OF ORDER BY",
                O::Sort(SortReason::OrderTail),
            ),
            (
                "USE TEMP B-TREE FOR RIGHT PART OF ORDER BY",
                O::Sort(SortReason::OrderTail),
            ),
            ("BLOOM FILTER ON f (id=?)", O::Other),
            ("CREATE BLOOM FILTER", O::Other),
            ("RIGHT-JOIN f", O::Other),
            ("RECURSIVE STEP", O::Other),
            ("", O::Other),
        ];
        for (detail, operation) in cases {
            assert_eq!(read(detail).operation, operation, "{detail}");
        }
    }

    #[test]
    fn names_indexes_and_conditions_are_read() {
        let node =
            read("SEARCH f USING COVERING INDEX feed (ANY(a) AND b=? AND (c,d)<(?,?)) LEFT-JOIN");
        assert_eq!(node.table.as_deref(), Some("flyers"));
        assert_eq!(node.alias.as_deref(), Some("f"));
        assert_eq!(node.index.as_deref(), Some("feed"));
        assert!(node.covering);
        assert_eq!(node.constraints, ["ANY(a)", "b=?", "(c,d)<(?,?)"]);
        let node = read("SCAN main.users");
        assert_eq!((node.table.as_deref(), node.alias), (Some("users"), None));
        assert_eq!(read("SCAN page").table, None);
        assert_eq!(read("SCAN (subquery-1)").table, None);
    }

    fn row() -> impl Strategy<Value = Row> {
        let detail = prop_oneof![
            "\\PC*",
            "(SCAN|SEARCH|USE TEMP B-TREE FOR|MATERIALIZE) [a-z(). ]*( USING (COVERING )?INDEX [a-z (?=]*)?",
        ];
        (-3_i64..9, -3_i64..9, detail).prop_map(|(id, parent, detail)| Row { id, parent, detail })
    }

    proptest! {
        #[test]
        fn every_row_of_any_answer_is_somewhere_in_the_tree(rows in prop::collection::vec(row(), 0..12)) {
            let nodes = tree(&rows, &names());
            let plan = crate::Plan { system: speedwell_sql::Dialect::Sqlite, nodes };
            let mut found: Vec<&str> = plan.walk().map(|node| node.detail.as_str()).collect();
            let mut given: Vec<&str> = rows.iter().map(|row| row.detail.as_str()).collect();
            found.sort_unstable();
            given.sort_unstable();
            prop_assert_eq!(found, given);
            let _ = (plan.to_string(), plan.summary());
        }
    }
}
