//! PostgreSQL's `EXPLAIN (FORMAT JSON)`, read into [`PlanNode`]s.
//!
//! Written against the node types of PostgreSQL 12 to 17 (`src/backend/commands/explain.c`).
//! Total: a node type that is not known becomes [`Operation::Other`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use speedwell_sql::Dialect;

use super::condition::{parts, shown};
use crate::{Estimate, Grouping, JoinMethod, Operation, Plan, PlanNode, SortReason, Store};

/// Deeper plans than this are not read: each level is one of recursion here.
const DEPTH: usize = 200;

/// Whether the executor left parts of the plan out because of the values that stand for
/// parameters.
pub(crate) fn is_pruned(answer: &Value) -> bool {
    match answer {
        Value::Object(fields) => {
            let removed = fields.get("Subplans Removed").and_then(Value::as_u64);
            removed.is_some_and(|removed| removed > 0) || fields.values().any(is_pruned)
        }
        Value::Array(items) => items.iter().any(is_pruned),
        _ => false,
    }
}

/// The partitioned table of each partition, by name.
pub(crate) type Partitions = BTreeMap<String, String>;

/// The plan in the answer of `EXPLAIN (FORMAT JSON)`.
pub(crate) fn tree(answer: &Value, partitions: &Partitions) -> Vec<PlanNode> {
    let queries = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    queries
        .iter()
        .filter_map(|query| query.get("Plan"))
        .map(|plan| {
            Reading {
                partitions,
                workers: 0.0,
                table: None,
                depth: 0,
            }
            .node(plan, None)
        })
        .collect()
}

/// Whether the plan in the answer reads a table or an index of one from end to end, other than a `small` one.
pub(crate) fn reads_all(answer: &Value, small: &BTreeSet<String>) -> bool {
    let plan = Plan {
        system: Dialect::Postgres,
        nodes: tree(answer, &Partitions::new()),
    };
    plan.walk().any(|node| {
        let is_walk = matches!(node.operation, Operation::Scan | Operation::IndexWalk);
        is_walk
            && node
                .table
                .as_ref()
                .is_some_and(|table| !small.contains(table))
    })
}

/// What a node takes from those around it.
#[derive(Clone, Copy)]
struct Reading<'a> {
    partitions: &'a Partitions,
    /// Parallel workers beside the leader.
    workers: f64,
    /// The table whose rows a bitmap collects.
    table: Option<&'a str>,
    depth: usize,
}

impl Reading<'_> {
    fn node(self, json: &Value, parent: Option<&str>) -> PlanNode {
        let kind = text(json, "Node Type").unwrap_or("?");
        let mut node = PlanNode {
            operation: operation(json, kind, parent),
            table: None,
            alias: None,
            index: text(json, "Index Name").map(str::to_owned),
            covering: kind == "Index Only Scan",
            constraints: constraints(json, kind),
            filter: filter(json),
            estimate: self.estimate(json),
            detail: String::new(),
            children: Vec::new(),
        };
        self.names(&mut node, json, kind);
        node.detail = detail(json, kind, &node);
        if self.depth < DEPTH {
            node.children = self.children(json, kind, &node);
        }
        wrapped(json, parent, node)
    }

    fn names(self, node: &mut PlanNode, json: &Value, kind: &str) {
        let bitmap = matches!(kind, "Bitmap Index Scan" | "BitmapAnd" | "BitmapOr");
        let relation = text(json, "Relation Name").or(self.table.filter(|_| bitmap));
        node.table = relation.map(|name| {
            let root = self.partitions.get(name).map(String::as_str);
            root.unwrap_or(name).to_owned()
        });
        let called = ["Alias", "CTE Name", "Function Name", "Tuplestore Name"]
            .iter()
            .find_map(|key| text(json, key));
        // The rows of a common table expression are named by it, wherever they are read.
        let called = text(json, "CTE Name").or(called);
        node.alias = called
            .filter(|called| node.table.as_deref() != Some(*called))
            .map(str::to_owned);
    }

    fn estimate(self, json: &Value) -> Option<Estimate> {
        let number = |key: &str| json.get(key).and_then(Value::as_f64);
        let parallel = json.get("Parallel Aware").and_then(Value::as_bool) == Some(true);
        // The share of the leader shrinks with the workers that it serves (costsize.c,
        // get_parallel_divisor).
        let divisor = match parallel && self.workers > 0.0 {
            true => self.workers + (1.0 - 0.3 * self.workers).max(0.0),
            false => 1.0,
        };
        Some(Estimate {
            rows: number("Plan Rows")? * divisor,
            cost: number("Total Cost")?,
        })
    }

    fn children(self, json: &Value, kind: &str, node: &PlanNode) -> Vec<PlanNode> {
        let planned = json.get("Workers Planned").and_then(Value::as_f64);
        let bitmap = matches!(kind, "Bitmap Heap Scan" | "BitmapAnd" | "BitmapOr");
        let inner = Reading {
            partitions: self.partitions,
            workers: planned.unwrap_or(self.workers),
            table: node.table.as_deref().filter(|_| bitmap),
            depth: self.depth + 1,
        };
        let kind = match (kind, text(json, "Strategy")) {
            ("Aggregate", Some("Sorted")) => "Group",
            (kind, _) => kind,
        };
        let plans = json.get("Plans").and_then(Value::as_array);
        plans
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .map(|plan| {
                let texts = ["Filter", "Join Filter", "Index Cond", "Hash Cond"];
                let hashed = texts.iter().filter_map(|key| text(json, key)).any(|text| {
                    let name = plan.get("Subplan Name").and_then(Value::as_str);
                    name.is_some_and(|name| text.contains(&format!("hashed {name}")))
                });
                inner.node(plan, Some(if hashed { "hashed" } else { kind }))
            })
            .collect()
    }
}

