-- How often each repository was pulled. A pull adds to a count in memory, which is added to this one every few seconds.
CREATE TABLE pull_counts (
    gun VARCHAR(255) NOT NULL PRIMARY KEY,
    pulls BIGINT NOT NULL
);
