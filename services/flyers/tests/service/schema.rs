//! What the schema promises: the indexes that the requirements name, copies kept up to date.

use service_kit::database::{Text, query};

use crate::running::Running;

/// Table and columns, in order, of each index.
const INDEXES: Text = Text {
    sqlite: "
SELECT m.tbl_name, (
    SELECT group_concat(name, ',')
    FROM (SELECT name FROM pragma_index_info(m.name) ORDER BY seqno)
)
FROM sqlite_schema AS m
WHERE m.type = 'index'",
    postgres: "
SELECT p.tablename::text, (
    SELECT string_agg(a.attname, ',' ORDER BY k.place)
    FROM unnest(i.indkey) WITH ORDINALITY AS k (column_number, place)
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.column_number
)
FROM pg_indexes AS p
JOIN pg_index AS i ON i.indexrelid = p.indexname::regclass AND i.indisvalid
WHERE p.schemaname = current_schema()",
};

#[test]
fn seed_000_001_002_required_indexes_exist() {
    let service = Running::empty();
    let indexes: Vec<(String, String)> = service.rows(query(INDEXES));
    for (table, columns) in [
        ("users", "email"),
        ("users", "username"),
        ("profiles", "user_id"),
        ("privacy_settings", "user_id"),
        ("flyers", "is_active"),
        ("flyers", "expiration_date"),
        ("flyers", "is_active,expiration_date"),
        ("flyers", "creator_id"),
        ("flyers", "created_at"),
        ("flyers", "latitude,longitude"),
        ("flyers", "publication_date,expiration_date"),
        ("flyer_images", "flyer_id,position"),
        ("categories", "name"),
        ("categories", "slug"),
        ("favorites", "user_id,flyer_id"),
        ("favorites", "user_id"),
        ("favorites", "user_id,created_at"),
        ("favorites", "flyer_id,created_at"),
        ("follows", "follower_id,followed_id"),
        ("follows", "follower_id"),
        ("follows", "follower_id,created_at"),
        ("follows", "followed_id"),
    ] {
        let found = indexes.iter().any(|(on, of)| {
            on == table && (of == columns || of.starts_with(&format!("{columns},")))
        });
        assert!(found, "no index on {table} ({columns})");
    }
}

#[test]
fn a_sweep_reaches_the_category_links() {
    let service = Running::seeded(400);
    service.execute("UPDATE flyers SET is_active = FALSE");
    assert_eq!(
        service.execute("UPDATE flyer_categories SET is_active = is_active WHERE is_active"),
        0
    );
    assert_eq!(
        service
            .get("/api/v1/flyers/feed/?categories=events")
            .expect(200)["count"],
        0
    );
}
