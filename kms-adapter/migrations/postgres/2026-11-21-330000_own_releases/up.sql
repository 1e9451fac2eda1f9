-- What the provider let out by itself, outside any run: its signed act, one per file. It counts in every ledger of its
-- family. The MAC is as those of the other rows that the budget stands on.
CREATE TABLE own_release (
  file_sha256 TEXT PRIMARY KEY NOT NULL,
  family TEXT NOT NULL,
  at BIGINT NOT NULL,
  act BYTEA NOT NULL,
  rdp BYTEA NOT NULL,
  mac BYTEA NOT NULL DEFAULT ''::bytea
);
CREATE INDEX own_release_by_family ON own_release (family);
CREATE INDEX own_release_open ON own_release (file_sha256) WHERE length(mac) = 0;
CREATE TRIGGER own_release_changed BEFORE UPDATE ON own_release
  FOR EACH ROW WHEN (NEW.mac = OLD.mac) EXECUTE FUNCTION depa_row_changed();
