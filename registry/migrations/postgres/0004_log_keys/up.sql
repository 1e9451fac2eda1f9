-- For each change of the log's key, by the index of its entry: the checkpoint that the old and the new key both signed.
-- It shows whoever pins one of the two that the other is the log's.
CREATE TABLE log_key_notes (
  idx  BIGINT PRIMARY KEY NOT NULL,
  note TEXT NOT NULL
);
