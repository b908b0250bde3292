\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET timezone = 'UTC';

CREATE TABLE tenants (
    id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE users (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    UNIQUE (tenant_id, email)
);
CREATE TABLE categories (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    parent_id BIGINT REFERENCES categories (id),
    name TEXT NOT NULL
);
CREATE TABLE tickets (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    requester_id BIGINT NOT NULL REFERENCES users (id),
    assignee_id BIGINT REFERENCES users (id),
    status TEXT NOT NULL,
    priority TEXT NOT NULL,
    subject TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    due_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ
);
CREATE TABLE messages (
    id BIGINT PRIMARY KEY,
    ticket_id BIGINT NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    author_id BIGINT NOT NULL REFERENCES users (id),
    body TEXT NOT NULL,
    is_internal BOOLEAN NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
CREATE TABLE labels (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    name TEXT NOT NULL
);
CREATE TABLE ticket_labels (
    ticket_id BIGINT NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    label_id BIGINT NOT NULL REFERENCES labels (id),
    PRIMARY KEY (ticket_id, label_id)
);
CREATE TABLE ticket_reads (
    user_id BIGINT NOT NULL REFERENCES users (id),
    ticket_id BIGINT NOT NULL REFERENCES tickets (id) ON DELETE CASCADE,
    read_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, ticket_id)
);
CREATE TABLE products (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    category_id BIGINT NOT NULL REFERENCES categories (id),
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    price_cents BIGINT NOT NULL,
    deleted_at TIMESTAMPTZ
);
CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    customer_id BIGINT NOT NULL REFERENCES users (id),
    status TEXT NOT NULL,
    total_cents BIGINT NOT NULL,
    placed_at TIMESTAMPTZ NOT NULL,
    note TEXT
);
CREATE TABLE order_lines (
    id BIGINT PRIMARY KEY,
    order_id BIGINT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    product_id BIGINT NOT NULL REFERENCES products (id),
    quantity BIGINT NOT NULL,
    price_cents BIGINT NOT NULL
);
CREATE TABLE events (
    id BIGINT PRIMARY KEY,
    tenant_id BIGINT NOT NULL REFERENCES tenants (id),
    kind TEXT NOT NULL,
    payload JSONB NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    processed_at TIMESTAMPTZ
);

-- Four columns that look random between 0 and 1 and are the same on every machine and database.
CREATE TEMPORARY TABLE n AS
SELECT g,
       (g * 2654435761 % 1000003) / 1000003.0::FLOAT8 AS a,
       (g * 1597334677 % 999983) / 999983.0::FLOAT8 AS b,
       (g * 668265263 % 999979) / 999979.0::FLOAT8 AS c,
       (g * 374761393 % 999961) / 999961.0::FLOAT8 AS d
FROM generate_series(1::BIGINT, /*n*/ 300000) AS g;

INSERT INTO tenants
SELECT g, 'Tenant ' || g, CASE WHEN g % 10 = 0 THEN 'large' ELSE 'small' END,
       TIMESTAMPTZ '2024-01-01' + g * INTERVAL '1 day'
FROM generate_series(1::BIGINT, 200) AS g;

-- Few tenants have most of the users, and with them of everything else.
INSERT INTO users
SELECT g, 1 + floor(200 * a * a * a)::BIGINT, 'User' || g || '@Example.com', 'Name ' || to_hex(g * 2654435761 % 4294967296),
       CASE WHEN g % 10 = 0 THEN 'agent' ELSE 'customer' END,
       TIMESTAMPTZ '2025-12-01' - floor(b * b * 200000)::BIGINT * INTERVAL '1 minute',
       CASE WHEN c < 0.05 THEN TIMESTAMPTZ '2025-06-01' END
FROM n
WHERE g <= /*n*/ 20000;

-- Each tenant has a tree of forty categories, three below each.
INSERT INTO categories
SELECT g, 1 + (g - 1) / 40,
       CASE WHEN (g - 1) % 40 > 0 THEN (g - 1) / 40 * 40 + 1 + ((g - 1) % 40 - 1) / 3 END,
       'Category ' || g
FROM generate_series(1::BIGINT, 8000) AS g;

CREATE TEMPORARY TABLE staff AS
SELECT tenant_id, id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS place
FROM users
WHERE role = 'agent';
CREATE TEMPORARY TABLE team AS
SELECT tenant_id, count(*) AS many FROM staff GROUP BY tenant_id;
ANALYZE n;
ANALYZE staff;
ANALYZE team;

-- Old tickets are closed, but for a few.
INSERT INTO tickets
SELECT t.g, u.tenant_id, u.id, CASE WHEN t.status = 'open' AND t.d < 0.3 THEN NULL ELSE s.id END, t.status,
       CASE WHEN t.c < 0.03 THEN 'urgent' WHEN t.c < 0.2 THEN 'high' ELSE 'normal' END,
       'Trouble with ' || (ARRAY['printer', 'invoice', 'password', 'delivery', 'refund', 'screen', 'account', 'webhook'])[1 + floor(8 * t.d)::BIGINT]
           || ' ' || to_hex(t.g * 2654435761 % 4294967296),
       t.at, t.at + floor(t.c * 4000)::BIGINT * INTERVAL '1 minute', t.at + floor(1 + t.b * 5)::BIGINT * INTERVAL '1 day',
       CASE WHEN t.a > 0.95 THEN t.at + INTERVAL '7 days' END
