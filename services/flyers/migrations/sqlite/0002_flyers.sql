-- Flyers, their pictures and categories.

-- The id of a deleted flyer is never given to another one (AUTOINCREMENT): whoever still has it
-- in a link or a list finds nothing.
CREATE TABLE flyers (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    creator_id       BIGINT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title            TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    caption          TEXT NOT NULL DEFAULT '' CHECK (length(caption) <= 2000),
    info_field_1     TEXT NOT NULL DEFAULT '' CHECK (length(info_field_1) <= 1000),
    info_field_2     TEXT NOT NULL DEFAULT '' CHECK (length(info_field_2) <= 1000),
    location_address TEXT NOT NULL CHECK (length(location_address) <= 500),
    latitude         DOUBLE PRECISION NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude        DOUBLE PRECISION NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    publication_date TIMESTAMP NOT NULL,
    expiration_date  TIMESTAMP NOT NULL,
    is_active        BOOLEAN NOT NULL DEFAULT TRUE,
    version          BIGINT NOT NULL DEFAULT 1,
    -- Title and caption, case folded by the service (SQLite folds ASCII only).
    search_text      TEXT NOT NULL,
    created_at       TIMESTAMP NOT NULL,
    updated_at       TIMESTAMP NOT NULL,
    CHECK (expiration_date > publication_date)
);

-- Indexes that the requirements name one by one. Some are prefixes of those below.
CREATE INDEX flyers_is_active ON flyers (is_active);
CREATE INDEX flyers_expiration ON flyers (expiration_date);
CREATE INDEX flyers_active_expiration ON flyers (is_active, expiration_date);
CREATE INDEX flyers_creator ON flyers (creator_id);
CREATE INDEX flyers_created ON flyers (created_at);
CREATE INDEX flyers_place ON flyers (latitude, longitude);
CREATE INDEX flyers_validity ON flyers (publication_date, expiration_date);

-- Indexes that the feeds walk, each covering: a row is read only once it is known
-- to be shown. They are partial on the bare column, which SQLite matches only for
-- the literal text WHERE is_active; the statements pin them by name. That they hold
-- is_active too looks idle and is not: without it SQLite reads the row to look.
CREATE INDEX flyers_live_recent ON flyers
    (created_at DESC, id DESC, publication_date, expiration_date, latitude, longitude, is_active)
    WHERE is_active;
CREATE INDEX flyers_live_creator ON flyers
    (creator_id, created_at DESC, id DESC, publication_date, expiration_date, latitude, longitude, is_active)
    WHERE is_active;
CREATE INDEX flyers_live_place ON flyers
    (latitude, longitude, publication_date, expiration_date, created_at, id, is_active)
    WHERE is_active;

-- A creator's own lists, expired and scheduled flyers included.
CREATE INDEX flyers_creator_recent ON flyers (creator_id, created_at DESC, id DESC);
CREATE INDEX flyers_creator_published ON flyers (creator_id, publication_date DESC, id DESC);

CREATE TABLE flyer_images (
    id         INTEGER PRIMARY KEY,
    flyer_id   BIGINT NOT NULL REFERENCES flyers (id) ON DELETE CASCADE,
    path       TEXT NOT NULL,
    -- 0 is the cover.
    position   BIGINT NOT NULL CHECK (position BETWEEN 0 AND 4),
    created_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX flyer_images_flyer_position ON flyer_images (flyer_id, position, path);

CREATE TABLE categories (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    slug          TEXT NOT NULL,
    display_order BIGINT NOT NULL,
    is_active     BOOLEAN NOT NULL DEFAULT TRUE
);
CREATE UNIQUE INDEX categories_name ON categories (name);
CREATE UNIQUE INDEX categories_slug ON categories (slug);

INSERT INTO categories (id, name, slug, display_order) VALUES
    (1, 'Events', 'events', 1),
    (2, 'Nightlife', 'nightlife', 2),
    (3, 'Service', 'service', 3),
    (4, 'Food & Drink', 'food-drink', 4),
    (5, 'Retail', 'retail', 5),
    (6, 'Community', 'community', 6),
    (7, 'Other', 'other', 7);

-- The link repeats what decides whether and where its flyer is listed. A category
-- feed then walks one index and never meets a flyer that it must not show, however
-- rare the category is. The trigger keeps the copy; created_at never changes.
CREATE TABLE flyer_categories (
    flyer_id         BIGINT NOT NULL REFERENCES flyers (id) ON DELETE CASCADE,
    category_id      BIGINT NOT NULL REFERENCES categories (id) ON DELETE CASCADE,
    created_at       TIMESTAMP NOT NULL,
    publication_date TIMESTAMP NOT NULL,
    expiration_date  TIMESTAMP NOT NULL,
    is_active        BOOLEAN NOT NULL,
    PRIMARY KEY (flyer_id, category_id)
);
CREATE INDEX flyer_categories_live ON flyer_categories
    (category_id, created_at DESC, flyer_id DESC, publication_date, expiration_date, is_active)
    WHERE is_active;
-- Deleting a category must not scan.
CREATE INDEX flyer_categories_category ON flyer_categories (category_id);

CREATE TRIGGER flyers_validity_to_categories
AFTER UPDATE OF is_active, publication_date, expiration_date ON flyers
BEGIN
    UPDATE flyer_categories
    SET is_active = new.is_active,
        publication_date = new.publication_date,
        expiration_date = new.expiration_date
    WHERE flyer_id = new.id;
END;
