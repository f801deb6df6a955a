-- The table of the Notary signer, where it is not there. Tables made by its own migrations, also by the
-- first of them alone, are completed and otherwise left as they are. Every statement may be repeated.
CREATE TABLE IF NOT EXISTS private_keys (
    id INT NOT NULL AUTO_INCREMENT,
    created_at TIMESTAMP NULL DEFAULT NULL,
    updated_at TIMESTAMP NULL DEFAULT NULL,
    deleted_at TIMESTAMP NULL DEFAULT NULL,
    key_id VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    encryption_alg VARCHAR(255) NOT NULL,
    keywrap_alg VARCHAR(255) NOT NULL,
    algorithm VARCHAR(50) NOT NULL,
    passphrase_alias VARCHAR(50) NOT NULL,
    public BLOB NOT NULL,
    private BLOB NOT NULL,
    gun VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    role VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    last_used DATETIME NULL DEFAULT NULL,
    PRIMARY KEY (id),
    UNIQUE KEY key_id (key_id),
    UNIQUE KEY key_id_2 (key_id, algorithm)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3;

SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'private_keys' AND column_name = 'gun');
SET @statement = IF(@missing, 'ALTER TABLE private_keys ADD COLUMN gun VARCHAR(255) NOT NULL, ADD COLUMN role VARCHAR(255) NOT NULL, ADD COLUMN last_used DATETIME NULL DEFAULT NULL', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

-- For the key that waits for its first use.
SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'private_keys' AND index_name = 'private_keys_waiting');
SET @statement = IF(@missing, 'ALTER TABLE private_keys ADD INDEX private_keys_waiting (gun, role, algorithm)', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;

-- The health check opens one key of the default alias.
SET @missing = (SELECT COUNT(*) = 0 FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'private_keys' AND index_name = 'private_keys_alias');
SET @statement = IF(@missing, 'ALTER TABLE private_keys ADD INDEX private_keys_alias (passphrase_alias, id)', 'DO 0');
PREPARE adding FROM @statement;
EXECUTE adding;
DEALLOCATE PREPARE adding;
