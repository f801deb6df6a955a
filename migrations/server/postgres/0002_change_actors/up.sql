-- Who made each change: one row beside each changefeed row, which Notary's own programs never read.
CREATE TABLE change_actors (
    change_id INTEGER PRIMARY KEY REFERENCES changefeed (id) ON DELETE CASCADE,
    principal VARCHAR(255) NOT NULL,
    certificate_subject TEXT,
    certificate_issuer TEXT,
    certificate_serial VARCHAR(64),
    peer_address VARCHAR(64)
);
