-- Where a key-encryption key lives. `wrapped` is what the backend asks to be kept; `name` and `reference` are how it
-- names the key and its version. The MAC covers every other column.
ALTER TABLE kek ADD COLUMN backend TEXT NOT NULL DEFAULT 'embedded';
ALTER TABLE kek ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE kek ADD COLUMN reference TEXT NOT NULL DEFAULT '';
ALTER TABLE kek ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'retired', 'destroyed'));

-- HMAC of the data key over its id: a backend that answers with another key is noticed before anything is wrapped.
ALTER TABLE data_key ADD COLUMN commitment BLOB NOT NULL DEFAULT x'';

-- The cost of a charge: its RDP vector, integers rounded up. Empty in rows of an older build until the next start.
ALTER TABLE charge ADD COLUMN rdp BLOB NOT NULL DEFAULT x'';

-- What counts of a family, for one consumer or for all (`global`): the sum of the vectors on the named grid of orders.
-- `rev` rises with every change: a charge is entered only on the sum that it was checked against.
CREATE TABLE ledger (
  family TEXT NOT NULL,
  scope TEXT NOT NULL,
  grid TEXT NOT NULL,
  rdp BLOB NOT NULL,
  rev INTEGER NOT NULL,
  PRIMARY KEY (family, scope)
) STRICT;

-- Signed checkpoints of the journal.
CREATE TABLE checkpoint (
  seq INTEGER PRIMARY KEY NOT NULL,
  at INTEGER NOT NULL,
  envelope BLOB NOT NULL
) STRICT;

-- What the service remembers of itself: whether it must catch up with the log after a restore.
CREATE TABLE service_state (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT;

-- Set where a run's charge is known by a backup or by the log alone: it was reserved when the backup was made and may
-- have been released since, or its receipt came back from the log. It counts for good.
ALTER TABLE run ADD COLUMN lost INTEGER NOT NULL DEFAULT 0 CHECK (lost IN (0, 1));

-- Where the journal goes on after a restore: between the two numbers lies what this service may have said and lost.
CREATE TABLE journal_gap (
  after_seq INTEGER PRIMARY KEY NOT NULL,
  next_seq INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT;
