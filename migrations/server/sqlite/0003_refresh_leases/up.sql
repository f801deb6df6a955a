-- Which server renews the timestamp of which GUN, and until when the others leave it alone.
CREATE TABLE refresh_leases (
    gun VARCHAR(255) PRIMARY KEY NOT NULL,
    holder VARCHAR(64) NOT NULL,
    held_until TIMESTAMP NOT NULL
);
