-- The table of the Notary signer, with its column names.
CREATE TABLE private_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at TIMESTAMP NULL,
    updated_at TIMESTAMP NULL,
    deleted_at TIMESTAMP NULL,
    key_id VARCHAR(255) NOT NULL,
    encryption_alg VARCHAR(255) NOT NULL,
    keywrap_alg VARCHAR(255) NOT NULL,
    algorithm VARCHAR(50) NOT NULL,
    passphrase_alias VARCHAR(50) NOT NULL,
    public BLOB NOT NULL,
    private BLOB NOT NULL,
    gun VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    last_used TIMESTAMP NULL,
    UNIQUE (key_id),
    UNIQUE (key_id, algorithm)
);

-- One key at a time waits for its first use, however many servers ask for one at once.
CREATE UNIQUE INDEX private_keys_pending ON private_keys (gun, role, algorithm)
    WHERE last_used IS NULL AND deleted_at IS NULL;

-- The health check opens one key of the default alias.
CREATE INDEX private_keys_alias ON private_keys (passphrase_alias, id) WHERE deleted_at IS NULL;
