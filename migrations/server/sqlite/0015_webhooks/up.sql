-- How far each webhook was told of the changes, and the events that it could not be told.
CREATE TABLE webhooks (
    name VARCHAR(64) NOT NULL PRIMARY KEY,
    settled INTEGER NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE TABLE undelivered_events (
    webhook VARCHAR(64) NOT NULL,
    change_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    failed_at TIMESTAMP NOT NULL,
    PRIMARY KEY (webhook, change_id)
);
