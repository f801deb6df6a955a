DROP TABLE native_targets;
DROP TABLE native_drafts;
DROP TABLE native_files;
DROP TABLE native_repositories;
