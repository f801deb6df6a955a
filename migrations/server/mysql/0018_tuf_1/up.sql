-- TUF 1.0 repositories. A deleted one stays, with its files, so that its versions never begin anew.
CREATE TABLE IF NOT EXISTS native_repositories (
    name VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL PRIMARY KEY,
    -- The versions of the newest timestamp and of the snapshot that it names.
    timestamp_version INT NOT NULL,
    snapshot_version INT NOT NULL,
    -- When the first of the two expires.
    expires_at DATETIME NOT NULL,
    created_at DATETIME NOT NULL,
    deleted_at DATETIME NULL,
    KEY native_repositories_expires_idx (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
-- Their metadata, byte for byte.
CREATE TABLE IF NOT EXISTS native_files (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    repository VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    role VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    version INT NOT NULL,
    data LONGBLOB NOT NULL,
    created_at DATETIME NOT NULL,
    UNIQUE (repository, role, version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
-- Metadata that waits for signatures.
CREATE TABLE IF NOT EXISTS native_drafts (
    repository VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    role VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    data LONGBLOB NOT NULL,
    updated_at DATETIME NOT NULL,
    PRIMARY KEY (repository, role)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
-- Target files, by the SHA-256 of their content in hexadecimal digits.
CREATE TABLE IF NOT EXISTS native_targets (
    repository VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    data LONGBLOB NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (repository, sha256)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
