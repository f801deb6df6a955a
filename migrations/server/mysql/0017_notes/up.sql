-- What people note: about a key (such as: held offline), and why an account was disabled. Every statement may be repeated.
SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'account_keys' AND column_name = 'note') > 0,
    'DO 0', 'ALTER TABLE account_keys ADD COLUMN note VARCHAR(255)');
PREPARE changing FROM @statement;
EXECUTE changing;
DEALLOCATE PREPARE changing;

SET @statement = IF((SELECT COUNT(*) FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'accounts' AND column_name = 'disabled_reason') > 0,
    'DO 0', 'ALTER TABLE accounts ADD COLUMN disabled_reason VARCHAR(255)');
PREPARE changing FROM @statement;
EXECUTE changing;
DEALLOCATE PREPARE changing;
