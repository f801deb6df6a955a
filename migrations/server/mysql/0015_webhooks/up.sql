-- How far each webhook was told of the changes, and the events that it could not be told.
CREATE TABLE IF NOT EXISTS webhooks (
    name VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
    settled INT NOT NULL,
    updated_at DATETIME NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
CREATE TABLE IF NOT EXISTS undelivered_events (
    webhook VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    change_id INT NOT NULL,
    reason TEXT NOT NULL,
    failed_at DATETIME NOT NULL,
    PRIMARY KEY (webhook, change_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
