//! The invented data: the same for the same numbers, and of the promised shape.

use std::{path::PathBuf, sync::OnceLock, time::Duration};

use chrono::{DateTime, Utc};
use deals::{
    MIGRATIONS,
    seed::{self, Done, Plan, SeedError},
};
use service_kit::{
    config::{DatabaseUrl, Secret},
    database::{Database, Dialect, Text, Wording, query},
    text,
    token::Tokens,
};
use tokio::runtime::Runtime;

const TABLES: [&str; 18] = [
    r#""user""#,
    "cpu",
    "gpu",
    "ports_profile",
    "port",
    "ram_spec",
    "storage_profile",
    "profile",
    "valuation_ruleset",
    "listing",
    "listing_component",
    "listing_score_snapshot",
    "collection",
    "collection_item",
    "collection_share_token",
    "listing_share",
    "user_share",
    "notification",
];

/// A migrated database of its own for one test; gone when dropped.
struct Filled {
    database: Database,
    runtime: Runtime,
    folder: tempfile::TempDir,
    _on_server: Option<throwaway::Database>,
}

impl Filled {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, on_server) = match crate::DIALECT {
            Dialect::Sqlite => {
                let file = folder.path().join("deals.db");
                (format!("sqlite:{}", file.display()), None)
            }
            Dialect::Postgres => {
                let database = server().database().unwrap();
                (database.url(), Some(database))
            }
        };
        let runtime = Runtime::new().unwrap();
        let database = runtime.block_on(async {
            let url = DatabaseUrl::parse(&url).unwrap();
            let database = Database::open(&url, 2).await.unwrap();
            database.migrate(MIGRATIONS).await.unwrap();
            database
        });
        Self {
            database,
            runtime,
            folder,
            _on_server: on_server,
        }
    }

    fn with(scale: u32, seed: u64) -> Self {
        let filled = Self::empty();
        filled.fill(&plan(scale, seed)).unwrap();
        filled
    }

    fn fill(&self, plan: &Plan) -> Result<Done, SeedError> {
        self.runtime.block_on(plan.run_at(&self.database, now()))
    }

    fn texts(&self, sql: impl Into<Wording>) -> Vec<String> {
        let rows = query(sql).fetch_all::<(String,)>(self.database.write());
        let rows = self.runtime.block_on(rows).unwrap();
        rows.into_iter().map(|(text,)| text).collect()
    }

    fn number(&self, sql: impl Into<Wording>) -> i64 {
        let number = query(sql).fetch_scalar(self.database.write());
        self.runtime.block_on(number).unwrap()
    }

    fn count(&self, of: &str) -> i64 {
        self.number(format!("SELECT count(*) FROM {of}"))
    }

    /// Which part of the listings this is true of, in percent.
    fn listings(&self, condition: &str) -> i64 {
        let part = self.count(&format!("listing WHERE {condition}"));
        (part * 100 + 50) / self.count("listing")
    }

    /// Every column of every row of every table as one text per row.
    fn content(&self) -> Vec<String> {
        TABLES.iter().flat_map(|table| self.rows(table)).collect()
    }

    fn rows(&self, table: &str) -> Vec<String> {
        let bare = table.trim_matches('"');
        let columns = self.texts(match crate::DIALECT {
            Dialect::Sqlite => format!("SELECT name FROM pragma_table_info('{bare}')"),
            Dialect::Postgres => format!(
                "SELECT column_name::text FROM information_schema.columns
                 WHERE table_schema = current_schema() AND table_name = '{bare}'
                 ORDER BY ordinal_position"
            ),
        });
        let cells: Vec<String> = columns
            .iter()
            .map(|column| format!("coalesce(CAST({column} AS TEXT), 'NULL')"))
            .collect();
        let row = cells.join(" || '|' || ");
        self.texts(format!("SELECT {row} FROM {table} ORDER BY id"))
    }
}

/// The lease on the shared server is the process's.
fn server() -> &'static throwaway::Postgres {
    static SERVER: OnceLock<throwaway::Postgres> = OnceLock::new();
    SERVER.get_or_init(|| throwaway::Postgres::shared().unwrap())
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn plan(scale: u32, seed: u64) -> Plan {
    Plan {
        scale,
        seed,
        ..Plan::default()
    }
}

