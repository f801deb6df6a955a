-- The tables of the Notary server, where they are not there. Databases made by its own migrations, also by
-- the first of them alone (without the changefeed), are completed and otherwise left as they are.
CREATE TABLE IF NOT EXISTS tuf_files (
    id SERIAL PRIMARY KEY,
    created_at TIMESTAMP NULL DEFAULT NULL,
    updated_at TIMESTAMP NULL DEFAULT NULL,
    deleted_at TIMESTAMP NULL DEFAULT NULL,
    gun VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    version INTEGER NOT NULL,
    data BYTEA NOT NULL,
    sha256 CHAR(64) DEFAULT NULL,
    UNIQUE (gun, role, version)
);
ALTER TABLE tuf_files ADD COLUMN IF NOT EXISTS sha256 CHAR(64) DEFAULT NULL;
CREATE INDEX IF NOT EXISTS tuf_files_sha256_idx ON tuf_files (sha256);
UPDATE tuf_files SET sha256 = encode(sha256(data), 'hex') WHERE sha256 IS NULL;

CREATE TABLE IF NOT EXISTS change_category (
    category VARCHAR(20) PRIMARY KEY
);
INSERT INTO change_category VALUES ('update'), ('deletion') ON CONFLICT DO NOTHING;

DO $$
BEGIN
    IF to_regclass('changefeed') IS NULL THEN
        CREATE TABLE changefeed (
            id SERIAL PRIMARY KEY,
            created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
            gun VARCHAR(255) NOT NULL,
            version INTEGER NOT NULL,
            sha256 CHAR(64) DEFAULT NULL,
            category VARCHAR(20) NOT NULL DEFAULT 'update' REFERENCES change_category (category)
        );
        CREATE INDEX idx_changefeed_gun ON changefeed (gun);
        INSERT INTO changefeed (created_at, gun, version, sha256)
            SELECT created_at, gun, version, sha256 FROM tuf_files
            WHERE role = 'timestamp' AND deleted_at IS NULL ORDER BY created_at, id;
    END IF;
END $$;
