DROP TABLE changefeed;
DROP TABLE change_category;
DROP TABLE tuf_files;
