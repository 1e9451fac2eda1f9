-- Times are microseconds since 1970.

-- Messages of the contract service, each once by its `webhook-id`.
CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY NOT NULL,
  sha256      BLOB NOT NULL,
  received_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Instructions to pay. `body` is the message's `data` as it came; the other columns are an index of it.
CREATE TABLE instructions (
  id           TEXT PRIMARY KEY NOT NULL,
  payer        TEXT NOT NULL,
  payee        TEXT NOT NULL,
  currency     TEXT NOT NULL,
  amount_minor INTEGER NOT NULL,
  act          TEXT NOT NULL,
  from_block   TEXT,
  body         TEXT NOT NULL,
  state        TEXT NOT NULL,
  reference    TEXT,
  settled_as   TEXT,
  batch        TEXT REFERENCES batches (id),
  not_before   INTEGER NOT NULL,
  created_at   INTEGER NOT NULL,
  changed_at   INTEGER NOT NULL,
  note         TEXT
) STRICT;
CREATE INDEX instructions_by_state ON instructions (state, not_before);
CREATE INDEX instructions_by_batch ON instructions (batch);

-- What is handed to the payment system in one go. Written before it is handed over, so that a repetition is the same.
CREATE TABLE batches (
  id         TEXT PRIMARY KEY NOT NULL,
  planned_at INTEGER NOT NULL,
  attempts   INTEGER NOT NULL,
  not_before INTEGER NOT NULL,
  handed_at  INTEGER,
  note       TEXT
) STRICT;
CREATE INDEX batches_open ON batches (not_before) WHERE handed_at IS NULL;

-- What the contract service must be told. `envelope` is signed once, and the same bytes are sent until they are taken.
CREATE TABLE answers (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  kind        TEXT NOT NULL,
  subject     TEXT NOT NULL,
  body        TEXT NOT NULL,
  envelope    BLOB,
  attempts    INTEGER NOT NULL,
  not_before  INTEGER NOT NULL,
  taken_at    INTEGER,
  refused     TEXT,
  UNIQUE (kind, subject)
) STRICT;
CREATE INDEX answers_open ON answers (not_before) WHERE taken_at IS NULL AND refused IS NULL;

-- What the payment system told, each once: its own event ids, and files by their bytes.
CREATE TABLE heard (
  id       TEXT PRIMARY KEY NOT NULL,
  sha256   BLOB NOT NULL,
  heard_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Money that moved and belongs to no instruction as it stands.
CREATE TABLE unmatched (
  reference    TEXT PRIMARY KEY NOT NULL,
  instruction  TEXT,
  direction    TEXT NOT NULL,
  amount_minor INTEGER NOT NULL,
  currency     TEXT NOT NULL,
  why          TEXT NOT NULL,
  found_at     INTEGER NOT NULL
) STRICT;
