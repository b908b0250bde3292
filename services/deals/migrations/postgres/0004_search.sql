-- Part-of-word search in name and description of collections. The extension is trusted: the
-- owner of the database may create it, where the server has the contrib package. The table is
-- new, so nobody waits for the index.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX collection_search_text ON collection USING gin (search_text gin_trgm_ops);
