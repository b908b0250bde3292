-- Part-of-word search in title and caption. The extension is trusted: the owner of the
-- database may create it, where the server has the contrib package.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
