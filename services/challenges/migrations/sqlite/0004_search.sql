-- Part-of-word search of people by name and address. SQLite only: PostgreSQL has
-- pg_trgm.

CREATE VIRTUAL TABLE people_search USING fts5 (
    search_text,
    content = 'user_profiles',
    content_rowid = 'number',
    tokenize = 'trigram case_sensitive 1',
    columnsize = 0
);

CREATE TRIGGER people_search_insert AFTER INSERT ON user_profiles
BEGIN
    INSERT INTO people_search (rowid, search_text) VALUES (new.number, new.search_text);
END;

CREATE TRIGGER people_search_delete AFTER DELETE ON user_profiles
BEGIN
    INSERT INTO people_search (people_search, rowid, search_text)
    VALUES ('delete', old.number, old.search_text);
END;

CREATE TRIGGER people_search_update AFTER UPDATE OF search_text ON user_profiles
BEGIN
    INSERT INTO people_search (people_search, rowid, search_text)
    VALUES ('delete', old.number, old.search_text);
    INSERT INTO people_search (rowid, search_text) VALUES (new.number, new.search_text);
END;
