-- Part-of-word search in title and caption. SQLite only: PostgreSQL has pg_trgm.
--
-- The text stays in flyers; the index holds trigrams. detail=full costs four times
-- the space of detail=none and is worth it: a phrase match is then exact, and the
-- service can choose its plan by the true number of hits.

CREATE VIRTUAL TABLE flyer_search USING fts5 (
    search_text,
    content = 'flyers',
    content_rowid = 'id',
    tokenize = 'trigram case_sensitive 1',
    columnsize = 0
);

CREATE TRIGGER flyers_search_insert AFTER INSERT ON flyers
BEGIN
    INSERT INTO flyer_search (rowid, search_text) VALUES (new.id, new.search_text);
END;

CREATE TRIGGER flyers_search_delete AFTER DELETE ON flyers
BEGIN
    INSERT INTO flyer_search (flyer_search, rowid, search_text)
    VALUES ('delete', old.id, old.search_text);
END;

CREATE TRIGGER flyers_search_update AFTER UPDATE OF search_text ON flyers
BEGIN
    INSERT INTO flyer_search (flyer_search, rowid, search_text)
    VALUES ('delete', old.id, old.search_text);
    INSERT INTO flyer_search (rowid, search_text) VALUES (new.id, new.search_text);
END;
