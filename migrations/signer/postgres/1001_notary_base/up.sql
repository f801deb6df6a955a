-- The table of the Notary signer, where it is not there; a table made by its own migrations is used as it is.
CREATE TABLE IF NOT EXISTS private_keys (
    id SERIAL PRIMARY KEY,
    created_at TIMESTAMP NULL DEFAULT NULL,
    updated_at TIMESTAMP NULL DEFAULT NULL,
    deleted_at TIMESTAMP NULL DEFAULT NULL,
    key_id VARCHAR(255) NOT NULL,
    encryption_alg VARCHAR(255) NOT NULL,
    keywrap_alg VARCHAR(255) NOT NULL,
    algorithm VARCHAR(50) NOT NULL,
    passphrase_alias VARCHAR(50) NOT NULL,
    public BYTEA NOT NULL,
    private BYTEA NOT NULL,
    gun VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    last_used TIMESTAMP NULL DEFAULT NULL,
    CONSTRAINT key_id UNIQUE (key_id),
    CONSTRAINT key_id_2 UNIQUE (key_id, algorithm)
);
-- For the key that waits for its first use. Not unique: Notary's signer may have made several.
CREATE INDEX IF NOT EXISTS private_keys_waiting ON private_keys (gun, role, algorithm, key_id)
    WHERE last_used IS NULL AND deleted_at IS NULL;
-- The health check opens one key of the default alias.
CREATE INDEX IF NOT EXISTS private_keys_alias ON private_keys (passphrase_alias, id) WHERE deleted_at IS NULL;
