-- What was changed and by whom. Each row's hash covers the record and the hash of the row before it in its chain.
CREATE TABLE IF NOT EXISTS audit_log (
    id INT NOT NULL AUTO_INCREMENT,
    chain VARCHAR(80) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sequence INT NOT NULL,
    record LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    hash VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (chain, sequence)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
