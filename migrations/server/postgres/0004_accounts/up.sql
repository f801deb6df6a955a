-- Accounts, and the public keys that certificates of theirs have. Groups are a JSON list of texts.
CREATE TABLE accounts (
    name VARCHAR(255) PRIMARY KEY NOT NULL,
    full_name VARCHAR(255),
    is_admin BOOLEAN NOT NULL,
    group_names TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    disabled_at TIMESTAMP
);
-- One key has three names: the hash of its SubjectPublicKeyInfo, its ID in metadata as a bare key, and its ID there
-- as a certificate.
CREATE TABLE account_keys (
    spki_sha256 VARCHAR(64) PRIMARY KEY NOT NULL,
    account VARCHAR(255) NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    label VARCHAR(255),
    public_key TEXT NOT NULL,
    certificate TEXT,
    key_id VARCHAR(64) NOT NULL,
    certificate_key_id VARCHAR(64),
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX account_keys_account_idx ON account_keys (account);
