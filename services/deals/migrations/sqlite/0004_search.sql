-- Part-of-word search in name and description of collections. SQLite only: PostgreSQL has
-- pg_trgm.

CREATE VIRTUAL TABLE collection_search USING fts5 (
    search_text,
    content = 'collection',
    content_rowid = 'id',
    tokenize = 'trigram case_sensitive 1',
    columnsize = 0
);

CREATE TRIGGER collection_search_insert AFTER INSERT ON collection
BEGIN
    INSERT INTO collection_search (rowid, search_text) VALUES (new.id, new.search_text);
END;

CREATE TRIGGER collection_search_delete AFTER DELETE ON collection
BEGIN
    INSERT INTO collection_search (collection_search, rowid, search_text)
    VALUES ('delete', old.id, old.search_text);
END;

CREATE TRIGGER collection_search_update AFTER UPDATE OF search_text ON collection
BEGIN
    INSERT INTO collection_search (collection_search, rowid, search_text)
    VALUES ('delete', old.id, old.search_text);
    INSERT INTO collection_search (rowid, search_text) VALUES (new.id, new.search_text);
END;
