-- no-transaction
CREATE INDEX CONCURRENTLY flyers_search_text ON flyers USING gin (search_text gin_trgm_ops);
