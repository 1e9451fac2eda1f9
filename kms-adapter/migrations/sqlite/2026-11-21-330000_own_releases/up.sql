-- What the provider let out by itself, outside any run: its signed act, one per file. It counts in every ledger of its
-- family. The MAC is as those of the other rows that the budget stands on.
CREATE TABLE own_release (
  file_sha256 TEXT PRIMARY KEY NOT NULL,
  family TEXT NOT NULL,
  at INTEGER NOT NULL,
  act BLOB NOT NULL,
  rdp BLOB NOT NULL,
  mac BLOB NOT NULL DEFAULT x''
) STRICT;
CREATE INDEX own_release_by_family ON own_release (family);
CREATE INDEX own_release_open ON own_release (file_sha256) WHERE length(mac) = 0;
CREATE TRIGGER own_release_changed AFTER UPDATE ON own_release WHEN NEW.mac = OLD.mac AND length(OLD.mac) > 0
BEGIN UPDATE own_release SET mac = x'' WHERE file_sha256 = NEW.file_sha256; END;
