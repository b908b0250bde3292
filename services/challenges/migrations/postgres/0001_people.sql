-- Accounts, the profiles that others see, and friendships.

CREATE TABLE accounts (
    id            UUID PRIMARY KEY,
    email         VARCHAR(254) NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at    TIMESTAMPTZ NOT NULL
);

-- A streak counts until `streak_ends_at`, the end of the day after its last day, by the clock of
-- its user. The `prior_` columns are the streak as it was before the first check-in of
-- `last_checkin_date`: what comes back when the check-ins of that day are deleted.
CREATE TABLE user_profiles (
    id                         UUID PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    email                      VARCHAR(254) NOT NULL UNIQUE,
    full_name                  VARCHAR(100),
    display_name               VARCHAR(50) NOT NULL,
    avatar_url                 TEXT,
    bio                        VARCHAR(500),
    account_type               TEXT NOT NULL DEFAULT 'b2c' CHECK (account_type IN ('b2c', 'b2b')),
    forced_mode                TEXT,
    organization_id            UUID,
    timezone                   TEXT,
    current_streak             BIGINT NOT NULL DEFAULT 0 CHECK (current_streak >= 0),
    longest_streak             BIGINT NOT NULL DEFAULT 0 CHECK (longest_streak >= 0),
    total_check_ins            BIGINT NOT NULL DEFAULT 0 CHECK (total_check_ins >= 0),
    total_challenges_completed BIGINT NOT NULL DEFAULT 0 CHECK (total_challenges_completed >= 0),
    points                     BIGINT NOT NULL DEFAULT 0 CHECK (points >= 0),
    last_checkin_date          DATE,
    streak_ends_at             TIMESTAMPTZ,
    prior_streak               BIGINT NOT NULL DEFAULT 0,
    prior_longest              BIGINT NOT NULL DEFAULT 0,
    prior_date                 DATE,
    prior_ends_at              TIMESTAMPTZ,
    created_at                 TIMESTAMPTZ NOT NULL,
    updated_at                 TIMESTAMPTZ NOT NULL,
    last_seen_at               TIMESTAMPTZ,
    push_token                 TEXT,
    push_device                TEXT,
    -- Name and address in lower case, each word after a space.
    search_text                TEXT NOT NULL
);

CREATE TABLE friendships (
    id           UUID PRIMARY KEY,
    requester_id UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    addressee_id UUID NOT NULL REFERENCES user_profiles (id) ON DELETE CASCADE,
    status       TEXT NOT NULL DEFAULT 'pending'
                 CHECK (status IN ('pending', 'accepted', 'rejected', 'blocked')),
    created_at   TIMESTAMPTZ NOT NULL,
    updated_at   TIMESTAMPTZ NOT NULL,
    CHECK (requester_id <> addressee_id)
);
-- One friendship of two people, whoever asked.
CREATE UNIQUE INDEX friendships_pair
    ON friendships (least(requester_id, addressee_id), greatest(requester_id, addressee_id));
CREATE INDEX friendships_requester ON friendships (requester_id, status, updated_at, id);
CREATE INDEX friendships_addressee ON friendships (addressee_id, status, updated_at, id);
