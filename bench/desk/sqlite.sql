-- The same tables and rows on SQLite; JSON is text there.
CREATE TABLE tenants (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    deleted_at TEXT,
    UNIQUE (tenant_id, email)
);
CREATE TABLE categories (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    parent_id INTEGER REFERENCES categories (id),
    name TEXT NOT NULL
);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    requester_id INTEGER NOT NULL REFERENCES users (id),
    assignee_id INTEGER REFERENCES users (id),
    status TEXT NOT NULL,
    priority TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    due_at TEXT NOT NULL,
    deleted_at TEXT
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    ticket_id INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    author_id INTEGER NOT NULL REFERENCES users (id),
    body TEXT NOT NULL,
    is_internal BOOLEAN NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE labels (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL
);
CREATE TABLE ticket_labels (
    ticket_id INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    label_id INTEGER NOT NULL REFERENCES labels (id),
    PRIMARY KEY (ticket_id, label_id)
);
CREATE TABLE ticket_reads (
    user_id INTEGER NOT NULL REFERENCES users (id),
    ticket_id INTEGER NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    read_at TEXT NOT NULL,
    PRIMARY KEY (user_id, ticket_id)
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    category_id INTEGER NOT NULL REFERENCES categories (id),
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    price_cents INTEGER NOT NULL,
    deleted_at TEXT
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    customer_id INTEGER NOT NULL REFERENCES users (id),
    status TEXT NOT NULL,
    total_cents INTEGER NOT NULL,
    placed_at TEXT NOT NULL,
    note TEXT
);
CREATE TABLE order_lines (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    price_cents INTEGER NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    tenant_id INTEGER NOT NULL REFERENCES tenants (id),
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    occurred_at TEXT NOT NULL,
    processed_at TEXT
);

CREATE TEMPORARY TABLE n AS
WITH RECURSIVE s (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < /*n*/ 300000)
SELECT g,
       (g * 2654435761 % 1000003) / 1000003.0 AS a,
       (g * 1597334677 % 999983) / 999983.0 AS b,
       (g * 668265263 % 999979) / 999979.0 AS c,
       (g * 374761393 % 999961) / 999961.0 AS d
FROM s;
CREATE UNIQUE INDEX temp.n_g ON n (g);

INSERT INTO tenants
WITH RECURSIVE s (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 200)
SELECT g, 'Tenant ' || g, CASE WHEN g % 10 = 0 THEN 'large' ELSE 'small' END,
       datetime('2024-01-01', g || ' days')
FROM s;

INSERT INTO users
SELECT g, 1 + CAST(200 * a * a * a AS INTEGER), 'User' || g || '@Example.com', 'Name ' || printf('%x', g * 2654435761 % 4294967296),
       CASE WHEN g % 10 = 0 THEN 'agent' ELSE 'customer' END,
       datetime('2025-12-01', '-' || CAST(b * b * 200000 AS INTEGER) || ' minutes'),
       CASE WHEN c < 0.05 THEN '2025-06-01 00:00:00' END
FROM n
WHERE g <= /*n*/ 20000;

INSERT INTO categories
WITH RECURSIVE s (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 8000)
SELECT g, 1 + (g - 1) / 40,
       CASE WHEN (g - 1) % 40 > 0 THEN (g - 1) / 40 * 40 + 1 + ((g - 1) % 40 - 1) / 3 END,
       'Category ' || g
FROM s;

CREATE TEMPORARY TABLE staff AS
SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS place
FROM users
WHERE role = 'agent';
CREATE TEMPORARY TABLE team AS
SELECT tenant_id, count(*) AS many FROM staff GROUP BY tenant_id;
CREATE UNIQUE INDEX temp.staff_place ON staff (tenant_id, place);
CREATE UNIQUE INDEX temp.team_tenant ON team (tenant_id);

INSERT INTO tickets
SELECT t.g, u.tenant_id, u.id, CASE WHEN t.status = 'open' AND t.d < 0.3 THEN NULL ELSE s.id END, t.status,
       CASE WHEN t.c < 0.03 THEN 'urgent' WHEN t.c < 0.2 THEN 'high' ELSE 'normal' END,
       'Trouble with ' || trim(substr('printer invoice passworddeliveryrefund  screen  account webhook ', 1 + 8 * CAST(8 * t.d AS INTEGER), 8))
           || ' ' || printf('%x', t.g * 2654435761 % 4294967296),
       t.at, datetime(t.at, CAST(t.c * 4000 AS INTEGER) || ' minutes'), datetime(t.at, CAST(1 + t.b * 5 AS INTEGER) || ' days'),
       CASE WHEN t.a > 0.95 THEN datetime(t.at, '7 days') END
FROM (SELECT n.*, datetime('2025-01-01', (g * 4) || ' minutes') AS at,
             CASE WHEN g <= /*n*/ 100000 AND b < 0.995 THEN 'closed'
                  WHEN g <= /*n*/ 100000 OR b < 0.15 THEN 'open'
                  WHEN b < 0.3 THEN 'pending'
                  WHEN b < 0.7 THEN 'solved'
                  ELSE 'closed'
             END AS status
      FROM n
      WHERE g <= /*n*/ 120000) AS t
