-- Keys that were made at somebody's request and that no root names yet. Whoever asks for many and uses none is stopped,
-- and after a time they are deleted at the signer; a row that was swept stays for a while, so that a publish under way
-- cannot name a key that is gone. The requester is a SHA-256: names may be longer than a key of an index.
CREATE TABLE pending_keys (
    key_id VARCHAR(64) NOT NULL PRIMARY KEY,
    gun VARCHAR(255) NOT NULL,
    role VARCHAR(255) NOT NULL,
    requester VARCHAR(255) NOT NULL,
    created_at TIMESTAMP NOT NULL,
    swept_at TIMESTAMP
);
CREATE INDEX pending_keys_requester ON pending_keys (requester);
CREATE INDEX pending_keys_created ON pending_keys (created_at);
