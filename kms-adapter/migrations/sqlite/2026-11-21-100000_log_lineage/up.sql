-- Heads by the origin of their log: one that succeeded another has sizes of its own. '' is the log that was pinned then.
CREATE TABLE log_head_new (
  origin TEXT NOT NULL,
  size INTEGER NOT NULL,
  root TEXT NOT NULL,
  seen_at INTEGER NOT NULL,
  PRIMARY KEY (origin, size)
) STRICT;
INSERT INTO log_head_new SELECT '', size, root, seen_at FROM log_head;
DROP TABLE log_head;
ALTER TABLE log_head_new RENAME TO log_head;
-- The longest lineage of the log's keys that was shown and followed.
CREATE TABLE log_lineage (
  id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  lineage TEXT NOT NULL
) STRICT;
