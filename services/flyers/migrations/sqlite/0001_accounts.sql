-- Accounts: who may sign in, what others see of them, what they allow.
--
-- Timestamps are RFC 3339 texts in UTC, written by one writer type, so that they
-- sort as text. E-mail addresses are stored folded: the unique index is then the
-- case-insensitive comparison.

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    email         TEXT NOT NULL CHECK (length(email) <= 254),
    username      TEXT NOT NULL CHECK (length(username) <= 150),
    password_hash TEXT NOT NULL,
    latitude      DOUBLE PRECISION CHECK (latitude BETWEEN -90 AND 90),
    longitude     DOUBLE PRECISION CHECK (longitude BETWEEN -180 AND 180),
    created_at    TIMESTAMP NOT NULL,
    updated_at    TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX users_email ON users (email);
CREATE UNIQUE INDEX users_username ON users (username);

-- Name, text and picture live here only; the user row is identity.
CREATE TABLE profiles (
    id              INTEGER PRIMARY KEY,
    user_id         BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name            TEXT CHECK (length(name) <= 100),
    bio             TEXT CHECK (length(bio) <= 500),
    profile_picture TEXT,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX profiles_user_id ON profiles (user_id);

CREATE TABLE privacy_settings (
    id                  INTEGER PRIMARY KEY,
    user_id             BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    allow_email_contact BOOLEAN NOT NULL DEFAULT TRUE,
    created_at          TIMESTAMP NOT NULL,
    updated_at          TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX privacy_settings_user_id ON privacy_settings (user_id);
