//! Candidates from the facts of a whole workload.

use std::collections::{BTreeMap, BTreeSet};

use speedwell_sql::Dialect;

use super::{
    candidate::{BYTES, Candidate, Key, Method, NO_CASE, PATHS, TRIGRAMS},
    facts::{Facts, Search, WriteKind},
    sample::Samples,
};
use crate::{Index, Schema, Table};

/// Columns that are stored beside; more make a second table.
const MOST_INCLUDED: usize = 3;
/// Behind a range, of which many rows are read to keep a few, more are worth it.
const MOST_BEHIND_RANGE: usize = 6;
/// Characters of all that is stored beside, on average.
const WIDEST_TOGETHER: usize = 128;
/// Characters of a column that is stored beside, on average.
const WIDEST_INCLUDED: usize = 32;
/// Values of a column whose constants make a partial index.
const FEW_VALUES: usize = 10;
/// PostgreSQL takes 32 columns; an index of more than a few serves nobody.
const MOST_KEYS: usize = 6;
/// Candidates of one table; each is built and tried.
const MOST_OF_A_TABLE: usize = 48;

/// What candidates are made from.
pub(crate) struct Workload<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) schema: &'a Schema,
    pub(crate) samples: &'a Samples,
    pub(crate) facts: Vec<&'a Facts>,
    /// Whether texts can be indexed by their pieces.
    pub(crate) trigrams: bool,
}

/// The indexes that the workload's structure asks for and that are not there, sorted.
pub(crate) fn candidates(workload: &Workload<'_>) -> Vec<Candidate> {
    let mut asked: BTreeMap<Candidate, usize> = BTreeMap::new();
    for facts in &workload.facts {
        let mut own = BTreeSet::new();
        for search in &facts.searches {
            if let Some(table) = workload.table(&search.table) {
                Searching {
                    workload,
                    table,
                    search,
                    found: &mut own,
                }
                .all();
            }
        }
        own.extend(workload.referring(facts));
        for candidate in own {
            *asked.entry(candidate).or_default() += 1;
        }
    }
    // Limited first: else what is there would make room for others, and whoever follows the advice and
    // asks again would be advised more.
    let mut kept = limited(asked);
    kept.retain(|candidate| !workload.is_there(candidate));
    kept
}

/// The most asked for of each table.
fn limited(asked: BTreeMap<Candidate, usize>) -> Vec<Candidate> {
    let mut by_table: BTreeMap<String, Vec<(Candidate, usize)>> = BTreeMap::new();
    for (candidate, times) in asked {
        by_table
            .entry(candidate.table.clone())
            .or_default()
            .push((candidate, times));
    }
    let mut kept = Vec::new();
    for mut of_table in by_table.into_values() {
        of_table.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        of_table.truncate(MOST_OF_A_TABLE);
        kept.extend(of_table.into_iter().map(|(candidate, _)| candidate));
    }
    kept.sort();
    // `t (a_b)` and `t (a, b)` would be called alike.
    let mut names = BTreeSet::new();
    kept.retain(|candidate| names.insert(candidate.name()));
    kept
}

