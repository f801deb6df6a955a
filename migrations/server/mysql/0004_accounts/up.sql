-- Accounts, and the public keys that certificates of theirs have. Groups are a JSON list of texts.
CREATE TABLE IF NOT EXISTS accounts (
    name VARCHAR(255) CHARACTER SET utf8mb4 /*M!100600 COLLATE utf8mb4_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    full_name VARCHAR(255),
    is_admin BOOLEAN NOT NULL,
    group_names TEXT NOT NULL,
    created_at DATETIME NOT NULL,
    disabled_at DATETIME,
    PRIMARY KEY (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
-- One key has three names: the hash of its SubjectPublicKeyInfo, its ID in metadata as a bare key, and its ID there
-- as a certificate.
CREATE TABLE IF NOT EXISTS account_keys (
    spki_sha256 VARCHAR(64) NOT NULL,
    account VARCHAR(255) CHARACTER SET utf8mb4 /*M!100600 COLLATE utf8mb4_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    label VARCHAR(255),
    public_key TEXT NOT NULL,
    certificate TEXT,
    key_id VARCHAR(64) NOT NULL,
    certificate_key_id VARCHAR(64),
    created_at DATETIME NOT NULL,
    PRIMARY KEY (spki_sha256),
    KEY account (account),
    CONSTRAINT account_keys_account FOREIGN KEY (account) REFERENCES accounts (name) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
