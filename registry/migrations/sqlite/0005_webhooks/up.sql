-- Webhooks: their order, their history, and what an endpoint may be told to do.

-- Place in the log; and the contracts that a message is about, separated by spaces.
ALTER TABLE outbox ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN about TEXT NOT NULL DEFAULT '';
DROP INDEX outbox_open;
CREATE INDEX outbox_open ON outbox (seq, id) WHERE dispatched_at IS NULL;
CREATE INDEX outbox_age ON outbox (created_at, id);

-- Until former_until a former secret and key sign beside the present ones.
ALTER TABLE webhook_endpoints ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhook_endpoints ADD COLUMN paused_at BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN disabled_why TEXT;
ALTER TABLE webhook_endpoints ADD COLUMN failing_since BIGINT;
ALTER TABLE webhook_endpoints ADD COLUMN former_secret BLOB;
ALTER TABLE webhook_endpoints ADD COLUMN former_seed BLOB;
ALTER TABLE webhook_endpoints ADD COLUMN former_until BIGINT;
CREATE INDEX webhook_endpoints_owner ON webhook_endpoints (owner, created_at);

-- The last attempt, and the newest ones as a JSON list.
ALTER TABLE deliveries ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE deliveries ADD COLUMN last_millis INTEGER;
ALTER TABLE deliveries ADD COLUMN last_answer TEXT;
ALTER TABLE deliveries ADD COLUMN history TEXT NOT NULL DEFAULT '[]';
DROP INDEX deliveries_open;
CREATE INDEX deliveries_due ON deliveries (endpoint_id, not_before) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX deliveries_order ON deliveries (endpoint_id, seq, id) WHERE done_at IS NULL AND dead_at IS NULL;
CREATE INDEX deliveries_all ON deliveries (endpoint_id, seq, id);