impl Workload<'_> {
    fn table(&self, name: &str) -> Option<&Table> {
        self.schema.table(name).filter(|table| !table.virtual_table)
    }

    /// Indexes for the rows that refer to one that goes.
    fn referring(&self, facts: &Facts) -> Vec<Candidate> {
        let Some(write) = &facts.write else {
            return Vec::new();
        };
        let keys = self.table(&write.table).map(|table| &table.primary_key);
        let fires = match &write.kind {
            WriteKind::Insert => false,
            WriteKind::Delete => true,
            WriteKind::Update(set) => keys.is_some_and(|keys| keys.iter().any(|k| set.contains(k))),
        };
        if !fires {
            return Vec::new();
        }
        let children = self.schema.tables.values().flat_map(|child| {
            let own = |key: &&crate::ForeignKey| key.table.eq_ignore_ascii_case(&write.table);
            child
                .foreign_keys
                .iter()
                .filter(own)
                .map(move |key| (child, key))
        });
        children
            .map(|(child, key)| Candidate {
                table: child.name.clone(),
                method: Method::Btree,
                keys: key.columns.iter().map(|name| Key::column(name)).collect(),
                included: Vec::new(),
                condition: None,
            })
            .collect()
    }

    /// How many searches of the workload fix the column: what many fix comes first, so that one
    /// index serves several statements.
    fn popularity(&self, table: &str, column: &str) -> usize {
        let searches = self.facts.iter().flat_map(|facts| &facts.searches);
        searches
            .filter(|search| search.table == table && search.equal.contains(column))
            .count()
    }

    /// Whether an index of the database begins so already.
    fn is_there(&self, candidate: &Candidate) -> bool {
        let Some(table) = self.table(&candidate.table) else {
            return true;
        };
        let key = table.primary_key.iter().map(|name| Key::column(name));
        let key: Vec<Key> = key.collect();
        let simple = candidate.included.is_empty() && candidate.condition.is_none();
        let in_key = simple
            && !key.is_empty()
            && (self.dialect == Dialect::Postgres || table.without_rowid || key.len() == 1)
            && key.starts_with(&candidate.keys);
        in_key
            || table
                .indexes
                .iter()
                .any(|index| same(index, candidate, self.dialect))
    }
}

/// Whether the index does all that the candidate would.
fn same(index: &Index, candidate: &Candidate, dialect: Dialect) -> bool {
    if index.name == candidate.name() && index.valid {
        return true;
    }
    if candidate.method == Method::Gin {
        return index.method == "gin"
            && index
                .columns
                .iter()
                .any(|column| column.name == candidate.keys[0].term);
    }
    // What is not known of an index is whether it has the class.
    let is_classed = candidate.keys.iter().any(|key| key.class.is_some());
    if !index.is_ordered() || index.partial.is_some() || is_classed {
        return false;
    }
    let mut keys = candidate.keys.clone();
    if dialect != Dialect::Postgres {
        keys.extend(candidate.included.iter().map(|name| Key::column(name)));
    }
    let begins = |reversed: bool| {
        keys.len() <= index.columns.len()
            && keys.iter().zip(&index.columns).all(|(key, column)| {
                plain(&key.term) == plain(&column.name)
                    && key.expression == column.expression
                    && key.descending == (column.descending != reversed)
            })
    };
    let stores = |name: &String| {
        index.included.contains(name) || index.columns.iter().any(|column| column.name == *name)
    };
    let covers = dialect != Dialect::Postgres || candidate.included.iter().all(stores);
    candidate.condition.is_none() && covers && (begins(false) || begins(true))
}

/// An expression without what databases add when they print it.
fn plain(term: &str) -> String {
    let kept = term
        .chars()
        .filter(|c| !c.is_whitespace() && !"()\"".contains(*c));
    let kept = kept.collect::<String>().to_lowercase();
    kept.replace("::text", "")
}

/// The candidates of one search.
struct Searching<'s> {
    workload: &'s Workload<'s>,
    table: &'s Table,
    search: &'s Search,
    found: &'s mut BTreeSet<Candidate>,
}

