-- What users put together from listings.

CREATE TABLE collection (
    id          INTEGER PRIMARY KEY,
    user_id     BIGINT NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    name        VARCHAR(100) NOT NULL,
    description TEXT,
    visibility  VARCHAR(20) NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'unlisted', 'public')),
    -- Views of all its share tokens, for "popular": adding them up would read every token.
    share_views BIGINT NOT NULL DEFAULT 0,
    -- Name and description in small letters, to search for parts of words.
    search_text TEXT NOT NULL,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);
CREATE INDEX collection_user ON collection (user_id, created_at, id);
CREATE INDEX collection_recent ON collection (visibility, created_at, id);
CREATE INDEX collection_popular ON collection (visibility, share_views, created_at, id);

CREATE TABLE collection_item (
    id            INTEGER PRIMARY KEY,
    collection_id BIGINT NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    listing_id    BIGINT NOT NULL REFERENCES listing (id) ON DELETE CASCADE,
    status        VARCHAR(20) NOT NULL DEFAULT 'undecided' CHECK (status IN ('undecided', 'shortlisted', 'rejected', 'bought')),
    notes         TEXT,
    position      BIGINT,
    added_at      TIMESTAMP NOT NULL,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX collection_item_once ON collection_item (collection_id, listing_id);
CREATE INDEX collection_item_listing ON collection_item (listing_id);
CREATE INDEX collection_item_position ON collection_item (collection_id, position, id);
CREATE INDEX collection_item_added ON collection_item (collection_id, added_at, id);

CREATE TABLE collection_share_token (
    id            INTEGER PRIMARY KEY,
    collection_id BIGINT NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    token         VARCHAR(64) NOT NULL UNIQUE,
    view_count    BIGINT NOT NULL DEFAULT 0,
    crawler_views BIGINT NOT NULL DEFAULT 0,
    expires_at    TIMESTAMP,
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);
CREATE INDEX collection_share_token_collection ON collection_share_token (collection_id, id);
