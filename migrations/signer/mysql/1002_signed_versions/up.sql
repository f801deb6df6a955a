-- The highest version each key has signed. Ours; Notary signers do not know it.
CREATE TABLE IF NOT EXISTS signed_versions (
    key_id VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
    signed_at DATETIME NOT NULL,
    PRIMARY KEY (key_id, role)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3 COLLATE = utf8mb3_bin;
