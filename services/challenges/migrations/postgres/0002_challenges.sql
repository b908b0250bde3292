-- Habits, challenges, who takes part, and what they did.
--
-- Nothing deletes accounts, habits or challenges, so that no index serves those cascades: each
-- check-in would pay for it.

CREATE TABLE habits (
    id          UUID PRIMARY KEY,
    name        VARCHAR(100) NOT NULL,
    icon        TEXT,
    description TEXT,
    category    TEXT,
    is_system   BOOLEAN NOT NULL DEFAULT FALSE,
    created_by  UUID REFERENCES user_profiles (id) ON DELETE CASCADE,
    created_at  TIMESTAMPTZ NOT NULL
);
CREATE INDEX habits_creator ON habits (created_by, id);

CREATE TABLE challenges (
    id               UUID PRIMARY KEY,
    name             VARCHAR(200) NOT NULL,
    description      VARCHAR(2000),
    type             TEXT NOT NULL DEFAULT 'individual' CHECK (type IN ('individual', 'group')),
    status           TEXT NOT NULL DEFAULT 'pending'
                     CHECK (status IN ('pending', 'active', 'completed', 'failed', 'archived')),
    start_date       DATE NOT NULL,
    end_date         DATE NOT NULL,
    duration_days    INTEGER NOT NULL GENERATED ALWAYS AS (end_date - start_date) STORED,
    max_members      BIGINT NOT NULL DEFAULT 10 CHECK (max_members BETWEEN 1 AND 50),
    checkin_type     TEXT NOT NULL DEFAULT 'photo'
                     CHECK (checkin_type IN ('photo', 'video', 'caption', 'any')),
    require_evidence BOOLEAN NOT NULL DEFAULT TRUE,
    invite_code      CHAR(6) NOT NULL UNIQUE,
    is_public        BOOLEAN NOT NULL DEFAULT FALSE,
    -- Members that are active.
    member_count     BIGINT NOT NULL DEFAULT 0 CHECK (member_count BETWEEN 0 AND max_members),
    created_at       TIMESTAMPTZ NOT NULL,
    updated_at       TIMESTAMPTZ NOT NULL,
    created_by       UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    organization_id  UUID,
    program_id       UUID,
    CHECK (end_date > start_date AND end_date - start_date <= 365)
);
-- Founding paper 003 asks for it.
CREATE INDEX idx_challenges_status_created ON challenges (status, created_at DESC);

CREATE TABLE challenge_habits (
    id             UUID PRIMARY KEY,
    challenge_id   UUID NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
    habit_id       UUID NOT NULL REFERENCES habits (id) ON DELETE CASCADE,
    display_order  BIGINT NOT NULL DEFAULT 0,
    custom_name    VARCHAR(100),
    custom_icon    TEXT,
    description    TEXT,
    total_checkins BIGINT NOT NULL DEFAULT 0 CHECK (total_checkins >= 0),
    UNIQUE (challenge_id, habit_id)
);

-- The streak is kept as in user_profiles.
CREATE TABLE challenge_members (
    id                UUID PRIMARY KEY,
    challenge_id      UUID NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
    user_id           UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    role              TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('creator', 'admin', 'member')),
    status            TEXT NOT NULL DEFAULT 'pending'
                      CHECK (status IN ('pending', 'active', 'left', 'kicked')),
    current_streak    BIGINT NOT NULL DEFAULT 0 CHECK (current_streak >= 0),
    longest_streak    BIGINT NOT NULL DEFAULT 0 CHECK (longest_streak >= 0),
    total_checkins    BIGINT NOT NULL DEFAULT 0 CHECK (total_checkins >= 0),
    points_earned     BIGINT NOT NULL DEFAULT 0 CHECK (points_earned >= 0),
    hitch_count       BIGINT NOT NULL DEFAULT 2 CHECK (hitch_count >= 0),
    joined_at         TIMESTAMPTZ NOT NULL,
    left_at           TIMESTAMPTZ,
    last_checkin_at   TIMESTAMPTZ,
    last_checkin_date DATE,
    streak_ends_at    TIMESTAMPTZ,
    prior_streak      BIGINT NOT NULL DEFAULT 0,
    prior_longest     BIGINT NOT NULL DEFAULT 0,
    prior_date        DATE,
    prior_ends_at     TIMESTAMPTZ,
    prior_checkin_at  TIMESTAMPTZ,
    UNIQUE (challenge_id, user_id)
);
-- In the order of their joining.
CREATE INDEX challenge_members_joined ON challenge_members (challenge_id, joined_at, id);
CREATE INDEX challenge_members_user ON challenge_members (user_id);
CREATE INDEX idx_challenge_members_user_status ON challenge_members (user_id, status)
    WHERE status = 'active';

CREATE TABLE check_ins (
    id           UUID PRIMARY KEY,
    challenge_id UUID NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
    habit_id     UUID NOT NULL REFERENCES habits (id) ON DELETE CASCADE,
    user_id      UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    -- The day on the clock of the user.
    checkin_date DATE NOT NULL,
    status       TEXT NOT NULL DEFAULT 'completed'
                 CHECK (status IN ('pending', 'completed', 'verified', 'rejected')),
    photo_url    TEXT,
    video_url    TEXT,
    caption      VARCHAR(500),
    is_on_time   BOOLEAN NOT NULL DEFAULT TRUE,
    -- What it earned.
    points       BIGINT NOT NULL CHECK (points >= 0),
    verified_by  UUID,
    verified_at  TIMESTAMPTZ,
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    UNIQUE (challenge_id, habit_id, user_id, checkin_date)
);
CREATE INDEX idx_checkins_user_date ON check_ins (user_id, checkin_date DESC, id DESC);
-- Of all members, or of one, on a day.
CREATE INDEX check_ins_day ON check_ins (challenge_id, checkin_date, user_id);

CREATE TABLE hitch_log (
    id           UUID PRIMARY KEY,
    challenge_id UUID NOT NULL REFERENCES challenges (id) ON DELETE CASCADE,
    habit_id     UUID NOT NULL REFERENCES habits (id) ON DELETE CASCADE,
    sender_id    UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    target_id    UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    created_at   TIMESTAMPTZ NOT NULL,
    hitch_date   DATE NOT NULL,
    UNIQUE (challenge_id, habit_id, sender_id, target_id, hitch_date)
);

INSERT INTO habits (id, name, icon, description, category, is_system, created_at) VALUES
    ('00000000-0000-0000-0000-000000000001', 'Morning Exercise', '🏃', 'Move for at least 20 minutes', 'fitness', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000002', 'Drink Water', '💧', 'Drink eight glasses of water', 'health', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000003', 'Read Books', '📚', 'Read for at least 20 minutes', 'learning', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000004', 'Meditation', '🧘', 'Sit still for at least 10 minutes', 'mindfulness', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000005', 'Healthy Eating', '🥗', 'Eat five portions of fruit and vegetables', 'health', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000006', 'Learn Something New', '🧠', 'Learn for at least 20 minutes', 'learning', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000007', 'Sleep Early', '😴', 'Be in bed before eleven', 'health', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000008', 'Gratitude Journal', '📝', 'Write down three good things', 'mindfulness', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000009', 'No Social Media', '📵', 'Stay off social media', 'mindfulness', TRUE, '2025-01-01T00:00:00Z'),
    ('00000000-0000-0000-0000-000000000010', 'Connect with Loved Ones', '💞', 'Call or meet somebody who matters', 'social', TRUE, '2025-01-01T00:00:00Z');
