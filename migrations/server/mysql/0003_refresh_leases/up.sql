-- Which server renews the timestamp of which GUN, and until when the others leave it alone.
CREATE TABLE IF NOT EXISTS refresh_leases (
    gun VARCHAR(255) CHARACTER SET utf8mb3 /*M!100600 COLLATE utf8mb3_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    holder VARCHAR(64) NOT NULL,
    held_until DATETIME NOT NULL,
    PRIMARY KEY (gun)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb3;
