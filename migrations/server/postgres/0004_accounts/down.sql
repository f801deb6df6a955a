DROP TABLE account_keys;
DROP TABLE accounts;
