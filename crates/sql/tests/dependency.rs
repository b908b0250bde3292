//! The rule of tags, held against a small table: whatever is read and written, a read whose rows a
//! write changes shares a tag with it.
#![allow(clippy::panic, reason = "a broken test may panic in its helpers too")]

use std::collections::BTreeSet;

use proptest::prelude::*;
use speedwell_sql::{Dependency, Dialect, Narrow, Tag, dependency, row_tags};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Deal {
    id: u8,
    owner: u8,
    price: u8,
}

/// A condition, as text and as what it means.
#[derive(Debug, Clone, Copy)]
enum Where {
    All,
    Id(u8),
    Owner(u8),
    OwnerAndId(u8, u8),
    OwnerOrId(u8, u8),
    Price(u8),
}

impl Where {
    fn text(self) -> String {
        match self {
            Self::All => String::new(),
            Self::Id(id) => format!(" WHERE id = {id}"),
            Self::Owner(owner) => format!(" WHERE '{owner}' = owner"),
            Self::OwnerAndId(owner, id) => format!(" WHERE owner = {owner} AND (id = 0{id}.0)"),
            Self::OwnerOrId(owner, id) => format!(" WHERE owner = {owner} OR id = {id}"),
            Self::Price(price) => format!(" WHERE price = {price}"),
        }
    }

    fn holds(self, deal: &Deal) -> bool {
        match self {
            Self::All => true,
            Self::Id(id) => deal.id == id,
            Self::Owner(owner) => deal.owner == owner,
            Self::OwnerAndId(owner, id) => deal.owner == owner && deal.id == id,
            Self::OwnerOrId(owner, id) => deal.owner == owner || deal.id == id,
            Self::Price(price) => deal.price == price,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Write {
    Insert(u8, u8),
    Delete(Where),
    Price(u8, Where),
    Owner(u8, Where),
    Id(u8, Where),
}

impl Write {
    fn text(self) -> String {
        match self {
            Self::Insert(id, owner) => {
                format!("INSERT INTO deals (id, owner, price) VALUES ({id}, {owner}, 0)")
            }
            Self::Delete(rows) => format!("DELETE FROM deals{}", rows.text()),
            Self::Price(price, rows) => format!("UPDATE deals SET price = {price}{}", rows.text()),
            Self::Owner(owner, rows) => format!("UPDATE deals SET owner = {owner}{}", rows.text()),
            Self::Id(id, rows) => format!("UPDATE deals SET \"id\" = {id}{}", rows.text()),
        }
    }

    /// The table after the write, and each row that it touched before and after.
    fn run(self, deals: &[Deal]) -> (Vec<Deal>, Vec<Deal>) {
        let mut images = Vec::new();
        let mut after = Vec::new();
        for deal in deals {
            let mut changed = deal.clone();
            let rows = match self {
                Self::Insert(..) => {
                    after.push(changed);
                    continue;
                }
                Self::Delete(rows) => rows,
                Self::Price(price, rows) => {
                    changed.price = price;
                    rows
                }
                Self::Owner(owner, rows) => {
                    changed.owner = owner;
                    rows
                }
                Self::Id(id, rows) => {
                    changed.id = id;
                    rows
                }
            };
            if !rows.holds(deal) {
                after.push(deal.clone());
                continue;
            }
            images.push(deal.clone());
            if !matches!(self, Self::Delete(_)) {
                images.push(changed.clone());
                after.push(changed);
            }
        }
        if let Self::Insert(id, owner) = self {
            let deal = Deal {
                id,
                owner,
                price: 0,
            };
            images.push(deal.clone());
            after.push(deal);
        }
        (after, images)
    }
}

fn condition() -> impl Strategy<Value = Where> {
    let small = 0_u8..4;
    prop_oneof![
        1 => Just(Where::All),
        4 => small.clone().prop_map(Where::Id),
        4 => small.clone().prop_map(Where::Owner),
        1 => small.clone().prop_map(Where::Price),
        1 => (small.clone(), small.clone()).prop_map(|(owner, id)| Where::OwnerAndId(owner, id)),
        1 => (small.clone(), small).prop_map(|(owner, id)| Where::OwnerOrId(owner, id)),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let small = 0_u8..4;
    prop_oneof![
        (small.clone(), small.clone()).prop_map(|(id, owner)| Write::Insert(id, owner)),
        condition().prop_map(Write::Delete),
        (small.clone(), condition()).prop_map(|(price, rows)| Write::Price(price, rows)),
        (small.clone(), condition()).prop_map(|(owner, rows)| Write::Owner(owner, rows)),
        (small, condition()).prop_map(|(id, rows)| Write::Id(id, rows)),
    ]
}

fn narrow() -> impl Strategy<Value = Narrow> {
    // One column by itself most often: with more of them a text hardly ever shows them all.
    let columns: Vec<&[&str]> = vec![&["id"], &["owner"], &["id", "owner"], &[]];
    prop::sample::select(columns).prop_map(|columns| {
        columns.iter().fold(Narrow::none(), |narrow, column| {
            narrow.column("deals", column)
        })
    })
}

fn tags(sql: &str, dialect: Dialect, narrow: &Narrow) -> (BTreeSet<Tag>, BTreeSet<Tag>) {
    match dependency(sql, dialect, &[], narrow) {
        Dependency::Known { reads, changes } => (reads, changes),
        Dependency::Unknown => panic!("{sql}"),
    }
}

/// The tags of all images; an image shows the columns that it is asked for.
fn image_tags(narrow: &Narrow, images: &[Deal], shown: usize) -> BTreeSet<Tag> {
    let tags = images.iter().flat_map(|deal| {
        let text = [deal.id, deal.owner, deal.price].map(|value| value.to_string());
        let image: Vec<(&str, Option<&str>)> = ["id", "owner", "price"]
            .into_iter()
            .zip(text.iter().map(|value| Some(value.as_str())))
            .take(shown)
            .collect();
        row_tags(narrow, "deals", &image)
    });
    tags.collect()
}

proptest! {
    // What may go wrong needs a write and a read that fit each other: few of the cases do.
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn a_read_shares_a_tag_with_every_write_that_changes_its_rows(
        deals in prop::collection::vec((0_u8..4, 0_u8..4, 0_u8..4), 0..6),
        rows in condition(),
        write in write(),
        read_narrow in narrow(),
        shown in 0_usize..=3,
        dialect in prop::sample::select(vec![Dialect::Sqlite, Dialect::Postgres]),
    ) {
        let deals: Vec<Deal> =
            deals.into_iter().map(|(id, owner, price)| Deal { id, owner, price }).collect();
        let found = |deals: &[Deal]| {
            let mut found: Vec<Deal> = deals.iter().filter(|deal| rows.holds(deal)).cloned().collect();
            found.sort();
            found
        };
        let (after, images) = write.run(&deals);
        let read = format!("SELECT id, owner, price FROM deals{}", rows.text());
        let (carried, _) = tags(&read, dialect, &read_narrow);
        let (_, by_text) = tags(&write.text(), dialect, &read_narrow);
        let by_images = image_tags(&read_narrow, &images, shown);
        // A process that knows of no narrow column.
        let (_, by_stranger) = tags(&write.text(), dialect, &Narrow::none());
        let stranger_images = image_tags(&Narrow::none(), &images, shown);
        if found(&deals) != found(&after) {
            for changed in [by_text, by_images, by_stranger, stranger_images] {
                prop_assert!(!carried.is_disjoint(&changed), "{carried:?} {changed:?}");
            }
        }
    }
}
