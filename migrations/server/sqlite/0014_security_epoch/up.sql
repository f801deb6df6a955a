-- The number of the last change to accounts, their keys or the deny list. Servers keep these in memory, and ask for
-- this number to learn whether their copy is current.
CREATE TABLE security_epoch (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    epoch BIGINT NOT NULL
);
INSERT INTO security_epoch (id, epoch) VALUES (1, 1);
