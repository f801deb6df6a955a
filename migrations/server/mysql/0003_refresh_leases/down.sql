DROP TABLE refresh_leases;
