DROP TABLE pending_keys;
