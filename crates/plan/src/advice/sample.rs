//! Rows of the scratch copy: values to run statements with, and what they tell of columns.

mod literal;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use speedwell_sql::Dialect;

use self::literal::{absent, beginning, filled, kind, middle, quote, written};
use super::facts::{Compared, Facts, Slot};
use crate::{Schema, Table};

/// Rows of a table that are looked at.
pub(crate) const LOOKED_AT: u32 = 2000;
/// Values of an array.
const LIST: usize = 10;
/// Rows of a page.
const PAGE: &str = "20";

/// Some rows of one table, values as texts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

/// Some rows of every table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(pub(crate) BTreeMap<String, Sample>);

/// One choice of values for a statement's placeholders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The value that so many places down the list of frequencies stands.
    Frequent(usize),
    /// Those of a row, by its share of the sample in percent.
    Row(usize),
    /// The rarest values.
    Rare,
    /// Values that no row has.
    Absent,
}

/// The values of a row, in the order of its columns.
type Cells = Vec<Option<String>>;
/// The values of a row by its columns.
type Row<'s> = BTreeMap<&'s str, &'s Option<String>>;
/// A row for each table.
type Rows<'s> = BTreeMap<&'s str, Row<'s>>;

/// What a value is compared with.
#[derive(Debug, Clone, Copy)]
struct Target<'a> {
    table: &'a str,
    column: &'a str,
    kind: &'a str,
    how: Compared,
}

impl<'a> Target<'a> {
    fn new(table: &'a str, column: &'a str, kind: &'a str, how: Compared) -> Self {
        Self {
            table,
            column,
            kind,
            how,
        }
    }
}

pub(crate) const PICKS: [Pick; 6] = [
    Pick::Frequent(0),
    Pick::Rare,
    Pick::Absent,
    Pick::Frequent(1),
    Pick::Row(30),
    Pick::Row(70),
];

impl Samples {
    /// Distinct values of a column in the sample.
    pub(crate) fn distinct(&self, table: &str, column: &str) -> usize {
        self.values(table, column).collect::<BTreeSet<_>>().len()
    }

    /// Bytes of a column's values on average.
    pub(crate) fn width(&self, table: &str, column: &str) -> usize {
        let (mut bytes, mut count) = (0, 0_usize);
        for value in self.values(table, column) {
            bytes += value.len();
            count += 1;
        }
        bytes.checked_div(count).unwrap_or(0)
    }

    fn values(&self, table: &str, column: &str) -> impl Iterator<Item = &str> {
        let sample = self.0.get(table);
        let place = sample.and_then(|sample| sample.columns.iter().position(|own| own == column));
        let rows = sample
            .map(|sample| sample.rows.as_slice())
            .unwrap_or_default();
        rows.iter()
            .filter_map(move |row| row.get(place?)?.as_deref())
    }

    /// Values of a column, most frequent first.
    fn by_frequency(&self, table: &str, column: &str) -> Vec<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for value in self.values(table, column) {
            *counts.entry(value).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        counts.into_iter().map(|(value, _)| value).collect()
    }

