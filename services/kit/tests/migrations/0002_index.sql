-- no-transaction
CREATE INDEX CONCURRENTLY migrated_name ON migrated (name);
