-- What people note: about a key (such as: held offline), and why an account was disabled.
ALTER TABLE account_keys ADD COLUMN note VARCHAR(255);
ALTER TABLE accounts ADD COLUMN disabled_reason VARCHAR(255);
