DROP TABLE drafts;
DROP TABLE state_head;
DROP TABLE state_rows;
DROP TABLE log_tiles;
-- The leaves cannot be taken with SQL: whoever goes back starts from a backup or from an empty log.
ALTER TABLE log_entries ADD COLUMN leaf BYTEA NOT NULL DEFAULT '';
ALTER TABLE log_entries ALTER COLUMN leaf DROP DEFAULT;
CREATE TABLE log_hashes (
  level INTEGER NOT NULL,
  idx   BIGINT NOT NULL,
  hash  BYTEA NOT NULL,
  PRIMARY KEY (level, idx)
);
