-- Who there is, and what is for sale. Texts named …_json, and other_urls, missing_fields and
-- other_components, hold JSON that the service has checked; no statement looks inside.
-- Times are UTC. Every column that points elsewhere has an index of its own: without one, each
-- row deleted over there reads all rows here.

CREATE TABLE "user" (
    id           INTEGER PRIMARY KEY,
    username     VARCHAR(64) NOT NULL UNIQUE,
    email        VARCHAR(320) UNIQUE,
    display_name VARCHAR(255),
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL
);

CREATE TABLE cpu (
    id              INTEGER PRIMARY KEY,
    name            VARCHAR(255) NOT NULL UNIQUE,
    manufacturer    VARCHAR(64) NOT NULL,
    socket          VARCHAR(64),
    cores           BIGINT,
    threads         BIGINT,
    tdp_w           BIGINT,
    igpu_model      VARCHAR(255),
    cpu_mark_multi  BIGINT,
    cpu_mark_single BIGINT,
    igpu_mark       BIGINT,
    release_year    BIGINT,
    created_at      TIMESTAMP NOT NULL,
    updated_at      TIMESTAMP NOT NULL
);

CREATE TABLE gpu (
    id           INTEGER PRIMARY KEY,
    name         VARCHAR(255) NOT NULL UNIQUE,
    manufacturer VARCHAR(64) NOT NULL,
    gpu_mark     BIGINT,
    metal_score  BIGINT,
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL
);

CREATE TABLE ports_profile (
    id          INTEGER PRIMARY KEY,
    name        VARCHAR(128) NOT NULL UNIQUE,
    description TEXT,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL
);

CREATE TABLE port (
    id               INTEGER PRIMARY KEY,
    ports_profile_id BIGINT NOT NULL REFERENCES ports_profile (id) ON DELETE CASCADE,
    type             VARCHAR(32) NOT NULL,
    count            BIGINT NOT NULL DEFAULT 1,
    spec_notes       VARCHAR(255)
);
-- A missing value equals a missing value here and below: NULLs alone would never clash.
CREATE UNIQUE INDEX port_once ON port (ports_profile_id, type, coalesce(spec_notes, ''));

CREATE TABLE ram_spec (
    id                     INTEGER PRIMARY KEY,
    label                  VARCHAR(255),
    ddr_generation         VARCHAR(16) NOT NULL DEFAULT 'unknown' CHECK (ddr_generation IN
        ('ddr3', 'ddr4', 'ddr5', 'lpddr4', 'lpddr4x', 'lpddr5', 'lpddr5x', 'hbm2', 'hbm3', 'unknown')),
    speed_mhz              BIGINT,
    module_count           BIGINT,
    capacity_per_module_gb BIGINT,
    total_capacity_gb      BIGINT
);
CREATE UNIQUE INDEX ram_spec_once ON ram_spec (
    ddr_generation, coalesce(speed_mhz, -1), coalesce(module_count, -1),
    coalesce(capacity_per_module_gb, -1), coalesce(total_capacity_gb, -1)
);

CREATE TABLE storage_profile (
    id               INTEGER PRIMARY KEY,
    label            VARCHAR(255),
    medium           VARCHAR(16) NOT NULL DEFAULT 'unknown' CHECK (medium IN
        ('nvme', 'sata_ssd', 'hdd', 'hybrid', 'emmc', 'ufs', 'unknown')),
    interface        VARCHAR(64),
    form_factor      VARCHAR(64),
    capacity_gb      BIGINT,
    performance_tier VARCHAR(64)
);
CREATE UNIQUE INDEX storage_profile_once ON storage_profile (
    medium, coalesce(interface, ''), coalesce(form_factor, ''), coalesce(capacity_gb, -1),
    coalesce(performance_tier, '')
);

CREATE TABLE profile (
    id                      INTEGER PRIMARY KEY,
    name                    VARCHAR(128) NOT NULL UNIQUE,
    weights_json            TEXT NOT NULL,
    rule_group_weights_json TEXT NOT NULL,
    is_default              BOOLEAN NOT NULL DEFAULT FALSE
);

CREATE TABLE valuation_ruleset (
    id              INTEGER PRIMARY KEY,
    name            VARCHAR(128) NOT NULL UNIQUE,
    version         VARCHAR(32) NOT NULL,
    is_active       BOOLEAN NOT NULL DEFAULT TRUE,
    priority        BIGINT NOT NULL DEFAULT 10,
    conditions_json TEXT
);

