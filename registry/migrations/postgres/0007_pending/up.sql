-- The document beside its first signature, so that the second person reads the same bytes.
ALTER TABLE pending_signatures ADD COLUMN document BYTEA;
CREATE INDEX pending_signatures_age ON pending_signatures (created_at);