    /// The statement with values in place of its placeholders: hot, cold, absent, and those of
    /// rows. One text if it has no placeholders.
    pub(crate) fn texts(&self, facts: &Facts, dialect: Dialect, schema: &Schema) -> Vec<String> {
        let mut texts = Vec::new();
        for pick in PICKS {
            let text = self.text(&facts.text, facts, pick, &BTreeMap::new(), dialect, schema);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// A text with the placeholders of these facts, and one choice of values in their place; some
    /// may be given.
    pub(crate) fn text(
        &self,
        text: &str,
        facts: &Facts,
        pick: Pick,
        given: &BTreeMap<usize, String>,
        dialect: Dialect,
        schema: &Schema,
    ) -> String {
        let rows = self.rows(facts, pick);
        let bounded = bounded(facts);
        let literal = |(number, slot): (&usize, &Slot)| {
            let known = given.get(number).cloned();
            let from = Source {
                rows: &rows,
                bounded: &bounded,
                schema,
                dialect,
            };
            let value = known.unwrap_or_else(|| self.literal(slot, pick, &from));
            (*number, value)
        };
        let literals: BTreeMap<usize, String> = facts.slots.iter().map(literal).collect();
        filled(text, dialect, &literals)
    }

    /// A value of a column as SQL.
    pub(crate) fn written(
        &self,
        value: &str,
        table: &Table,
        column: &str,
        dialect: Dialect,
    ) -> String {
        written(value, kind(Some(table), column), dialect)
    }

    /// For each table the row that the values come from which are compared with its columns.
    fn rows<'s>(&'s self, facts: &'s Facts, pick: Pick) -> Rows<'s> {
        let rows = together(facts).into_iter().filter_map(|(table, columns)| {
            let row = self.row(table, &columns, pick)?;
            Some((table, row))
        });
        rows.collect()
    }

    /// A row by the values of these columns: the most frequent ones, the rarest, or by its place.
    fn row(&self, table: &str, columns: &BTreeSet<&str>, pick: Pick) -> Option<Row<'_>> {
        let sample = self.0.get(table)?;
        let place = |name: &&str| sample.columns.iter().position(|own| own == name);
        let places: Vec<usize> = columns.iter().filter_map(place).collect();
        let values = |row: &Cells| -> Option<Vec<String>> {
            let values = places.iter().map(|place| row.get(*place)?.clone());
            values.collect()
        };
        let rows = sample.rows.iter();
        let full: Vec<_> = rows.filter_map(|row| Some((values(row)?, row))).collect();
        let mut counts: BTreeMap<&[String], (usize, &Cells)> = BTreeMap::new();
        for (values, row) in &full {
            counts.entry(values).or_insert((0, row)).0 += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|one, other| other.1.0.cmp(&one.1.0).then(one.0.cmp(other.0)));
        let cells = match pick {
            Pick::Frequent(at) => counts.get(at).map(|(_, (_, row))| *row),
            Pick::Rare => counts.last().map(|(_, (_, row))| *row),
            Pick::Row(share) => full.get(full.len() * share / 100).map(|(_, row)| *row),
            Pick::Absent => None,
        };
        let columns = sample.columns.iter().map(String::as_str);
        Some(columns.zip(cells?).collect())
    }

    fn literal(&self, slot: &Slot, pick: Pick, from: &Source<'_>) -> String {
        let (schema, dialect) = (from.schema, from.dialect);
        match slot {
            Slot::Limit => PAGE.to_owned(),
            Slot::Offset | Slot::Amount | Slot::Place => "0".to_owned(),
            Slot::Other => "NULL".to_owned(),
            Slot::Stored { table, column } => {
                let known = schema.table(table);
                let pick = match pick {
                    // A stored key must not be there yet.
                    _ if known.is_some_and(|known| known.is_unique(&[column])) => Pick::Absent,
                    Pick::Absent => Pick::Rare,
                    _ => pick,
                };
                let target = Target::new(table, column, kind(known, column), Compared::Equal);
                self.sql(target, self.value(table, column, pick), pick, dialect)
            }
            Slot::Compared {
                table,
                column,
                member: Some(member),
                how,
            } => {
                let (members, kind) = self.members(table, column, member);
                let value = members.compared(table, column, *how, pick);
                members.sql(Target::new(table, column, kind, *how), value, pick, dialect)
            }
            Slot::Compared {
                table, column, how, ..
            } => {
                let row = from.rows.get(table.as_str());
                let own = row.and_then(|row| (*row.get(column.as_str())?).clone());
                let is_between = from.bounded.contains(&(table, column));
                let alone = || self.compared(table, column, *how, pick);
                let value = match how {
                    Compared::Above | Compared::Below if is_between => {
                        between(*how, pick).and_then(|share| self.at(table, column, share))
                    }
                    // What lies above a bound depends on where all the values lie.
                    Compared::Above | Compared::Below if !matches!(pick, Pick::Row(_)) => alone(),
                    _ => own.or_else(alone),
                };
                let kind = kind(schema.table(table), column);
                self.sql(Target::new(table, column, kind, *how), value, pick, dialect)
            }
        }
    }

    /// A value, by itself, to compare the column with.
    fn compared(&self, table: &str, column: &str, how: Compared, pick: Pick) -> Option<String> {
        match (how, pick) {
            (Compared::Above | Compared::Below, Pick::Row(_)) => self.value(table, column, pick),
            (Compared::Above | Compared::Below, _) => self.bound(table, column, pick),
            _ => self.value(table, column, pick),
        }
    }

    /// A value as SQL; without one, a value that no row has.
    fn sql(
        &self,
        target: Target<'_>,
        value: Option<String>,
        pick: Pick,
        dialect: Dialect,
    ) -> String {
        let value = value.unwrap_or_else(|| absent(target.kind).to_owned());
        match target.how {
            Compared::Array => {
                let list = self.list(target.table, target.column, &value, pick);
                format!("'{{{list}}}'")
            }
            Compared::Pattern => quote(&format!("%{}%", middle(&value))),
            Compared::Middle => quote(&middle(&value)),
            Compared::Prefix => quote(&beginning(&value)),
            _ => written(&value, target.kind, dialect),
        }
    }

    /// One member of the documents of a column, as a column, and its kind: SQLite gives a number
    /// as a number.
    fn members(&self, table: &str, column: &str, member: &str) -> (Self, &'static str) {
        let mut kind = "";
        let mut rows = Vec::new();
        for document in self.values(table, column) {
            let document = serde_json::from_str::<Value>(document).unwrap_or_default();
            rows.push(vec![match document.get(member) {
                Some(Value::String(text)) => {
                    kind = "text";
                    Some(text.clone())
                }
                None | Some(Value::Null) => None,
                Some(other) => Some(other.to_string()),
            }]);
        }
        let columns = vec![column.to_owned()];
        let sample = Sample { columns, rows };
        (Self(BTreeMap::from([(table.to_owned(), sample)])), kind)
    }

    fn value(&self, table: &str, column: &str, pick: Pick) -> Option<String> {
        let found = match pick {
            Pick::Frequent(at) => self.by_frequency(table, column).get(at).copied(),
            Pick::Rare => self.by_frequency(table, column).last().copied(),
            Pick::Row(share) => {
                let values: Vec<&str> = self.values(table, column).collect();
                values.get(values.len() * share / 100).copied()
            }
            Pick::Absent => None,
        };
        found.map(str::to_owned)
    }

    /// A place in the order of the values; beyond them for an absent one.
    fn bound(&self, table: &str, column: &str, pick: Pick) -> Option<String> {
        let share = match pick {
            Pick::Frequent(0) => 50,
            Pick::Frequent(_) => 90,
            Pick::Rare => 10,
            _ => return None,
        };
        self.at(table, column, share)
    }

    /// The value below which this share of all lies, in percent.
    fn at(&self, table: &str, column: &str, share: usize) -> Option<String> {
        let mut values: Vec<&str> = self.values(table, column).collect();
        let number = |value: &str| value.parse::<f64>().ok();
        match values.iter().all(|value| number(value).is_some()) {
            true => values.sort_by(|a, b| {
                let (a, b) = (number(a).unwrap_or(0.0), number(b).unwrap_or(0.0));
                a.total_cmp(&b)
            }),
            false => values.sort_unstable(),
        }
        values
            .get(values.len() * share.min(99) / 100)
            .map(|value| (*value).to_owned())
    }

    fn list(&self, table: &str, column: &str, value: &str, pick: Pick) -> String {
        let plain = |value: &&str| !value.contains([',', '"', '\'', '{', '}', '\\', ' ']);
        let mut values = self.by_frequency(table, column);
        if pick == Pick::Rare {
            values.reverse();
        }
        let values: Vec<&str> = match pick {
            Pick::Absent => vec![value],
            _ => values.into_iter().filter(plain).take(LIST).collect(),
        };
        values
            .into_iter()
            .filter(plain)
            .collect::<Vec<_>>()
            .join(",")
    }
}

/// What values are made from.
struct Source<'f> {
    rows: &'f Rows<'f>,
    bounded: &'f BTreeSet<(&'f String, &'f String)>,
    schema: &'f Schema,
    dialect: Dialect,
}

