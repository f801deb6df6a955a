ALTER TABLE accounts DROP COLUMN disabled_reason;
ALTER TABLE account_keys DROP COLUMN note;
