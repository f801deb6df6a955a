-- Who made each change: one row beside each changefeed row, which Notary's own programs never read.
CREATE TABLE IF NOT EXISTS change_actors (
    change_id INT NOT NULL,
    principal VARCHAR(255) NOT NULL,
    certificate_subject TEXT,
    certificate_issuer TEXT,
    certificate_serial VARCHAR(64),
    peer_address VARCHAR(64),
    PRIMARY KEY (change_id),
    CONSTRAINT change_actors_change FOREIGN KEY (change_id) REFERENCES changefeed (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
