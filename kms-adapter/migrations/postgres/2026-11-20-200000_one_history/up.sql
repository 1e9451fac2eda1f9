-- Heads of the log that this service was shown, by size. A second root for a size is proof of two histories.
CREATE TABLE log_head (
  size BIGINT PRIMARY KEY NOT NULL,
  root TEXT NOT NULL,
  seen_at BIGINT NOT NULL
);