CREATE TABLE listing (
    id                         INTEGER PRIMARY KEY,
    title                      VARCHAR(255) NOT NULL,
    listing_url                TEXT,
    seller                     VARCHAR(128),
    price_usd                  DOUBLE PRECISION,
    price_date                 TIMESTAMP,
    condition                  VARCHAR(16) NOT NULL DEFAULT 'used' CHECK (condition IN ('new', 'refurb', 'used')),
    status                     VARCHAR(16) NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'archived', 'pending')),
    quality                    VARCHAR(20) NOT NULL DEFAULT 'full' CHECK (quality IN ('full', 'partial')),
    extraction_metadata_json   TEXT,
    missing_fields             TEXT,
    vendor_item_id             VARCHAR(128),
    marketplace                VARCHAR(16) NOT NULL DEFAULT 'other' CHECK (marketplace IN ('ebay', 'amazon', 'other')),
    provenance                 VARCHAR(64),
    last_seen_at               TIMESTAMP,
    dedup_hash                 VARCHAR(64),
    device_model               VARCHAR(255),
    ram_gb                     BIGINT NOT NULL DEFAULT 0,
    ram_notes                  TEXT,
    primary_storage_gb         BIGINT NOT NULL DEFAULT 0,
    primary_storage_type       VARCHAR(64),
    secondary_storage_gb       BIGINT,
    secondary_storage_type     VARCHAR(64),
    os_license                 VARCHAR(64),
    other_components           TEXT,
    notes                      TEXT,
    raw_listing_json           TEXT,
    attributes_json            TEXT,
    other_urls                 TEXT,
    -- Taken from raw_listing_json and attributes_json when they are written: a list must not read
    -- and parse kilobytes for each row.
    thumbnail_url              TEXT,
    adjusted_price_usd         DOUBLE PRECISION,
    valuation_breakdown_json   TEXT,
    score_cpu_multi            DOUBLE PRECISION,
    score_cpu_single           DOUBLE PRECISION,
    score_gpu                  DOUBLE PRECISION,
    score_composite            DOUBLE PRECISION,
    dollar_per_cpu_mark        DOUBLE PRECISION,
    dollar_per_single_mark     DOUBLE PRECISION,
    perf_per_watt              DOUBLE PRECISION,
    dollar_per_cpu_mark_single DOUBLE PRECISION,
    dollar_per_cpu_mark_single_adjusted DOUBLE PRECISION,
    dollar_per_cpu_mark_multi  DOUBLE PRECISION,
    dollar_per_cpu_mark_multi_adjusted DOUBLE PRECISION,
    manufacturer               VARCHAR(64),
    series                     VARCHAR(128),
    model_number               VARCHAR(128),
    form_factor                VARCHAR(32),
    cpu_id                     BIGINT REFERENCES cpu (id) ON DELETE SET NULL,
    gpu_id                     BIGINT REFERENCES gpu (id) ON DELETE SET NULL,
    ports_profile_id           BIGINT REFERENCES ports_profile (id) ON DELETE SET NULL,
    active_profile_id          BIGINT REFERENCES profile (id) ON DELETE SET NULL,
    ruleset_id                 BIGINT REFERENCES valuation_ruleset (id) ON DELETE SET NULL,
    ram_spec_id                BIGINT REFERENCES ram_spec (id) ON DELETE SET NULL,
    primary_storage_profile_id BIGINT REFERENCES storage_profile (id) ON DELETE SET NULL,
    secondary_storage_profile_id BIGINT REFERENCES storage_profile (id) ON DELETE SET NULL,
    created_at                 TIMESTAMP NOT NULL,
    updated_at                 TIMESTAMP NOT NULL
);
-- Items without a number of the vendor do not clash.
CREATE UNIQUE INDEX listing_vendor_item ON listing (vendor_item_id, marketplace);
CREATE INDEX listing_updated ON listing (updated_at, id);
CREATE INDEX listing_created ON listing (created_at, id);
CREATE INDEX listing_price ON listing (price_usd, id);
CREATE INDEX listing_adjusted_price ON listing (adjusted_price_usd, id);
CREATE INDEX listing_manufacturer ON listing (manufacturer, id);
CREATE INDEX listing_form_factor ON listing (form_factor, id);
CREATE INDEX listing_per_mark_multi ON listing (dollar_per_cpu_mark_multi, id);
CREATE INDEX listing_per_mark_single ON listing (dollar_per_cpu_mark_single, id);
CREATE INDEX listing_cpu ON listing (cpu_id);
CREATE INDEX listing_gpu ON listing (gpu_id);
CREATE INDEX listing_ports_profile ON listing (ports_profile_id);
CREATE INDEX listing_active_profile ON listing (active_profile_id);
CREATE INDEX listing_ruleset ON listing (ruleset_id);
CREATE INDEX listing_ram_spec ON listing (ram_spec_id);
CREATE INDEX listing_primary_storage ON listing (primary_storage_profile_id);
CREATE INDEX listing_secondary_storage ON listing (secondary_storage_profile_id);

CREATE TABLE listing_component (
    id                   INTEGER PRIMARY KEY,
    listing_id           BIGINT NOT NULL REFERENCES listing (id) ON DELETE CASCADE,
    component_type       VARCHAR(64) NOT NULL,
    name                 VARCHAR(255),
    quantity             BIGINT NOT NULL DEFAULT 1,
    metadata_json        TEXT,
    adjustment_value_usd DOUBLE PRECISION
);
CREATE INDEX listing_component_listing ON listing_component (listing_id, id);

CREATE TABLE listing_score_snapshot (
    id                 INTEGER PRIMARY KEY,
    listing_id         BIGINT NOT NULL REFERENCES listing (id) ON DELETE CASCADE,
    profile_id         BIGINT REFERENCES profile (id) ON DELETE SET NULL,
    score_composite    DOUBLE PRECISION,
    price_usd          DOUBLE PRECISION,
    adjusted_price_usd DOUBLE PRECISION,
    explain_json       TEXT,
    created_at         TIMESTAMP NOT NULL
);
CREATE INDEX listing_score_snapshot_listing ON listing_score_snapshot (listing_id);
CREATE INDEX listing_score_snapshot_profile ON listing_score_snapshot (profile_id);
