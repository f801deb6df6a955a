-- Notary's own tables are not ours to drop.
SELECT 1;
