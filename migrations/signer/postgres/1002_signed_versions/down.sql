DROP TABLE signed_versions;
