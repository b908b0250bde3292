-- Listings shown to everybody who has the link, and sent from one user to another.

CREATE TABLE listing_share (
    id            INTEGER PRIMARY KEY,
    listing_id    BIGINT NOT NULL REFERENCES listing (id) ON DELETE CASCADE,
    created_by    BIGINT REFERENCES "user" (id) ON DELETE SET NULL,
    share_token   VARCHAR(64) NOT NULL UNIQUE,
    view_count    BIGINT NOT NULL DEFAULT 0,
    crawler_views BIGINT NOT NULL DEFAULT 0,
    created_at    TIMESTAMP NOT NULL,
    expires_at    TIMESTAMP
);
CREATE INDEX listing_share_listing ON listing_share (listing_id, created_by, id);
CREATE INDEX listing_share_creator ON listing_share (created_by, id);
-- Which ones to warm up at start.
CREATE INDEX listing_share_popular ON listing_share (view_count, id);

CREATE TABLE user_share (
    id           INTEGER PRIMARY KEY,
    sender_id    BIGINT NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    recipient_id BIGINT NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    listing_id   BIGINT NOT NULL REFERENCES listing (id) ON DELETE CASCADE,
    share_token  VARCHAR(64) NOT NULL UNIQUE,
    message      TEXT,
    shared_at    TIMESTAMP NOT NULL,
    expires_at   TIMESTAMP NOT NULL,
    viewed_at    TIMESTAMP,
    imported_at  TIMESTAMP,
    created_at   TIMESTAMP NOT NULL
);
CREATE INDEX user_share_inbox ON user_share (recipient_id, shared_at, id);
CREATE INDEX user_share_unviewed ON user_share (recipient_id, shared_at, id) WHERE viewed_at IS NULL;
-- Also what the rate limit counts.
CREATE INDEX user_share_sent ON user_share (sender_id, created_at, id);
CREATE INDEX user_share_listing ON user_share (listing_id);

CREATE TABLE notification (
    id         INTEGER PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES "user" (id) ON DELETE CASCADE,
    share_id   BIGINT REFERENCES user_share (id) ON DELETE CASCADE,
    type       VARCHAR(50) NOT NULL,
    title      VARCHAR(255) NOT NULL,
    message    TEXT NOT NULL,
    read_at    TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX notification_user ON notification (user_id, created_at, id);
CREATE INDEX notification_unread ON notification (user_id, created_at, id) WHERE read_at IS NULL;
CREATE INDEX notification_share ON notification (share_id);