JOIN users AS u ON u.id = 1 + CAST(/*n*/ 19999 * t.a AS INTEGER)
LEFT JOIN team ON team.tenant_id = u.tenant_id
LEFT JOIN staff AS s ON s.tenant_id = u.tenant_id
                    AND s.place = 1 + CAST(team.many * t.c AS INTEGER)
ORDER BY t.g;

INSERT INTO messages
SELECT n.g, t.id, CASE WHEN n.b < 0.5 THEN t.requester_id ELSE coalesce(t.assignee_id, t.requester_id) END,
       replace(printf('%.12c', '-'), '-', printf('%x', n.g * 2654435761 % 4294967296) || ' '), n.c < 0.2,
       datetime(t.created_at, CAST(n.d * 7200 AS INTEGER) || ' minutes')
FROM n
JOIN tickets AS t ON t.id = 1 + CAST(/*n*/ 119999 * (1 - n.a * n.a) AS INTEGER)
WHERE n.g <= /*n*/ 300000
ORDER BY n.g;

INSERT INTO labels
WITH RECURSIVE s (g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < 2000)
SELECT g, 1 + (g - 1) / 10, 'label ' || (g - 1) % 10
FROM s;
INSERT INTO ticket_labels
SELECT t.id, (t.tenant_id - 1) * 10 + 1 + (CAST(10 * n.b * n.b AS INTEGER) + extra.one) % 10
FROM tickets AS t
JOIN n ON n.g = t.id
JOIN (SELECT 0 AS one UNION ALL SELECT 1) AS extra ON extra.one = 0 OR n.c < 0.5
ORDER BY t.id, extra.one;
INSERT OR IGNORE INTO ticket_reads
SELECT 1 + CAST(/*n*/ 19999 * b AS INTEGER), 1 + CAST(/*n*/ 119999 * (1 - a * a) AS INTEGER),
       datetime('2025-01-01', (g * 5) || ' minutes')
FROM n
WHERE g <= /*n*/ 100000
ORDER BY g;

INSERT INTO products
SELECT g, 1 + CAST(200 * a * a AS INTEGER), 40 * CAST(200 * a * a AS INTEGER) + 1 + CAST(40 * b AS INTEGER),
       char(65 + CAST(26 * b AS INTEGER)) || char(65 + CAST(26 * c AS INTEGER)) || '-' || g, 'Product ' || printf('%x', g * 2654435761 % 4294967296),
       100 + CAST(9900 * d AS INTEGER), CASE WHEN c < 0.1 THEN '2025-06-01 00:00:00' END
FROM n
WHERE g <= /*n*/ 10000;
INSERT INTO orders
SELECT n.g, u.tenant_id, u.id,
       CASE WHEN n.b < 0.05 AND n.g > /*n*/ 90000 THEN 'open' WHEN n.b < 0.7 THEN 'paid' WHEN n.b < 0.95 THEN 'shipped' ELSE 'cancelled' END,
       500 + CAST(20000 * n.d AS INTEGER), datetime('2025-01-01', (n.g * 5) || ' minutes'),
       CASE WHEN n.c < 0.3 THEN 'please ring please ring please ring please ring please ring ' END
FROM n
JOIN users AS u ON u.id = 1 + CAST(/*n*/ 19999 * n.a * n.a AS INTEGER)
WHERE n.g <= /*n*/ 100000
ORDER BY n.g;
INSERT INTO order_lines
SELECT g, 1 + CAST(/*n*/ 99999 * a AS INTEGER), 1 + CAST(/*n*/ 9999 * b * b AS INTEGER), 1 + CAST(5 * c AS INTEGER), 100 + CAST(9900 * d AS INTEGER)
FROM n
WHERE g <= /*n*/ 300000
ORDER BY g;

INSERT INTO events
SELECT e.g, u.tenant_id, e.kind,
       '{"user": ' || u.id || ', "browser": "' || e.browser || '", "path": "/p/' || CAST(1000 * e.d AS INTEGER) || '"'
           || CASE WHEN e.kind IN ('purchase', 'refund') THEN ', "order": "' || (1 + CAST(/*n*/ 99999 * e.a AS INTEGER)) || '"' ELSE '' END || '}',
       e.at, CASE WHEN e.g <= /*n*/ 199500 THEN datetime(e.at, '1 minute') END
FROM (SELECT n.*, datetime('2025-01-01', (g * 150) || ' seconds') AS at,
             CASE WHEN b < 0.7 THEN 'view' WHEN b < 0.9 THEN 'login' WHEN b < 0.995 THEN 'purchase' ELSE 'refund' END AS kind,
             CASE WHEN c < 0.6 THEN 'chrome' WHEN c < 0.9 THEN 'firefox' WHEN c < 0.997 THEN 'safari' ELSE 'lynx' END AS browser
      FROM n
      WHERE g <= /*n*/ 200000) AS e
JOIN users AS u ON u.id = 1 + CAST(/*n*/ 19999 * e.c AS INTEGER)
ORDER BY e.g;

DROP TABLE n;
DROP TABLE staff;
DROP TABLE team;
ANALYZE;
