-- The tables of the Notary server, where they are not there. Databases made by any of its own migrations
-- are completed and otherwise left as they are. Every statement may be repeated: MySQL commits each.
--
-- In tables made here names are compared exactly: MariaDB has a collation that also regards trailing blanks
-- (the first comment is for MariaDB alone, the second for MySQL alone).
CREATE TABLE IF NOT EXISTS tuf_files (
    id INT NOT NULL AUTO_INCREMENT,
    created_at TIMESTAMP NULL DEFAULT NULL,
    updated_at TIMESTAMP NULL DEFAULT NULL,
    deleted_at TIMESTAMP NULL DEFAULT NULL,
    gun VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    role VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    version INT NOT NULL,
    data LONGBLOB NOT NULL,
    sha256 CHAR(64) DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY gun (gun, role, version),
    KEY sha256 (sha256)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3;

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'tuf_files' AND column_name = 'sha256');
SET @statement = IF(@missing, 'ALTER TABLE tuf_files ADD COLUMN sha256 CHAR(64) DEFAULT NULL, ADD INDEX (sha256)', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
UPDATE tuf_files SET sha256 = SHA2(data, 256) WHERE sha256 IS NULL;

CREATE TABLE IF NOT EXISTS change_category (
    category VARCHAR(20) NOT NULL,
    PRIMARY KEY (category)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3;
INSERT IGNORE INTO change_category VALUES ('update'), ('deletion');

CREATE TABLE IF NOT EXISTS changefeed (
    id INT NOT NULL AUTO_INCREMENT,
    created_at TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
    gun VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    version INT NOT NULL,
    sha256 CHAR(64) DEFAULT NULL,
    category VARCHAR(20) NOT NULL DEFAULT 'update',
    PRIMARY KEY (id),
    KEY category (category),
    KEY idx_changefeed_gun (gun),
    CONSTRAINT changefeed_ibfk_1 FOREIGN KEY (category) REFERENCES change_category (category)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3;
-- A new changefeed tells what was published before it was there.
INSERT INTO changefeed (created_at, gun, version, sha256)
    SELECT created_at, gun, version, sha256 FROM tuf_files
    WHERE role = 'timestamp' AND deleted_at IS NULL AND NOT EXISTS (SELECT 1 FROM changefeed)
    ORDER BY created_at, id;
