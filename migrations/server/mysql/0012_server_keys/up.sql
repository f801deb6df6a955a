-- For which repository and role a key of the server's was handed out, if the signer does not say.
CREATE TABLE IF NOT EXISTS server_keys (
    key_id VARCHAR(64) NOT NULL PRIMARY KEY,
    gun VARCHAR(255) CHARACTER SET utf8mb4 /*M!100600 COLLATE utf8mb4_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    role VARCHAR(255) NOT NULL,
    created_at DATETIME NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
