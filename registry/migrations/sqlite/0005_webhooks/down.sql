DROP INDEX deliveries_all;
DROP INDEX deliveries_order;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_open ON deliveries (not_before) WHERE done_at IS NULL AND dead_at IS NULL;
ALTER TABLE deliveries DROP COLUMN history;
ALTER TABLE deliveries DROP COLUMN last_answer;
ALTER TABLE deliveries DROP COLUMN last_millis;
ALTER TABLE deliveries DROP COLUMN seq;

DROP INDEX webhook_endpoints_owner;
ALTER TABLE webhook_endpoints DROP COLUMN former_until;
ALTER TABLE webhook_endpoints DROP COLUMN former_seed;
ALTER TABLE webhook_endpoints DROP COLUMN former_secret;
ALTER TABLE webhook_endpoints DROP COLUMN failing_since;
ALTER TABLE webhook_endpoints DROP COLUMN disabled_why;
ALTER TABLE webhook_endpoints DROP COLUMN paused_at;
ALTER TABLE webhook_endpoints DROP COLUMN ordered;

DROP INDEX outbox_age;
DROP INDEX outbox_open;
CREATE INDEX outbox_open ON outbox (created_at) WHERE dispatched_at IS NULL;
ALTER TABLE outbox DROP COLUMN about;
ALTER TABLE outbox DROP COLUMN seq;
