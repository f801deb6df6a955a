-- For which repository and role a key of the server's was handed out, if the signer does not say.
CREATE TABLE server_keys (
    key_id VARCHAR(64) NOT NULL PRIMARY KEY,
    gun VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    created_at TIMESTAMP NOT NULL
);