/// A subquery or common table expression stands under a node of its own, as in SQLite's plans.
fn wrapped(json: &Value, parent: Option<&str>, node: PlanNode) -> PlanNode {
    let (Some(name), Some("InitPlan" | "SubPlan")) = (
        text(json, "Subplan Name"),
        text(json, "Parent Relationship"),
    ) else {
        return node;
    };
    let (operation, alias) = match name.strip_prefix("CTE ") {
        Some(cte) => (Operation::Materialize, Some(cte.to_owned())),
        None => {
            let correlated =
                text(json, "Parent Relationship") == Some("SubPlan") && parent != Some("hashed");
            (Operation::Subquery { correlated }, None)
        }
    };
    PlanNode {
        operation,
        table: None,
        alias,
        index: None,
        covering: false,
        constraints: Vec::new(),
        filter: None,
        estimate: node.estimate,
        detail: name.to_owned(),
        children: vec![node],
    }
}

fn text<'a>(json: &'a Value, key: &str) -> Option<&'a str> {
    json.get(key).and_then(Value::as_str)
}

fn list<'a>(json: &'a Value, key: &str) -> Vec<&'a str> {
    let items = json.get(key).and_then(Value::as_array);
    items
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// What a node does. `parent`: the type of the node around it.
fn operation(json: &Value, kind: &str, parent: Option<&str>) -> Operation {
    let has_condition = json.get("Index Cond").is_some() || json.get("Order By").is_some();
    match kind {
        "Seq Scan" | "Sample Scan" => Operation::Scan,
        "CTE Scan" | "WorkTable Scan" | "Named Tuplestore Scan" => Operation::Scan,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" if has_condition => {
            Operation::Search
        }
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => Operation::IndexWalk,
        "Tid Scan" | "Tid Range Scan" => Operation::Search,
        "Bitmap Heap Scan" | "BitmapAnd" | "BitmapOr" => Operation::Bitmap,
        "Incremental Sort" => Operation::Sort(SortReason::OrderTail),
        "Sort" => Operation::Sort(match parent {
            Some("Group") => SortReason::Group,
            Some("Unique" | "SetOp") => SortReason::Distinct,
            Some("Merge Join") => SortReason::Merge,
            Some("WindowAgg") => SortReason::Window,
            _ => SortReason::Order,
        }),
        "Nested Loop" => Operation::Join(JoinMethod::NestedLoop),
        "Hash Join" => Operation::Join(JoinMethod::Hash),
        "Merge Join" => Operation::Join(JoinMethod::Merge),
        "Limit" => Operation::Limit,
        "Group" => Operation::Aggregate(Grouping::Sorted),
        "Aggregate" => Operation::Aggregate(match text(json, "Strategy") {
            Some("Plain") => Grouping::Plain,
            Some("Sorted") => Grouping::Sorted,
            _ => Grouping::Hashed,
        }),
        "Unique" => Operation::Unique,
        "Hash" => Operation::Store(Store::Hash),
        "Materialize" | "Memoize" => Operation::Store(Store::Again),
        "ModifyTable" => Operation::Write,
        "Append" | "Merge Append" | "Recursive Union" | "SetOp" => Operation::Compound,
        "Values Scan" => Operation::Constant,
        "Result" if json.get("Plans").is_none() => Operation::Constant,
        "Function Scan" | "Table Function Scan" => Operation::TableFunction,
        // Gather, Gather Merge, LockRows, ProjectSet, Subquery Scan, WindowAgg, Foreign Scan,
        // Custom Scan and what is yet to come.
        _ => Operation::Other,
    }
}

/// The conditions that a lookup serves.
fn constraints(json: &Value, kind: &str) -> Vec<String> {
    let key = match kind {
        "Tid Scan" | "Tid Range Scan" => "TID Cond",
        _ => "Index Cond",
    };
    text(json, key).map(parts).unwrap_or_default()
}

