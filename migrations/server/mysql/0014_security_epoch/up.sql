-- The number of the last change to accounts, their keys or the deny list. Servers keep these in memory, and ask for
-- this number to learn whether their copy is current.
CREATE TABLE IF NOT EXISTS security_epoch (
    id INT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB;
INSERT IGNORE INTO security_epoch (id, epoch) VALUES (1, 1);
