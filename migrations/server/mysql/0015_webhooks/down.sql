DROP TABLE undelivered_events;
DROP TABLE webhooks;