fn filter(json: &Value) -> Option<String> {
    let texts: Vec<String> = ["Filter", "Join Filter", "One-Time Filter"]
        .iter()
        .filter_map(|key| text(json, key))
        .map(shown)
        .collect();
    (!texts.is_empty()).then(|| texts.join(" AND "))
}

/// One line in PostgreSQL's own words: `Index Scan using flyers_feed on f (is_active=?)`.
fn detail(json: &Value, kind: &str, node: &PlanNode) -> String {
    let mut line = title(json, kind);
    match kind {
        "Bitmap Index Scan" => push(&mut line, "on", node.index.as_deref()),
        _ => push(&mut line, "using", node.index.as_deref()),
    }
    let name = node.alias.as_deref().or(node.table.as_deref());
    if !matches!(kind, "Bitmap Index Scan" | "BitmapAnd" | "BitmapOr") {
        push(&mut line, "on", name);
    }
    if let Some(name) = text(json, "CTE Name") {
        line = format!("{} on {name}", title(json, kind));
    }
    if !node.constraints.is_empty() {
        line.push_str(&format!(" ({})", node.constraints.join(" AND ")));
    }
    for (word, key) in [("by", "Sort Key"), ("by", "Group Key"), ("on", "Cache Key")] {
        let terms: Vec<String> = list(json, key).into_iter().map(shown).collect();
        if !terms.is_empty() {
            line.push_str(&format!(" {word} {}", terms.join(", ")));
        }
    }
    let presorted: Vec<String> = list(json, "Presorted Key").into_iter().map(shown).collect();
    if !presorted.is_empty() {
        line.push_str(&format!(", sorted already by {}", presorted.join(", ")));
    }
    for key in ["Hash Cond", "Merge Cond"] {
        if let Some(condition) = text(json, key) {
            line.push_str(&format!(" ({})", shown(condition)));
        }
    }
    push(&mut line, "filter", node.filter.as_deref());
    line
}

/// The name of a node as PostgreSQL's text form has it.
fn title(json: &Value, kind: &str) -> String {
    let backward = text(json, "Scan Direction") == Some("Backward");
    let join = text(json, "Join Type").filter(|join| *join != "Inner");
    let name = match kind {
        "Aggregate" => {
            let partial = text(json, "Partial Mode").filter(|mode| *mode != "Simple");
            let name = match text(json, "Strategy") {
                Some("Hashed") => "HashAggregate",
                Some("Sorted") => "GroupAggregate",
                Some("Mixed") => "MixedAggregate",
                _ => "Aggregate",
            };
            return match partial {
                Some(partial) => format!("{partial} {name}"),
                None => name.to_owned(),
            };
        }
        "ModifyTable" => text(json, "Operation").unwrap_or(kind),
        "SetOp" => {
            let command = text(json, "Command").unwrap_or_default();
            return format!("SetOp {command}").trim_end().to_owned();
        }
        "Custom Scan" => {
            let provider = text(json, "Custom Plan Provider").unwrap_or("?");
            return format!("Custom Scan ({provider})");
        }
        _ => kind,
    };
    let mut title = String::new();
    if json.get("Parallel Aware").and_then(Value::as_bool) == Some(true) {
        title.push_str("Parallel ");
    }
    title.push_str(name);
    if backward {
        title.push_str(" Backward");
    }
    match (kind, join) {
        ("Nested Loop", Some(join)) => title.push_str(&format!(" {join} Join")),
        ("Hash Join" | "Merge Join", Some(join)) => {
            title.insert_str(title.len() - "Join".len(), &format!("{join} "));
        }
        _ => {}
    }
    title
}