/// The present of the seed, as the database writes it.
const NOW: &str = "'2023-11-14T22:13:20+00:00'";

#[test]
fn the_same_numbers_give_the_same_rows() {
    let one = Filled::with(600, 7).content();
    assert!(one.len() > 10_000, "{}", one.len());
    assert!(one == Filled::with(600, 7).content());
    assert!(one != Filled::with(600, 8).content());
}

#[test]
fn a_database_with_users_is_left_alone_unless_told() {
    let filled = Filled::with(300, 7);
    let before = filled.content();
    let mut again = plan(310, 8);
    let refused = filled.fill(&again);
    assert!(matches!(refused, Err(SeedError::NotEmpty { users: 200 })));
    assert!(filled.content() == before);
    again.replace = true;
    let done = filled.fill(&again).unwrap();
    assert_eq!((done.users, done.listings), (200, 310));
    assert!(filled.content() == Filled::with(310, 8).content());
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_database_as_it_was() {
    let filled = Filled::empty();
    let mut plan = plan(100, 7);
    plan.users_csv = Some(PathBuf::from("/proc/no/users.csv"));
    assert!(matches!(filled.fill(&plan), Err(SeedError::Csv { .. })));
    assert_eq!(filled.content(), Vec::<String>::new());
    assert_eq!(following(&filled), following(&Filled::empty()));
}

/// What only looks shares a database: filling one takes seconds in a debug build.
#[test]
fn the_database_is_as_promised() {
    let filled = Filled::empty();
    let done = filled.fill(&plan(600, 7)).unwrap();
    what_was_done_is_counted(&filled, &done);
    collections_have_the_promised_sizes(&filled);
    references_hold(&filled);
    links_and_views_belong_to_what_is_shown(&filled);
}

fn what_was_done_is_counted(filled: &Filled, done: &Done) {
    assert_eq!(done.users, filled.count(r#""user""#));
    assert_eq!(done.listings, filled.count("listing"));
    assert_eq!(done.collections, filled.count("collection"));
    assert_eq!(done.items, filled.count("collection_item"));
    let (links, deals) = (filled.count("listing_share"), filled.count("user_share"));
    assert_eq!((done.shares, links, deals), (1200, 200, 1000));
}

const SIZES: &str = "(
    SELECT c.user_id, c.visibility, count(*) AS items, min(i.position) AS first, max(i.position) AS last
    FROM collection AS c
    JOIN collection_item AS i ON i.collection_id = c.id
    GROUP BY c.id
) AS sizes";

fn collections_have_the_promised_sizes(filled: &Filled) {
    let sized = |condition: &str| filled.count(&format!("{SIZES} WHERE {condition}"));
    for items in [100, 150] {
        for (odd, visibility) in [(1, "public"), (0, "private")] {
            let own = format!(
                "items = {items} AND visibility = '{visibility}' AND user_id <= 200 AND user_id % 2 = {odd}"
            );
            assert_eq!(sized(&own), 100, "{own}");
        }
        assert_eq!(sized(&format!("items = {items}")), 200);
    }
    assert_eq!(sized("items = 500 AND user_id % 10 = 0"), 20);
    assert_eq!(sized("items > 40"), 420);
    assert_eq!(sized("first > 0 OR last <> items - 1"), 0);
    assert_eq!(sized("items > 0"), filled.count("collection"));
}

#[test]
fn small_databases_have_what_there_is() {
    for scale in [0, 1, 120] {
        let filled = Filled::with(scale, 7);
        let items = "SELECT coalesce(max(n), 0) FROM
            (SELECT count(*) AS n FROM collection_item GROUP BY collection_id) AS c";
        assert_eq!(filled.number(items), i64::from(scale));
        let shares = if scale == 0 { 0 } else { 200 };
        assert_eq!(filled.count("listing_share"), shares);
    }
}

fn references_hold(filled: &Filled) {
    if crate::DIALECT == Dialect::Sqlite {
        assert_eq!(filled.count("pragma_foreign_key_check"), 0);
    }
    let sent_to_oneself = filled.count("user_share WHERE sender_id = recipient_id");
    assert_eq!(sent_to_oneself, 0);
}

/// Adds items as the service does, without an id. Gives how many.
fn add_items(filled: &Filled) -> i64 {
    let insert = query(
        "INSERT INTO collection_item (collection_id, listing_id, added_at, created_at, updated_at)
         SELECT c.id, $1, c.created_at, c.created_at, c.created_at
         FROM collection AS c
         WHERE NOT EXISTS (SELECT 1 FROM collection_item AS i
                           WHERE i.collection_id = c.id AND i.listing_id = $1)",
    );
    let insert = insert.bind(1_i64).execute(filled.database.write());
    i64::try_from(filled.runtime.block_on(insert).unwrap()).unwrap()
}

#[test]
fn the_next_id_follows() {
    let filled = Filled::with(300, 7);
    let before = filled.count("collection_item");
    let added = add_items(&filled);
    assert!(added > 0);
    let last = filled.number("SELECT max(id) FROM collection_item");
    assert_eq!(last, before + added);
}

#[test]
fn the_next_id_follows_after_a_failure_too() {
    let filled = Filled::with(300, 7);
    let before = filled.content();
    let smaller = Plan {
        replace: true,
        users_csv: Some(PathBuf::from("/proc/no/users.csv")),
        ..plan(10, 8)
    };
    assert!(matches!(filled.fill(&smaller), Err(SeedError::Csv { .. })));
    assert!(filled.content() == before);
    assert!(add_items(&filled) > 0);
}

#[test]
fn listings_are_as_promised() {
    let filled = Filled::with(4000, 7);
    listings_have_the_promised_shape(&filled);
    dollars_per_mark_are_price_by_mark(&filled);
}

fn listings_have_the_promised_shape(filled: &Filled) {
    let near = |condition: &str, promised: i64| {
        let share = filled.listings(condition);
        assert!((share - promised).abs() <= 3, "{condition}: {share} %");
    };
    near("price_usd IS NULL", 5);
    near("adjusted_price_usd IS NULL", 10);
    near("status = 'active'", 92);
    near("raw_listing_json IS NOT NULL", 60);
    near("other_urls IS NOT NULL", 30);
    near(ALL_EIGHT, 70);
    near("marketplace = 'other'", 20);
    let never = |condition: &str| {
        let rows = filled.count(&format!("listing WHERE {condition}"));
        assert_eq!(rows, 0, "{condition}");
    };
    never("updated_at < created_at OR last_seen_at < created_at");
    never("(marketplace = 'other') <> (vendor_item_id IS NULL)");
    never("dollar_per_cpu_mark_multi IS NOT NULL AND (price_usd IS NULL OR cpu_id IS NULL)");
    never("raw_listing_json LIKE '%images.example%' AND thumbnail_url IS NULL");
    never(
        "thumbnail_url IS NOT NULL AND coalesce(raw_listing_json, '') || attributes_json NOT LIKE '%' || thumbnail_url || '%'",
    );
    never("length(raw_listing_json) NOT BETWEEN 450 AND 800");
    let falling =
        "listing AS a JOIN listing AS b ON b.id = a.id + 1 AND b.created_at < a.created_at";
    assert_eq!(filled.count(falling), 0, "ids rise with time");
    let snapshots = filled.count("listing_score_snapshot");
    assert!((3000..=4000).contains(&snapshots), "{snapshots}");
    let components = filled.count("listing_component");
    assert!((5000..=7000).contains(&components), "{components}");
}

const ALL_EIGHT: &str = "cpu_id IS NOT NULL AND gpu_id IS NOT NULL AND ports_profile_id IS NOT NULL
    AND active_profile_id IS NOT NULL AND ruleset_id IS NOT NULL AND ram_spec_id IS NOT NULL
    AND primary_storage_profile_id IS NOT NULL AND secondary_storage_profile_id IS NOT NULL";

/// Figures follow from price and mark.
fn dollars_per_mark_are_price_by_mark(filled: &Filled) {
    let wrong = filled.count(
        "listing AS l LEFT JOIN cpu AS c ON c.id = l.cpu_id
         WHERE coalesce(l.dollar_per_cpu_mark_multi, -1) <> coalesce(l.price_usd / c.cpu_mark_multi, -1)
            OR coalesce(l.dollar_per_single_mark, -1) <> coalesce(l.price_usd / c.cpu_mark_single, -1)",
    );
    assert_eq!(wrong, 0);
    assert!(filled.listings("dollar_per_cpu_mark_multi > 0") > 80);
}

#[test]
fn there_are_parts_of_each_kind() {
    let filled = Filled::with(1, 7);
    let parts = [
        ("cpu", 200),
        ("gpu", 40),
        ("ports_profile", 40),
        ("ram_spec", 40),
        ("storage_profile", 60),
        ("profile", 5),
        ("profile WHERE is_default", 1),
        ("valuation_ruleset", 3),
    ];
    for (table, rows) in parts {
        assert_eq!(filled.count(table), rows, "{table}");
    }
    let ports = "(SELECT count(*) AS n FROM port GROUP BY ports_profile_id) AS p";
    assert_eq!(
        filled.count(&format!("{ports} WHERE n BETWEEN 3 AND 5")),
        40
    );
}

fn links_and_views_belong_to_what_is_shown(filled: &Filled) {
    let tokens = "collection_share_token AS t";
    let shown = filled.count("collection WHERE visibility <> 'private'");
    assert_eq!(filled.count(tokens), shown);
    let hidden = filled.count(&format!(
        "{tokens} JOIN collection AS c ON c.id = t.collection_id WHERE c.visibility = 'private'"
    ));
    assert_eq!(hidden, 0);
    let wrong = filled.count(
        "collection AS c WHERE c.share_views <> (
            SELECT coalesce(sum(t.view_count), 0) FROM collection_share_token AS t
            WHERE t.collection_id = c.id)",
    );
    assert_eq!(wrong, 0);
    assert!(filled.count("collection WHERE share_views > 50") > 1);
    for (table, column) in [
        ("collection_share_token", "token"),
        ("listing_share", "share_token"),
        ("user_share", "share_token"),
    ] {
        assert_eq!(
            filled.count(&format!("{table} WHERE length({column}) <> 64")),
            0
        );
        let marks = format!(
            "{table} WHERE {column} LIKE '%+%' OR {column} LIKE '%/%' OR {column} LIKE '%=%'"
        );
        assert_eq!(filled.count(&marks), 0);
    }
}

#[test]
fn deals_are_recent_but_not_of_the_last_hours() {
    let filled = Filled::with(20_000, 7);
    let share = |condition: &str| {
        let part = filled.count(&format!("user_share WHERE {condition}"));
        part * 100 / filled.count("user_share")
    };
    // 2000 and the 600 that are unviewed.
    assert!((40..=52).contains(&share("viewed_at IS NOT NULL")));
    assert!((11..=17).contains(&share("imported_at IS NOT NULL")));
    let late = format!(
        "shared_at > {} OR viewed_at > {NOW} OR expires_at <= {NOW}",
        TWO_HOURS_AGO.of(crate::DIALECT)
    );
    assert_eq!(filled.count(&format!("user_share WHERE {late}")), 0);
    let few = "user_share WHERE viewed_at IS NULL AND recipient_id <= 200 GROUP BY recipient_id HAVING count(*) >= 3";
    assert_eq!(
        filled.count(&format!("(SELECT recipient_id FROM {few}) AS r")),
        200
    );
    let received = filled.count("notification WHERE type = 'share_received'");
    assert_eq!(received, filled.count("user_share"));
    let imported = filled.count("notification WHERE type = 'share_imported'");
    assert_eq!(
        imported,
        filled.count("user_share WHERE imported_at IS NOT NULL")
    );
    let wrong = filled.count(
        r#"notification AS n
        JOIN user_share AS s ON s.id = n.share_id
        JOIN "user" AS u ON u.id = s.sender_id
        JOIN listing AS l ON l.id = s.listing_id
        WHERE n.type = 'share_received' AND (
            n.user_id <> s.recipient_id
            OR n.title <> 'New deal from ' || coalesce(u.display_name, u.username)
            OR n.message <> coalesce(u.display_name, u.username) || ' shared a deal with you: ' || l.title
            OR (n.read_at IS NOT NULL AND s.viewed_at IS NULL))"#,
    );
    assert_eq!(wrong, 0);
}

const TWO_HOURS_AGO: Text =
    text!({ "'2023-11-14T20:13:20+00:00'" | "TIMESTAMPTZ '2023-11-14T20:13:20+00:00'" });

/// Triggers of SQLite, the index of PostgreSQL.
fn following(filled: &Filled) -> Vec<String> {
    filled.texts(Text {
        sqlite: "SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name",
        postgres: "SELECT indexdef FROM pg_indexes WHERE indexname = 'collection_search_text'",
    })
}

#[test]
fn the_search_index_is_whole_and_still_follows() {
    let filled = Filled::with(300, 7);
    let mut again = plan(300, 9);
    again.replace = true;
    filled.fill(&again).unwrap();
    assert_eq!(following(&filled), following(&Filled::empty()));
    assert!(!following(&filled).is_empty());
    if crate::DIALECT == Dialect::Sqlite {
        let check =
            "INSERT INTO collection_search (collection_search, rank) VALUES ('integrity-check', 1)";
        let check = query(check).execute(filled.database.write());
        filled.runtime.block_on(check).unwrap();
    }
}

#[test]
fn the_users_file_names_what_there_is() {
    let filled = Filled::empty();
    let tokens = Tokens::new(
        &Secret::new("a secret of the tests, long enough"),
        Duration::from_secs(60),
    );
    let file = filled.folder.path().join("users.csv");
    let mut plan = plan(600, 7);
    plan.users_csv = Some(file.clone());
    plan.tokens = Some(tokens.clone());
    filled
        .runtime
        .block_on(seed::run(&filled.database, &plan))
        .unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 201);
    assert_eq!(lines[0], COLUMNS.join(","));
    for (line, user) in lines[1..].iter().zip(1_i64..) {
        let fields: Vec<&str> = line.split(',').collect();
        let fields: [&str; 10] = fields.try_into().unwrap();
        assert_eq!(fields[0], user.to_string());
        assert_eq!(tokens.verify::<i64>(fields[1]).unwrap().id, user);
        promises(&filled, user, &fields);
    }
}

