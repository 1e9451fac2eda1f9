-- One TDP's cupboard. Signed bytes stand verbatim; columns are an index of them. Times are microseconds since 1970.

-- Key-encryption keys, each wrapped under the root key.
CREATE TABLE kek (
  version INTEGER PRIMARY KEY NOT NULL,
  wrapped BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  mac BLOB NOT NULL
) STRICT;

-- Data keys, each wrapped under a key-encryption key. The MAC covers every other column.
CREATE TABLE data_key (
  key_id TEXT PRIMARY KEY NOT NULL,
  provider TEXT NOT NULL,
  dataset_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  manifest_root TEXT NOT NULL,
  min_assurance TEXT NOT NULL,
  kek_version INTEGER NOT NULL REFERENCES kek (version),
  wrapped BLOB NOT NULL,
  import_sha256 TEXT NOT NULL,
  imported_at INTEGER NOT NULL,
  mac BLOB NOT NULL,
  UNIQUE (dataset_id, version)
) STRICT;

-- Challenges, single use.
CREATE TABLE challenge (
  challenge_id TEXT PRIMARY KEY NOT NULL,
  payload BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  used INTEGER NOT NULL CHECK (used IN (0, 1))
) STRICT;
CREATE INDEX challenge_by_expiry ON challenge (expires_at);

-- Which contracts a challenge was asked for, to bound the open ones.
CREATE TABLE challenge_contract (
  contract_id TEXT NOT NULL,
  challenge_id TEXT NOT NULL REFERENCES challenge (challenge_id) ON DELETE CASCADE,
  PRIMARY KEY (contract_id, challenge_id)
) STRICT;
CREATE INDEX challenge_contract_by_challenge ON challenge_contract (challenge_id);

-- Statements of this service: signed receipts, chained by the digest of the payload before.
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY NOT NULL,
  prev TEXT NOT NULL,
  sha256 TEXT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  envelope BLOB NOT NULL
) STRICT;

-- Runs that reserved budget here; one row per run.
CREATE TABLE run (
  run_id TEXT PRIMARY KEY NOT NULL,
  reservation_id TEXT NOT NULL UNIQUE,
  state TEXT NOT NULL CHECK (state IN ('reserved', 'charged', 'committed', 'expired', 'refunded')),
  expires_at INTEGER NOT NULL,
  lease_until INTEGER,
  reserved_seq INTEGER NOT NULL REFERENCES journal (seq),
  -- The last statement: where assurance, transcript and evidence of the run stand.
  last_seq INTEGER NOT NULL REFERENCES journal (seq),
  bundle BLOB NOT NULL,
  run_jwk TEXT NOT NULL
) STRICT;
CREATE INDEX run_by_expiry ON run (state, expires_at);

-- The ledger: what each run costs a family. The state is the run's; `scope` is the consumer or `global`.
CREATE TABLE charge (
  charge_id INTEGER PRIMARY KEY NOT NULL,
  run_id TEXT NOT NULL REFERENCES run (run_id),
  family TEXT NOT NULL,
  tdc TEXT NOT NULL,
  scope TEXT NOT NULL,
  contract_id TEXT NOT NULL,
  dataset_id TEXT NOT NULL,
  version INTEGER NOT NULL,
  event BLOB NOT NULL,
  at INTEGER NOT NULL,
  UNIQUE (run_id, dataset_id, version)
) STRICT;
CREATE INDEX charge_by_ledger ON charge (family, tdc);
CREATE INDEX charge_by_contract ON charge (contract_id, dataset_id);

-- Ids of requests and assertions that were used.
CREATE TABLE used_once (
  scope TEXT NOT NULL,
  jti TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (scope, jti)
) STRICT;
