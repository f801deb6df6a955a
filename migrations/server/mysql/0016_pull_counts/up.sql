-- How often each repository was pulled. A pull adds to a count in memory, which is added to this one every few seconds.
CREATE TABLE IF NOT EXISTS pull_counts (
    gun VARCHAR(255) CHARACTER SET utf8mb4 /*M!100600 COLLATE utf8mb4_nopad_bin */ /*!50700 BINARY */ NOT NULL PRIMARY KEY,
    pulls BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
