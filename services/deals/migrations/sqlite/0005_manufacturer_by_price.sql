-- The listings of one manufacturer in the order of their prices: SQLite sorts them all for each page
-- otherwise, where PostgreSQL walks the prices and leaves the others out.
CREATE INDEX listing_manufacturer_price ON listing (manufacturer, price_usd, id);
