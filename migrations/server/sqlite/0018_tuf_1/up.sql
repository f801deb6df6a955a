-- TUF 1.0 repositories. A deleted one stays, with its files, so that its versions never begin anew.
CREATE TABLE native_repositories (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    -- The versions of the newest timestamp and of the snapshot that it names.
    timestamp_version INTEGER NOT NULL,
    snapshot_version INTEGER NOT NULL,
    -- When the first of the two expires.
    expires_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP
);
CREATE INDEX native_repositories_expires_idx ON native_repositories (expires_at);
-- Their metadata, byte for byte.
CREATE TABLE native_files (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    repository VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    version INTEGER NOT NULL,
    data BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    UNIQUE (repository, role, version)
);
-- Metadata that waits for signatures.
CREATE TABLE native_drafts (
    repository VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    data BLOB NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (repository, role)
);
-- Target files, by the SHA-256 of their content in hexadecimal digits.
CREATE TABLE native_targets (
    repository VARCHAR(255) NOT NULL,
    sha256 CHAR(64) NOT NULL,
    data BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (repository, sha256)
);
