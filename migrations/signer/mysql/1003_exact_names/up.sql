-- Names in tables that Notary made are compared exactly from now on, as in ours: two that differ
-- only in case or trailing blanks are two. Notary's programs do not mind. The server copies the table for it; what reads and
-- writes waits meanwhile. Other engines compare exactly anyhow. Every statement may be repeated.
SET @exact = (SELECT IF(COUNT(*) > 0, '_nopad_bin', '_bin') FROM information_schema.collations
    WHERE collation_name LIKE 'utf8%nopad_bin');

SET @changes = (SELECT GROUP_CONCAT(
        CONCAT('MODIFY ', column_name, ' ', column_type, ' CHARACTER SET ', character_set_name,
            ' COLLATE ', character_set_name, @exact, ' NOT NULL') SEPARATOR ', ')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'private_keys' AND column_name IN ('key_id', 'gun', 'role')
        AND collation_name <> CONCAT(character_set_name, @exact));
SET @statement = IF(@changes IS NULL, 'DO 0', CONCAT('ALTER TABLE private_keys ', @changes));
PREPARE changing FROM @statement;
EXECUTE changing;
DEALLOCATE PREPARE changing;
