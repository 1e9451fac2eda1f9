DROP TABLE log_lineage;
CREATE TABLE log_head_old (
  size BIGINT PRIMARY KEY NOT NULL,
  root TEXT NOT NULL,
  seen_at BIGINT NOT NULL
);
-- Of logs that one after the other stood here, the longest head of a size stays.
INSERT INTO log_head_old SELECT size, MAX(root), MAX(seen_at) FROM log_head GROUP BY size;
DROP TABLE log_head;
ALTER TABLE log_head_old RENAME TO log_head;
