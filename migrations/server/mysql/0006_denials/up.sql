-- Who must not get in: certificates (issuer and serial number, hashed), keys (SHA-256) and principals.
CREATE TABLE IF NOT EXISTS denials (
    kind VARCHAR(16) NOT NULL,
    subject VARCHAR(255) CHARACTER SET utf8mb4 /*M!100600 COLLATE utf8mb4_nopad_bin */ /*!50700 BINARY */ NOT NULL,
    shown VARCHAR(1024) NOT NULL,
    reason VARCHAR(255),
    created_at DATETIME NOT NULL,
    PRIMARY KEY (kind, subject)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
