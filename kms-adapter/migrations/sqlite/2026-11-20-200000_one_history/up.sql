-- Heads of the log that this service was shown, by size. A second root for a size is proof of two histories.
CREATE TABLE log_head (
  size INTEGER PRIMARY KEY NOT NULL,
  root TEXT NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT;