/// The bounds of a range, by the share of values that lie below them, in percent; none of values that
/// no row has.
fn between(how: Compared, pick: Pick) -> Option<usize> {
    let (low, high) = match pick {
        Pick::Frequent(0) => (45, 55),
        Pick::Frequent(_) => (20, 50),
        Pick::Rare => (10, 11),
        Pick::Row(share) => (share, share + 3),
        Pick::Absent => return None,
    };
    Some(match how {
        Compared::Below => high,
        _ => low,
    })
}

/// The columns that are compared from both sides.
fn bounded(facts: &Facts) -> BTreeSet<(&String, &String)> {
    let sided = |side: Compared| -> BTreeSet<(&String, &String)> {
        let slots = facts.slots.values();
        let of_side = slots.filter_map(|slot| match slot {
            Slot::Compared {
                table,
                column,
                member: None,
                how,
            } if *how == side => Some((table, column)),
            _ => None,
        });
        of_side.collect()
    };
    &sided(Compared::Above) & &sided(Compared::Below)
}

/// The columns of each table that are compared with single values.
fn together(facts: &Facts) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut together: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for slot in facts.slots.values() {
        if let Slot::Compared {
            table,
            column,
            member: None,
            how: Compared::Equal,
        } = slot
        {
            together.entry(table).or_default().insert(column);
        }
    }
    together
}

