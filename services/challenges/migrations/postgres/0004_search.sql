-- Part-of-word search of people. The extension is trusted: the owner of the database may create
-- it, where the server has the contrib package. The table is new, so nobody waits for the index.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX user_profiles_search ON user_profiles USING gin (search_text gin_trgm_ops);
-- Those who came first, for a text that most have: found by walking until enough are there.
CREATE INDEX user_profiles_created ON user_profiles (created_at, id);