const COLUMNS: [&str; 10] = [
    "user_id",
    "token",
    "collection_100",
    "collection_150",
    "public_100",
    "listing_id",
    "share_token",
    "collection_token",
    "inbox_token",
    "recipient_id",
];

const UNEXPIRED: Text = text!(
    "(expires_at IS NULL OR "
    { "datetime(expires_at) > datetime('now')" | "expires_at > now()" } ")"
);

fn promises(filled: &Filled, user: i64, fields: &[&str; 10]) {
    let [
        _,
        _,
        hundred,
        more,
        public,
        listing,
        link,
        shown,
        inbox,
        other,
    ] = fields;
    let valid = UNEXPIRED.of(crate::DIALECT);
    let one = |of: String| assert_eq!(filled.count(&of), 1, "{of}");
    one(format!(
        "collection WHERE id = {hundred} AND user_id = {user}"
    ));
    one(format!("collection WHERE id = {more} AND user_id = {user}"));
    one(format!(
        "collection WHERE id = {public} AND visibility = 'public' AND abs(user_id - {user}) <= 1"
    ));
    for (collection, items) in [(hundred, 100), (more, 150), (public, 100)] {
        let count = filled.count(&format!(
            "collection_item WHERE collection_id = {collection}"
        ));
        assert_eq!(count, items);
    }
    one(format!(
        "listing_share WHERE share_token = '{link}' AND listing_id = {listing} AND created_by = {user} AND {valid}"
    ));
    one(format!(
        "collection_share_token WHERE token = '{shown}' AND collection_id = {public} AND {valid}"
    ));
    one(format!(
        "user_share WHERE share_token = '{inbox}' AND recipient_id = {user} AND viewed_at IS NULL AND {valid}"
    ));
    one(format!(r#""user" WHERE id = {other} AND id <> {user}"#));
}

#[test]
fn a_plan_shows_no_secret() {
    let mut plan = plan(1, 7);
    plan.tokens = Some(Tokens::new(
        &Secret::new("a secret of the tests, long enough"),
        Duration::from_secs(60),
    ));
    assert!(!format!("{plan:?}").contains("secret"));
}

#[test]
fn without_tokens_the_file_has_none() {
    let filled = Filled::empty();
    let file = filled.folder.path().join("users.csv");
    let mut plan = plan(0, 7);
    plan.users_csv = Some(file.clone());
    filled.fill(&plan).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().nth(2).unwrap();
    let fields: Vec<&str> = line.split(',').collect();
    assert_eq!(
        (fields[0], fields[1], fields[5], fields[8]),
        ("2", "", "", "")
    );
}