FROM (SELECT n.*, TIMESTAMPTZ '2025-01-01' + g * INTERVAL '4 minutes' AS at,
             CASE WHEN g <= /*n*/ 100000 AND b < 0.995 THEN 'closed'
                  WHEN g <= /*n*/ 100000 OR b < 0.15 THEN 'open'
                  WHEN b < 0.3 THEN 'pending'
                  WHEN b < 0.7 THEN 'solved'
                  ELSE 'closed'
             END AS status
      FROM n
      WHERE g <= /*n*/ 120000) AS t
JOIN users AS u ON u.id = 1 + floor(/*n*/ 19999 * t.a)::BIGINT
LEFT JOIN team ON team.tenant_id = u.tenant_id
LEFT JOIN staff AS s ON s.tenant_id = u.tenant_id
                    AND s.place = 1 + floor(team.many * t.c)::BIGINT
ORDER BY t.g;

-- What is new is talked about most.
INSERT INTO messages
SELECT n.g, t.id, CASE WHEN n.b < 0.5 THEN t.requester_id ELSE coalesce(t.assignee_id, t.requester_id) END,
       repeat(to_hex(n.g * 2654435761 % 4294967296) || ' ', 12), n.c < 0.2,
       t.created_at + floor(n.d * 7200)::BIGINT * INTERVAL '1 minute'
FROM n
JOIN tickets AS t ON t.id = 1 + floor(/*n*/ 119999 * (1 - n.a * n.a))::BIGINT
WHERE n.g <= /*n*/ 300000
ORDER BY n.g;

INSERT INTO labels
SELECT g, 1 + (g - 1) / 10, 'label ' || (g - 1) % 10
FROM generate_series(1::BIGINT, 2000) AS g;
INSERT INTO ticket_labels
SELECT t.id, (t.tenant_id - 1) * 10 + 1 + (floor(10 * n.b * n.b)::BIGINT + extra.one) % 10
FROM tickets AS t
JOIN n ON n.g = t.id
JOIN (SELECT 0 AS one UNION ALL SELECT 1) AS extra ON extra.one = 0 OR n.c < 0.5
ORDER BY t.id, extra.one;
INSERT INTO ticket_reads
SELECT 1 + floor(/*n*/ 19999 * b)::BIGINT, 1 + floor(/*n*/ 119999 * (1 - a * a))::BIGINT,
       TIMESTAMPTZ '2025-01-01' + g * INTERVAL '5 minutes'
FROM n
WHERE g <= /*n*/ 100000
ORDER BY g
ON CONFLICT DO NOTHING;

INSERT INTO products
SELECT g, 1 + floor(200 * a * a)::BIGINT, 40 * floor(200 * a * a)::BIGINT + 1 + floor(40 * b)::BIGINT,
       chr(65 + floor(26 * b)::INT) || chr(65 + floor(26 * c)::INT) || '-' || g, 'Product ' || to_hex(g * 2654435761 % 4294967296),
       100 + floor(9900 * d)::BIGINT, CASE WHEN c < 0.1 THEN TIMESTAMPTZ '2025-06-01' END
FROM n
WHERE g <= /*n*/ 10000;
INSERT INTO orders
SELECT n.g, u.tenant_id, u.id,
       CASE WHEN n.b < 0.05 AND n.g > /*n*/ 90000 THEN 'open' WHEN n.b < 0.7 THEN 'paid' WHEN n.b < 0.95 THEN 'shipped' ELSE 'cancelled' END,
       500 + floor(20000 * n.d)::BIGINT, TIMESTAMPTZ '2025-01-01' + n.g * INTERVAL '5 minutes',
       CASE WHEN n.c < 0.3 THEN repeat('please ring ', 5) END
FROM n
JOIN users AS u ON u.id = 1 + floor(/*n*/ 19999 * n.a * n.a)::BIGINT
WHERE n.g <= /*n*/ 100000
ORDER BY n.g;
INSERT INTO order_lines
SELECT g, 1 + floor(/*n*/ 99999 * a)::BIGINT, 1 + floor(/*n*/ 9999 * b * b)::BIGINT, 1 + floor(5 * c)::BIGINT, 100 + floor(9900 * d)::BIGINT
FROM n
WHERE g <= /*n*/ 300000
ORDER BY g;

INSERT INTO events
SELECT e.g, u.tenant_id, e.kind,
       ('{"user": ' || u.id || ', "browser": "' || e.browser || '", "path": "/p/' || floor(1000 * e.d)::BIGINT || '"'
           || CASE WHEN e.kind IN ('purchase', 'refund') THEN ', "order": "' || 1 + floor(/*n*/ 99999 * e.a)::BIGINT || '"' ELSE '' END || '}')::JSONB,
       e.at, CASE WHEN e.g <= /*n*/ 199500 THEN e.at + INTERVAL '1 minute' END
FROM (SELECT n.*, TIMESTAMPTZ '2025-01-01' + g * INTERVAL '150 seconds' AS at,
             CASE WHEN b < 0.7 THEN 'view' WHEN b < 0.9 THEN 'login' WHEN b < 0.995 THEN 'purchase' ELSE 'refund' END AS kind,
             CASE WHEN c < 0.6 THEN 'chrome' WHEN c < 0.9 THEN 'firefox' WHEN c < 0.997 THEN 'safari' ELSE 'lynx' END AS browser
      FROM n
      WHERE g <= /*n*/ 200000) AS e
JOIN users AS u ON u.id = 1 + floor(/*n*/ 19999 * e.c)::BIGINT
ORDER BY e.g;

DROP TABLE n;
DROP TABLE staff;
DROP TABLE team;
VACUUM ANALYZE;
