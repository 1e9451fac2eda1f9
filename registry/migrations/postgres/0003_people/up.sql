-- People who sign in. Secrets of links, cookies and codes are kept as hashes only.

-- `member` is the DID of the participant, or of the SRO person, that a person belongs to; `roles` is a JSON list.
CREATE TABLE people (
  id           TEXT PRIMARY KEY NOT NULL,
  member       TEXT NOT NULL,
  name         TEXT NOT NULL,
  roles        TEXT NOT NULL,
  created_at   BIGINT NOT NULL,
  suspended_at BIGINT
);
CREATE INDEX people_member ON people (member, created_at);

-- One-time rights to enrol: links, and what recovery codes opened.
CREATE TABLE enrolments (
  token_sha256 BYTEA PRIMARY KEY NOT NULL,
  person       TEXT NOT NULL,
  member       TEXT NOT NULL,
  name         TEXT NOT NULL,
  roles        TEXT NOT NULL,
  made_by      TEXT NOT NULL,
  expires_at   BIGINT NOT NULL,
  used_at      BIGINT
);
CREATE INDEX enrolments_age ON enrolments (expires_at);

CREATE TABLE passkeys (
  id           TEXT PRIMARY KEY NOT NULL,
  person       TEXT NOT NULL REFERENCES people (id),
  credential   BYTEA NOT NULL UNIQUE,
  label        TEXT NOT NULL,
  passkey      TEXT NOT NULL,
  uses         BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  last_used_at BIGINT
);
CREATE INDEX passkeys_person ON passkeys (person, created_at);

-- Accounts at identity providers.
CREATE TABLE oidc_subjects (
  issuer     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  person     TEXT NOT NULL REFERENCES people (id),
  created_at BIGINT NOT NULL,
  PRIMARY KEY (issuer, subject)
);

-- `selector` finds a code, `hash` is Argon2id of the rest of it.
CREATE TABLE recovery_codes (
  selector TEXT PRIMARY KEY NOT NULL,
  person   TEXT NOT NULL REFERENCES people (id),
  hash     BYTEA NOT NULL,
  used_at  BIGINT
);
CREATE INDEX recovery_codes_person ON recovery_codes (person);

-- Challenges of passkeys and of identity providers, each taken once.
CREATE TABLE ceremonies (
  id         TEXT PRIMARY KEY NOT NULL,
  kind       TEXT NOT NULL,
  subject    TEXT,
  state      TEXT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX ceremonies_age ON ceremonies (expires_at);

-- `standing` is the log index of the decision under which the member stood when the session began.
CREATE TABLE sessions (
  token_sha256  BYTEA PRIMARY KEY NOT NULL,
  person        TEXT NOT NULL REFERENCES people (id),
  method        TEXT NOT NULL,
  standing      BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  seen_at       BIGINT NOT NULL,
  stepped_up_at BIGINT
);
CREATE INDEX sessions_person ON sessions (person);
CREATE INDEX sessions_age ON sessions (created_at);
