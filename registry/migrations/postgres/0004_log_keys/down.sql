DROP TABLE log_key_notes;
