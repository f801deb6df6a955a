DROP TABLE security_epoch;
