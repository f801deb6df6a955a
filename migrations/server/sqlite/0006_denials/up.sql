-- Who must not get in: certificates (issuer and serial number, hashed), keys (SHA-256) and principals.
CREATE TABLE denials (
    kind VARCHAR(16) NOT NULL,
    subject VARCHAR(255) NOT NULL,
    shown VARCHAR(1024) NOT NULL,
    reason VARCHAR(255),
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (kind, subject)
);
