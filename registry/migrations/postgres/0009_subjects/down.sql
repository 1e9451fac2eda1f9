DROP INDEX log_entries_subject;
