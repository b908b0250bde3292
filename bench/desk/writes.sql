INSERT INTO tickets
SELECT 10000000 + t.id, t.tenant_id, t.requester_id, t.assignee_id, 'open', t.priority, t.subject, now(), now(), now() + INTERVAL '1 day', NULL
FROM tickets AS t
WHERE t.id <= /*n*/ 5000;
INSERT INTO messages
SELECT 10000000 + g, 1 + g * 7919 % /*n*/ 120000, 1 + g * 6857 % /*n*/ 20000, repeat('m', 100), FALSE, now()
FROM generate_series(1::BIGINT, /*n*/ 10000) AS g;
INSERT INTO orders
SELECT 10000000 + o.id, o.tenant_id, o.customer_id, 'open', o.total_cents, now(), NULL
FROM orders AS o
WHERE o.id <= /*n*/ 5000;
INSERT INTO events
SELECT 10000000 + e.id, e.tenant_id, e.kind, e.payload, now(), NULL
FROM events AS e
WHERE e.id <= /*n*/ 5000;
UPDATE tickets SET status = 'pending', updated_at = now() WHERE id <= /*n*/ 5000;