#[cfg(test)]
mod tests {
    use super::{literal::NOWHERE, *};

    #[test]
    fn values_that_are_compared_together_stand_together_in_a_row() {
        // Tenant 1 is the largest, and user 7 the busiest, but of tenant 2.
        let pairs = ["1 3", "1 4", "1 5", "1 6", "2 7", "2 7", "2 7"];
        let row = |pair: &str| {
            pair.split(' ')
                .map(|value| Some(value.to_owned()))
                .collect()
        };
        let sample = Sample {
            columns: vec!["tenant".to_owned(), "assignee".to_owned()],
            rows: pairs.map(row).to_vec(),
        };
        let samples = Samples(BTreeMap::from([("tickets".to_owned(), sample)]));
        let slot = |column: &str| Slot::Compared {
            table: "tickets".to_owned(),
            column: column.to_owned(),
            member: None,
            how: Compared::Equal,
        };
        let facts = Facts {
            text: "$1 $2".to_owned(),
            slots: BTreeMap::from([(1, slot("tenant")), (2, slot("assignee"))]),
            ..Facts::default()
        };
        let texts = samples.texts(&facts, Dialect::Postgres, &Schema::default());
        let absent = format!("'{NOWHERE}' '{NOWHERE}'");
        assert_eq!(texts, ["'2' '7'", "'1' '6'", &absent, "'1' '3'", "'1' '5'"]);
    }

    #[test]
    fn a_member_of_documents_is_tried_with_what_it_holds() {
        let row = |document: &str| vec![Some(document.to_owned())];
        let documents = [r#"{"order": "7", "user": 4}"#, r#"{"user": 5}"#, "7", "{"];
        let sample = Sample {
            columns: vec!["payload".to_owned()],
            rows: documents.map(row).to_vec(),
        };
        let samples = Samples(BTreeMap::from([("events".to_owned(), sample)]));
        for (member, expected) in [("order", "'7'"), ("user", "4")] {
            let slot = Slot::Compared {
                table: "events".to_owned(),
                column: "payload".to_owned(),
                member: Some(member.to_owned()),
                how: Compared::Equal,
            };
            let frequent = Pick::Frequent(0);
            let from = Source {
                rows: &Rows::new(),
                bounded: &BTreeSet::new(),
                schema: &Schema::default(),
                dialect: Dialect::Sqlite,
            };
            let literal = |pick| samples.literal(&slot, pick, &from);
            assert_eq!(literal(frequent), expected);
            assert_eq!(literal(Pick::Absent), quote(NOWHERE));
        }
    }

    #[test]
    fn a_range_with_two_bounds_has_rows_between_them() {
        let sample = Sample {
            columns: vec!["a".to_owned()],
            rows: (0..100).map(|n| vec![Some(n.to_string())]).collect(),
        };
        let samples = Samples(BTreeMap::from([("t".to_owned(), sample)]));
        let compared = |how| Slot::Compared {
            table: "t".to_owned(),
            column: "a".to_owned(),
            member: None,
            how,
        };
        let mut facts = Facts {
            text: "$1 $2".to_owned(),
            slots: BTreeMap::from([
                (1, compared(Compared::Above)),
                (2, compared(Compared::Below)),
            ]),
            ..Facts::default()
        };
        let texts = |facts: &Facts| samples.texts(facts, Dialect::Sqlite, &Schema::default());
        let absent = format!("'{NOWHERE}' '{NOWHERE}'");
        assert_eq!(
            texts(&facts),
            ["45 55", "10 11", &absent, "20 50", "30 33", "70 73"]
        );
        // One bound alone has all rows on one side of it.
        facts.slots.insert(1, Slot::Limit);
        assert_eq!(texts(&facts)[..2], ["20 50", "20 10"]);
    }

    #[test]
    fn frequent_values_come_first_and_ties_are_sorted() {
        let row = |value: &str| vec![Some(value.to_owned())];
        let sample = Sample {
            columns: vec!["a".to_owned()],
            rows: ["x", "z", "z", "b"].map(row).to_vec(),
        };
        let samples = Samples(BTreeMap::from([("t".to_owned(), sample)]));
        assert_eq!(samples.by_frequency("t", "a"), ["z", "b", "x"]);
        assert_eq!(samples.distinct("t", "a"), 3);
        assert_eq!(samples.distinct("t", "missing"), 0);
    }
}
