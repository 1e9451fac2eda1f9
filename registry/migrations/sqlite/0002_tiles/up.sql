-- Hashes in tiles of 256 (C2SP tlog-tiles) instead of a row for each; the leaf of an entry stands in its tile. Tree 0 is
-- the log's, tree 1 the second, CCF-shaped one. The tiles of an older database are made again at the next start.
CREATE TABLE log_entries_new (
  idx          INTEGER PRIMARY KEY NOT NULL,
  record       BLOB NOT NULL,
  subject      TEXT NOT NULL,
  subject_salt BLOB NOT NULL,
  body_salt    BLOB NOT NULL,
  body         BLOB NOT NULL
);
INSERT INTO log_entries_new SELECT idx, record, subject, subject_salt, body_salt, body FROM log_entries ORDER BY idx;
DROP TABLE log_entries;
ALTER TABLE log_entries_new RENAME TO log_entries;
DROP TABLE log_hashes;

-- A tile that is not full is the right edge of its level and rewritten once per batch.
CREATE TABLE log_tiles (
  tree   INTEGER NOT NULL,
  level  INTEGER NOT NULL,
  idx    BIGINT NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (tree, level, idx)
);

-- The state as rows, each as of a size of the log; a row without value is gone. Only those up to the size of
-- `state_head` count, the newest of each key; `mac` holds all of them under the registry's key.
CREATE TABLE state_rows (
  noun    TEXT NOT NULL,
  row_key BLOB NOT NULL,
  size    BIGINT NOT NULL,
  value   BLOB,
  PRIMARY KEY (noun, row_key, size)
);
CREATE TABLE state_head (
  id   INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  size BIGINT NOT NULL,
  root BLOB NOT NULL,
  mac  BLOB NOT NULL
);

-- Contracts being written, before anybody has signed.
CREATE TABLE drafts (
  id         TEXT PRIMARY KEY NOT NULL,
  owner      TEXT NOT NULL,
  updated_at BIGINT NOT NULL,
  rev        INTEGER NOT NULL,
  body       TEXT NOT NULL,
  original   BLOB
);
CREATE INDEX drafts_owner ON drafts (owner, updated_at);
