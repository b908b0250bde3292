-- Who likes what, and who follows whom.

CREATE TABLE favorites (
    id         INTEGER PRIMARY KEY,
    user_id    BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    flyer_id   BIGINT NOT NULL REFERENCES flyers (id) ON DELETE CASCADE,
    created_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX favorites_user_flyer ON favorites (user_id, flyer_id);
CREATE INDEX favorites_user ON favorites (user_id);
CREATE INDEX favorites_user_created ON favorites (user_id, created_at);
CREATE INDEX favorites_flyer_created ON favorites (flyer_id, created_at);

CREATE TABLE follows (
    id          INTEGER PRIMARY KEY,
    follower_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    followed_id BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  TIMESTAMP NOT NULL,
    CHECK (follower_id <> followed_id)
);
CREATE UNIQUE INDEX follows_pair ON follows (follower_id, followed_id);
CREATE INDEX follows_follower ON follows (follower_id);
CREATE INDEX follows_follower_created ON follows (follower_id, created_at);
CREATE INDEX follows_followed ON follows (followed_id);