fn push(line: &mut String, word: &str, what: Option<&str>) {
    if let Some(what) = what {
        line.push_str(&format!(" {word} {what}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(plan: Value) -> Plan {
        let partitions = Partitions::from([("flyers_2024".to_owned(), "flyers".to_owned())]);
        Plan {
            system: Dialect::Postgres,
            nodes: tree(&json!([{ "Plan": plan }]), &partitions),
        }
    }

    #[test]
    fn what_is_walked_from_end_to_end_is_told_from_subqueries_and_searches() {
        let answer = |node: Value| json!([{ "Plan": { "Node Type": "Limit", "Plans": [node] } }]);
        let of_table = |kind: &str| json!({ "Node Type": kind, "Relation Name": "flyers" });
        let reads_all = |answer: &Value| reads_all(answer, &BTreeSet::from(["states".to_owned()]));
        assert!(reads_all(&answer(of_table("Seq Scan"))));
        assert!(reads_all(&answer(of_table("Index Only Scan"))));
        let search = json!({
            "Node Type": "Index Scan",
            "Relation Name": "flyers",
            "Index Cond": "(id = 1)",
        });
        assert!(!reads_all(&answer(search)));
        let rows = json!({ "Node Type": "CTE Scan", "CTE Name": "page" });
        assert!(!reads_all(&answer(rows)));
        let small = json!({ "Node Type": "Seq Scan", "Relation Name": "states" });
        assert!(!reads_all(&answer(small)));
    }

    #[test]
    fn every_node_type_has_its_operation() {
        use Operation as O;
        let cases = [
            ("Seq Scan", O::Scan),
            ("Sample Scan", O::Scan),
            ("Index Scan", O::IndexWalk),
            ("Index Only Scan", O::IndexWalk),
            ("Bitmap Heap Scan", O::Bitmap),
            ("BitmapAnd", O::Bitmap),
            ("BitmapOr", O::Bitmap),
            ("Tid Scan", O::Search),
            ("Tid Range Scan", O::Search),
            ("Sort", O::Sort(SortReason::Order)),
            ("Incremental Sort", O::Sort(SortReason::OrderTail)),
            ("Nested Loop", O::Join(JoinMethod::NestedLoop)),
            ("Hash Join", O::Join(JoinMethod::Hash)),
            ("Merge Join", O::Join(JoinMethod::Merge)),
            ("Limit", O::Limit),
            ("Group", O::Aggregate(Grouping::Sorted)),
            ("Aggregate", O::Aggregate(Grouping::Hashed)),
            ("Unique", O::Unique),
            ("Hash", O::Store(Store::Hash)),
            ("Materialize", O::Store(Store::Again)),
            ("Memoize", O::Store(Store::Again)),
            ("ModifyTable", O::Write),
            ("Append", O::Compound),
            ("Merge Append", O::Compound),
            ("Recursive Union", O::Compound),
            ("SetOp", O::Compound),
            ("Values Scan", O::Constant),
            ("Result", O::Constant),
            ("Function Scan", O::TableFunction),
            ("Table Function Scan", O::TableFunction),
            ("CTE Scan", O::Scan),
            ("WorkTable Scan", O::Scan),
            ("Named Tuplestore Scan", O::Scan),
            ("Subquery Scan", O::Other),
            ("Gather", O::Other),
            ("Gather Merge", O::Other),
            ("LockRows", O::Other),
            ("ProjectSet", O::Other),
            ("WindowAgg", O::Other),
            ("Foreign Scan", O::Other),
            ("Custom Scan", O::Other),
            ("Node of Tomorrow", O::Other),
        ];
        for (kind, operation) in cases {
            let plan = read(json!({ "Node Type": kind }));
            assert_eq!(plan.nodes[0].operation, operation, "{kind}");
        }
    }

    #[test]
    fn rows_of_parallel_workers_are_counted_together() {
        let plan = read(json!({
            "Node Type": "Gather", "Workers Planned": 2, "Plan Rows": 10, "Total Cost": 1.5,
            "Plans": [{
                "Node Type": "Seq Scan", "Parallel Aware": true, "Relation Name": "flyers",
                "Alias": "flyers", "Plan Rows": 1000, "Total Cost": 1.0,
            }],
        }));
        let rows: Vec<f64> = plan
            .walk()
            .filter_map(|node| Some(node.estimate?.rows))
            .collect();
        assert_eq!(rows, [10.0, 2400.0]);
        assert_eq!(plan.to_string(), "Gather\n  Parallel Seq Scan on flyers\n");
    }

    #[test]
    fn a_partition_is_its_table() {
        let plan = read(json!({
            "Node Type": "Seq Scan", "Relation Name": "flyers_2024", "Alias": "f",
        }));
        assert_eq!(plan.to_string(), "Seq Scan on f  [flyers]\n");
        assert_eq!(plan.summary(), "flyers scanned");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let keys = prop::sample::select(vec![
            "Node Type",
            "Plan",
            "Plans",
            "Relation Name",
            "Alias",
            "Index Name",
            "Index Cond",
            "Filter",
            "Sort Key",
            "Strategy",
            "Join Type",
            "Subplan Name",
            "Parent Relationship",
            "Workers Planned",
            "Parallel Aware",
            "Plan Rows",
            "Total Cost",
            "CTE Name",
        ]);
        let names = prop::sample::select(vec![
            "Seq Scan",
            "Index Scan",
            "Bitmap Heap Scan",
            "Sort",
            "Hash Join",
            "Merge Join",
            "Limit",
            "SubPlan",
            "InitPlan",
            "CTE x",
            "Anti",
            "é",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            names.prop_map(Value::from),
            "\\PC*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..8)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_panic(json in any_json()) {
            let nodes = tree(&json!([{ "Plan": json.clone() }, json]), &Partitions::new());
            let plan = Plan { system: Dialect::Postgres, nodes };
            let _ = (plan.to_string(), plan.summary());
        }
    }
}
