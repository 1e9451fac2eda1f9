DROP INDEX pending_signatures_age;
ALTER TABLE pending_signatures DROP COLUMN document;
