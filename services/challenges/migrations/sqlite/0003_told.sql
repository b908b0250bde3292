-- What people are told, and the pictures that they upload.

CREATE TABLE notifications (
    id         TEXT PRIMARY KEY NOT NULL,
    user_id    TEXT NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    type       TEXT NOT NULL CHECK (type IN (
                   'friend_request', 'friend_accepted', 'challenge_invite', 'challenge_started',
                   'challenge_completed', 'hitch_reminder', 'streak_milestone', 'member_joined',
                   'member_left')),
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    data       TEXT NOT NULL DEFAULT '{}',
    action_url TEXT,
    is_read    BOOLEAN NOT NULL DEFAULT FALSE,
    read_at    TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP
);
CREATE INDEX notifications_user ON notifications (user_id, created_at DESC, id DESC);
CREATE INDEX idx_notifications_user_unread ON notifications (user_id, created_at DESC, id DESC)
    WHERE is_read = FALSE;

CREATE TABLE media (
    path       TEXT PRIMARY KEY NOT NULL,
    owner_id   TEXT NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('photo', 'avatar')),
    size       BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
