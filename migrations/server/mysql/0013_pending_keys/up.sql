-- Keys that were made at somebody's request and that no root names yet. Whoever asks for many and uses none is stopped,
-- and after a time they are deleted at the signer; a row that was swept stays for a while, so that a publish under way
-- cannot name a key that is gone. The requester is a SHA-256: names may be longer than a key of an index.
CREATE TABLE IF NOT EXISTS pending_keys (
    key_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    gun VARCHAR(255) CHARACTER SET utf8mb4 /*M!100600 COLLATE utf8mb4_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    role VARCHAR(255) NOT NULL,
    requester VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at DATETIME NOT NULL,
    swept_at DATETIME NULL,
    INDEX pending_keys_requester (requester),
    INDEX pending_keys_created (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