impl Searching<'_> {
    fn all(&mut self) {
        let few = |column: &&String| {
            let condition = self.search.constants.get(*column);
            if condition.is_some_and(|condition| condition.ends_with(" NULL")) {
                // Null or not is one of two, however many values there are; a key never is null.
                return !self.table.primary_key.contains(*column);
            }
            let kind = self.table.columns.iter().find(|own| own.name == **column);
            kind.is_some_and(|own| own.kind.to_lowercase().starts_with("bool"))
                || self.workload.samples.distinct(&self.table.name, column) <= FEW_VALUES
        };
        // A constant of few values narrows little: as a condition it makes the index smaller, as
        // a column it would only make it longer. SQLite, though, takes an index that is searched
        // with `=` before one that is only walked, however good.
        let fixed: BTreeSet<String> = self.search.constants.keys().filter(few).cloned().collect();
        let left_out = match self.workload.dialect {
            Dialect::Postgres => fixed.clone(),
            _ => BTreeSet::new(),
        };
        self.with_condition(None, &left_out);
        if !fixed.is_empty() {
            let conditions = fixed
                .iter()
                .filter_map(|name| self.search.constants.get(name));
            let condition: Vec<&str> = conditions.map(String::as_str).collect();
            self.with_condition(Some(condition.join(" AND ")), &fixed);
        }
        for expression in self.search.expressions.clone() {
            let key = Key {
                term: expression,
                expression: true,
                descending: false,
                class: None,
            };
            self.add(vec![key], None);
        }
        self.texts();
        for (column, is_document) in self.search.holds.clone() {
            self.parts(&column, is_document.then_some(PATHS));
        }
    }

    /// For texts that begin alike, and for those that hold a text.
    fn texts(&mut self) {
        let class = match self.workload.dialect {
            Dialect::Postgres => BYTES,
            _ => NO_CASE,
        };
        let equal = self.sorted(&self.search.equal);
        for column in self.search.prefixes.clone() {
            let begins = Key::with_class(&column, Some(class));
            let first = equal.iter().filter(|name| **name != column);
            let mut keys: Vec<Key> = first.map(|name| Key::column(name)).collect();
            keys.push(begins.clone());
            self.add(keys, None);
            self.add(vec![begins], None);
        }
        if self.workload.trigrams {
            for column in self.search.contains.clone() {
                self.parts(&column, Some(TRIGRAMS));
            }
        }
    }

    /// The index of the parts of a column's values.
    fn parts(&mut self, column: &str, class: Option<&'static str>) {
        self.found.insert(Candidate {
            table: self.table.name.clone(),
            method: Method::Gin,
            keys: vec![Key::with_class(column, class)],
            included: Vec::new(),
            condition: None,
        });
    }

    /// The candidates for what is left to search once `fixed` is met by the condition.
    fn with_condition(&mut self, condition: Option<String>, fixed: &BTreeSet<String>) {
        let left = |set: &BTreeSet<String>| -> BTreeSet<String> {
            set.difference(fixed).cloned().collect()
        };
        let equal = left(&self.search.equal);
        let listed: BTreeSet<String> = left(&self.search.listed);
        let joined: BTreeSet<String> = left(&self.search.joined);
        let both: BTreeSet<String> = equal.union(&listed).cloned().collect();
        let all: BTreeSet<String> = both.union(&joined).cloned().collect();
        let order: Vec<(String, bool)> = self
            .search
            .order
            .iter()
            .filter(|(name, _)| !self.search.equal.contains(name))
            .cloned()
            .collect();
        // What is compared with a value is found first, before a range or an order of the others, and
        // before a join, unless other searches join by the same column.
        let is_constant = |name: &String| self.search.constants.contains_key(name);
        let all_constant = self.search.equal.iter().all(is_constant);
        let by_join =
            |set: &BTreeSet<String>| all_constant || set.iter().any(|name| self.joins_by(name) > 1);
        let mut sets = vec![equal, all];
        if by_join(&joined) {
            sets.push(joined.clone());
        }
        // Of several joins one leads to the table and the others lead on from it: an index for
        // that one must begin with its column.
        for column in joined.iter().filter(|_| joined.len() > 1) {
            let one = BTreeSet::from([column.clone()]);
            sets.push(&both | &one);
            if by_join(&one) {
                sets.push(one);
            }
        }
        sets.push(both);
        for set in sets {
            let is_narrow = !set.is_empty() || all_constant;
            if is_narrow && !self.is_unique(&set) {
                self.behind(&set, &order, condition.as_ref());
            }
        }
        // An order alone helps where the walk can stop early.
        if self.search.limited && all_constant && !order.is_empty() {
            self.behind(&BTreeSet::new(), &order, condition.as_ref());
        }
    }

    /// How many searches of the workload join this table by the column.
    fn joins_by(&self, column: &str) -> usize {
        let searches = self.workload.facts.iter().flat_map(|facts| &facts.searches);
        searches
            .filter(|search| search.table == self.table.name && search.joined.contains(column))
            .count()
    }

    /// A primary or unique key finds these rows already.
    fn is_unique(&self, set: &BTreeSet<String>) -> bool {
        let names: Vec<&str> = set.iter().map(String::as_str).collect();
        !names.is_empty() && self.table.is_unique(&names)
    }

    /// The columns of the set, then the order or one range.
    fn behind(
        &mut self,
        set: &BTreeSet<String>,
        order: &[(String, bool)],
        condition: Option<&String>,
    ) {
        let first: Vec<Key> = self
            .sorted(set)
            .iter()
            .map(|name| Key::column(name))
            .collect();
        let mut further: Vec<Vec<Key>> = Vec::new();
        let own = order.iter().filter(|(name, _)| !set.contains(name));
        let order: Vec<Key> = own.map(|(name, down)| Key::sorted(name, *down)).collect();
        if !order.is_empty() {
            further.push(order);
        }
        let ranges = self
            .search
            .ranges
            .iter()
            .filter(|range| !set.contains(*range));
        further.extend(ranges.map(|range| vec![Key::column(range)]));
        if further.is_empty() && !first.is_empty() {
            // Any of the others would serve as well, and more.
            further.push(Vec::new());
        }
        for keys in further {
            let keys: Vec<Key> = first.iter().cloned().chain(keys).collect();
            self.add(keys, condition);
        }
    }

    /// In the order that serves most of the workload.
    fn sorted(&self, set: &BTreeSet<String>) -> Vec<String> {
        let place = |name: &String| self.table.columns.iter().position(|own| own.name == *name);
        let mut names: Vec<String> = set.iter().cloned().collect();
        names.sort_by_key(|name| {
            let popularity = self.workload.popularity(&self.table.name, name);
            (std::cmp::Reverse(popularity), place(name))
        });
        names
    }

    /// The index, and the one that also holds what is read besides.
    fn add(&mut self, keys: Vec<Key>, condition: Option<&String>) {
        let mut keys = keys;
        keys.truncate(MOST_KEYS);
        let candidate = Candidate {
            table: self.table.name.clone(),
            method: Method::Btree,
            keys,
            included: Vec::new(),
            condition: condition.cloned(),
        };
        if let Some(included) = self.beside(&candidate) {
            self.found.insert(Candidate {
                included,
                ..candidate.clone()
            });
        }
        self.found.insert(candidate);
    }

    /// What must be stored beside so that the table need not be looked at; none if that is
    /// nothing, or too much.
    fn beside(&self, candidate: &Candidate) -> Option<Vec<String>> {
        if self.search.uses_all || candidate.keys.iter().any(|key| key.expression) {
            return None;
        }
        let in_key = |name: &String| candidate.keys.iter().any(|key| key.term == *name);
        let condition = candidate.condition.as_deref().unwrap_or_default();
        // A column that the condition fixes needs no looking at.
        let met = |name: &String| {
            let fixed = self.search.constants.get(name);
            fixed.is_some_and(|text| condition.contains(text.as_str()))
        };
        let rowid = |name: &String| {
            self.workload.dialect != Dialect::Postgres
                && self.table.primary_key == [name.clone()]
                && !self.table.without_rowid
        };
        let used = self.search.used.iter();
        let names: Vec<String> = used
            .filter(|name| !in_key(name) && !met(name) && !rowid(name))
            .cloned()
            .collect();
        let width = |name: &String| self.workload.samples.width(&self.table.name, name);
        let narrow = |name: &String| width(name) <= WIDEST_INCLUDED;
        let last = candidate.keys.last();
        let most = match last.is_some_and(|key| self.search.ranges.contains(&key.term)) {
            true => MOST_BEHIND_RANGE,
            false => MOST_INCLUDED,
        };
        (1..=most)
            .contains(&names.len())
            .then_some(names)
            .filter(|names| names.iter().all(narrow))
            .filter(|names| names.iter().map(width).sum::<usize>() <= WIDEST_TOGETHER)
    }
}

#[cfg(test)]
mod tests;
