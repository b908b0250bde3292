-- A small shop. Tables marked "grows" follow the scale of the data; the others stay as they are.

-- Grows: one shop for five items. Shop 1 is the department store: it owns one item in 50, so its
-- assortment grows with the catalogue. The others have about five items each, whatever the scale.
CREATE TABLE shops (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    city TEXT NOT NULL
);

-- Constant.
CREATE TABLE categories (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- Grows: the main table, `scale` rows, ids 1 to `scale` without gaps.
CREATE TABLE items (
    id          INTEGER PRIMARY KEY,
    shop_id     INTEGER NOT NULL REFERENCES shops (id),
    category_id INTEGER NOT NULL REFERENCES categories (id),
    shop_ref    TEXT NOT NULL,                  -- number in the shop's own books; four items share one
    title       TEXT NOT NULL COLLATE NOCASE,   -- NOCASE, so that an index serves LIKE 'abc%'
    price_cents INTEGER NOT NULL,
    weight_g    INTEGER NOT NULL,
    stock       INTEGER NOT NULL,
    created_at  INTEGER NOT NULL                -- seconds since 1970; two items share each second
);
CREATE INDEX items_by_age      ON items (created_at DESC, id DESC);
CREATE INDEX items_by_category ON items (category_id, created_at DESC, id DESC);
CREATE INDEX items_by_shop     ON items (shop_id, price_cents);
CREATE INDEX items_by_title    ON items (title);
CREATE INDEX items_sold_out    ON items (created_at DESC, id DESC) WHERE stock = 0;
-- Planted: no statement looks at the weight. It costs space and a write with every item.
CREATE INDEX items_by_weight   ON items (weight_g);
-- Planted: shop_ref has no index.

-- Grows: one author for 10 items.
CREATE TABLE authors (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- Grows: two for an item, 32 for each of the 200 newest items.
CREATE TABLE reviews (
    id        INTEGER PRIMARY KEY,
    item_id   INTEGER NOT NULL REFERENCES items (id),
    author_id INTEGER NOT NULL REFERENCES authors (id),
    stars     INTEGER NOT NULL,
    body      TEXT NOT NULL
);
CREATE INDEX reviews_by_item ON reviews (item_id);

-- Constant.
CREATE TABLE tags (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
);

-- Grows: two for an item.
CREATE TABLE item_tags (
    item_id INTEGER NOT NULL REFERENCES items (id),
    tag_id  INTEGER NOT NULL REFERENCES tags (id),
    PRIMARY KEY (item_id, tag_id)
) WITHOUT ROWID;

-- Grows: one order for five items.
CREATE TABLE orders (
    id        INTEGER PRIMARY KEY,
    shop_id   INTEGER NOT NULL REFERENCES shops (id),
    placed_at INTEGER NOT NULL                  -- seconds since 1970
);
CREATE INDEX orders_by_age ON orders (placed_at DESC, id DESC);

-- Grows: three for an order.
CREATE TABLE order_lines (
    id       INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    item_id  INTEGER NOT NULL REFERENCES items (id),
    quantity INTEGER NOT NULL
);
CREATE INDEX order_lines_by_order ON order_lines (order_id);

-- Constant.
CREATE TABLE couriers (
    id   INTEGER PRIMARY KEY,
    code TEXT NOT NULL,
    name TEXT NOT NULL
);

-- Grows: one for an order. Planted: courier_code has no index.
CREATE TABLE shipments (
    id           INTEGER PRIMARY KEY,
    order_id     INTEGER NOT NULL REFERENCES orders (id),
    courier_code TEXT NOT NULL,
    weight_g     INTEGER NOT NULL
);

-- Constant.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- Grows with what the service writes.
CREATE TABLE audit_log (
    id      INTEGER PRIMARY KEY,
    event   TEXT NOT NULL,
    subject INTEGER NOT NULL
);
