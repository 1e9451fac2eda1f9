-- The memory of the registry. Times are microseconds since 1970, digests and signed bytes are kept as they are.
-- Signed bytes are the truth; every other column is an index of them.

-- The transparency log. `record` is the public leaf data; subject, salts and body are for the parties and the SRO.
CREATE TABLE log_entries (
  idx          BIGINT PRIMARY KEY NOT NULL,
  record       BYTEA NOT NULL,
  leaf         BYTEA NOT NULL,
  subject      TEXT NOT NULL,
  subject_salt BYTEA NOT NULL,
  body_salt    BYTEA NOT NULL,
  body         BYTEA NOT NULL
);

-- Hashes of complete subtrees above the leaves: level 1 is two leaves.
CREATE TABLE log_hashes (
  level INTEGER NOT NULL,
  idx   BIGINT NOT NULL,
  hash  BYTEA NOT NULL,
  PRIMARY KEY (level, idx)
);

-- One row. `epoch` fences an older writer; the checkpoint is the signed note over size and root.
CREATE TABLE log_head (
  id         INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
  size       BIGINT NOT NULL,
  root       BYTEA NOT NULL,
  epoch      BIGINT NOT NULL,
  checkpoint TEXT NOT NULL
);

-- Signature lines of witnesses over a checkpoint.
CREATE TABLE cosignatures (
  size BIGINT NOT NULL,
  name TEXT NOT NULL,
  line TEXT NOT NULL,
  PRIMARY KEY (size, name)
);

-- What must be told, written with the entry that is its cause; `audience` is a JSON list of DIDs, `psp` stands for
-- every payment service provider.
CREATE TABLE outbox (
  id            TEXT PRIMARY KEY NOT NULL,
  topic         TEXT NOT NULL,
  subject       TEXT NOT NULL,
  audience      TEXT NOT NULL,
  payload       TEXT NOT NULL,
  dedupe_key    TEXT NOT NULL UNIQUE,
  created_at    BIGINT NOT NULL,
  dispatched_at BIGINT
);
CREATE INDEX outbox_open ON outbox (created_at) WHERE dispatched_at IS NULL;

CREATE TABLE webhook_endpoints (
  id          TEXT PRIMARY KEY NOT NULL,
  owner       TEXT NOT NULL,
  url         TEXT NOT NULL,
  events      TEXT NOT NULL,
  secret      BYTEA NOT NULL,
  seed        BYTEA NOT NULL,
  created_at  BIGINT NOT NULL,
  disabled_at BIGINT
);

-- One outbox row to one endpoint.
CREATE TABLE deliveries (
  id          TEXT PRIMARY KEY NOT NULL,
  outbox_id   TEXT NOT NULL REFERENCES outbox (id),
  endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id),
  not_before  BIGINT NOT NULL,
  attempts    INTEGER NOT NULL,
  lease_until BIGINT,
  lease_token TEXT,
  done_at     BIGINT,
  dead_at     BIGINT,
  last_status INTEGER,
  UNIQUE (outbox_id, endpoint_id)
);
CREATE INDEX deliveries_open ON deliveries (not_before) WHERE done_at IS NULL AND dead_at IS NULL;

-- Answers to repeated requests, for a day.
CREATE TABLE idempotency_keys (
  client         TEXT NOT NULL,
  route          TEXT NOT NULL,
  key            TEXT NOT NULL,
  request_sha256 BYTEA NOT NULL,
  status         INTEGER,
  answer         BYTEA,
  created_at     BIGINT NOT NULL,
  PRIMARY KEY (client, route, key)
);
CREATE INDEX idempotency_age ON idempotency_keys (created_at);

-- Ids of client assertions that were used.
CREATE TABLE jti_seen (
  issuer     TEXT NOT NULL,
  jti        TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (issuer, jti)
);
CREATE INDEX jti_age ON jti_seen (expires_at);

-- Challenges, each used once.
CREATE TABLE challenges (
  id         TEXT PRIMARY KEY NOT NULL,
  nonce      BYTEA NOT NULL,
  run_id     TEXT NOT NULL,
  job_sha256 BYTEA NOT NULL,
  contracts  TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  checkpoint TEXT NOT NULL,
  used_at    BIGINT
);
CREATE INDEX challenges_age ON challenges (expires_at);

-- First signatures of documents that need two people.
CREATE TABLE pending_signatures (
  sha256       BYTEA NOT NULL,
  payload_type TEXT NOT NULL,
  holder       TEXT NOT NULL,
  signature    TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (sha256, payload_type, holder)
);

-- Ordered jobs waiting for a clean room.
CREATE TABLE run_orders (
  job_sha256  BYTEA PRIMARY KEY NOT NULL,
  ccrp        TEXT NOT NULL,
  bundle      BYTEA NOT NULL,
  state       TEXT NOT NULL,
  lease_until BIGINT,
  lease_token TEXT,
  expires_at  BIGINT NOT NULL,
  created_at  BIGINT NOT NULL
);
CREATE INDEX run_orders_open ON run_orders (ccrp, created_at) WHERE state <> 'started';
