//! An index finds many rows of which a filter throws nearly all away.

use super::{
    Certainty, Fault, LintContext, LintKind,
    access::{Access, accesses},
};
use crate::{Operation, suggest};

/// Fewer rows than this cost nothing to throw away.
const MANY_ROWS: f64 = 1000.0;
/// Who keeps less than this share of what was found is badly served.
const SMALL_SHARE: f64 = 0.1;

/// The lookup, and what it finds and keeps.
pub(super) struct DiscardingFilter {
    table: String,
    index: Option<String>,
    found: f64,
    kept: f64,
    certainty: Certainty,
    detail: String,
}

impl Fault for DiscardingFilter {
    const KIND: LintKind = LintKind::DiscardingFilter;

    fn check(context: &LintContext<'_>) -> Vec<Self> {
        let accesses = accesses(context).into_iter();
        accesses
            .filter_map(|access| of_access(context, access))
            .collect()
    }

    fn table(&self) -> &str {
        &self.table
    }

    fn index(&self) -> Option<&str> {
        self.index.as_deref()
    }

    fn certainty(&self) -> Certainty {
        self.certainty
    }

    fn sentence(&self) -> String {
        format!(
            "About {:.0} rows of {} are found by index and about {:.0} of them are kept.",
            self.found, self.table, self.kept
        )
    }

    fn detail(&self) -> &str {
        &self.detail
    }
}

fn of_access(context: &LintContext<'_>, access: Access<'_>) -> Option<DiscardingFilter> {
    let node = access.node;
    let table = node.table.as_deref().filter(|table| context.grows(table))?;
    node.filter.as_ref()?;
    // A bitmap is collected by the lookups inside it, of which only a single one says how much.
    let lookup = match (node.operation, node.children.as_slice()) {
        (Operation::Search, _) => node,
        (Operation::Bitmap, [lookup]) if lookup.operation == Operation::Search => lookup,
        _ => return None,
    };
    let schema = context.schema.table(table)?;
    let fixed: Vec<&str> = lookup
        .constraints
        .iter()
        .filter_map(|constraint| constraint.strip_suffix("=?"))
        .collect();
    if schema.is_unique(&fixed) || access.repeated {
        return None;
    }
    let shares = fixed.iter().filter_map(|name| {
        let column = schema.columns.iter().find(|column| column.name == *name)?;
        Some(1.0 / column.distinct? as f64)
    });
    let found = match node.operation {
        // The planner says what the lookup alone finds.
        Operation::Bitmap => lookup.estimate?.rows,
        _ => schema.rows? as f64 * shares.reduce(f64::min)?,
    };
    let kept = node.estimate?.rows;
    if found < MANY_ROWS || kept > SMALL_SHARE * found {
        return None;
    }
    let suggestion = context
        .structure
        .and_then(|structure| suggest(structure, table, context.schema));
    Some(DiscardingFilter {
        table: table.to_owned(),
        index: lookup.index.clone(),
        found,
        kept,
        certainty: match (access.stops, suggestion) {
            (false, Some(_)) => Certainty::Likely,
            _ => Certainty::Possible,
        },
        detail: node.detail.clone(),
    })
}
