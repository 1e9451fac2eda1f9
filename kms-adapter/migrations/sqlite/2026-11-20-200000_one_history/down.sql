DROP TABLE log_head;
