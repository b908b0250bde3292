-- What people are told, and the pictures that they upload.

CREATE TABLE notifications (
    id         UUID PRIMARY KEY,
    user_id    UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    type       TEXT NOT NULL CHECK (type IN (
                   'friend_request', 'friend_accepted', 'challenge_invite', 'challenge_started',
                   'challenge_completed', 'hitch_reminder', 'streak_milestone', 'member_joined',
                   'member_left')),
    title      TEXT NOT NULL,
    body       TEXT NOT NULL,
    data       JSONB NOT NULL DEFAULT '{}',
    action_url TEXT,
    is_read    BOOLEAN NOT NULL DEFAULT FALSE,
    read_at    TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ
);
CREATE INDEX notifications_user ON notifications (user_id, created_at DESC, id DESC);
CREATE INDEX idx_notifications_user_unread ON notifications (user_id, created_at DESC, id DESC)
    WHERE is_read = FALSE;

CREATE TABLE media (
    path       TEXT PRIMARY KEY,
    owner_id   UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL CHECK (kind IN ('photo', 'avatar')),
    size       BIGINT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);
