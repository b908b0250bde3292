INSERT INTO notifications SELECT 10000000 + g, 1 + g % 9999, 'friend_request', 'Title ' || g, repeat('n', 90), false, now() FROM generate_series(1, /*n*/ 20000) AS g;
INSERT INTO flyers SELECT 10000000 + g, 1 + g % /*n*/ 9999, 'Flyer ' || md5(g::text), repeat(md5(g::text), 6), 47, 8, true, NULL, now(), now() FROM generate_series(1, /*n*/ 10000) AS g;
UPDATE notifications SET is_read = true WHERE id <= /*n*/ 10000;
