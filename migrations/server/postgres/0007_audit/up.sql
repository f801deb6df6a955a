-- What was changed and by whom. Each row's hash covers the record and the hash of the row before it in its chain.
CREATE TABLE audit_log (
    id SERIAL PRIMARY KEY,
    chain VARCHAR(80) NOT NULL,
    sequence INTEGER NOT NULL,
    record TEXT NOT NULL,
    hash VARCHAR(64) NOT NULL,
    UNIQUE (chain, sequence)
);
