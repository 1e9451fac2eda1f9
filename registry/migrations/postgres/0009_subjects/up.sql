-- The entries about one subject are found without reading the log.
CREATE INDEX log_entries_subject ON log_entries (subject, idx);
