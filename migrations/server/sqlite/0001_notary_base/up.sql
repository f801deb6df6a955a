-- The tables of the Notary server (its schema on other engines, in SQLite's types).
CREATE TABLE tuf_files (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at TIMESTAMP,
    updated_at TIMESTAMP,
    deleted_at TIMESTAMP,
    gun VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    version INTEGER NOT NULL,
    data BLOB NOT NULL,
    sha256 CHAR(64),
    UNIQUE (gun, role, version)
);
CREATE INDEX tuf_files_sha256_idx ON tuf_files (sha256);

CREATE TABLE change_category (
    category VARCHAR(20) PRIMARY KEY NOT NULL
);
INSERT INTO change_category VALUES ('update'), ('deletion');

CREATE TABLE changefeed (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    gun VARCHAR(255) NOT NULL,
    version INTEGER NOT NULL,
    sha256 CHAR(64),
    category VARCHAR(20) NOT NULL DEFAULT 'update' REFERENCES change_category (category)
);
CREATE INDEX idx_changefeed_gun ON changefeed (gun);
