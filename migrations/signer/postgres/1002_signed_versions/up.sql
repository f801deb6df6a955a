-- The highest version each key has signed. Ours; Notary signers do not know it.
CREATE TABLE signed_versions (
    key_id VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    version BIGINT NOT NULL,
    signed_at TIMESTAMP NOT NULL,
    PRIMARY KEY (key_id, role)
);
