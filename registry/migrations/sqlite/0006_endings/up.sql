-- Deliveries that ended, by when: what is old is forgotten. And those that were given up, of each endpoint in their order.
CREATE INDEX deliveries_done ON deliveries (done_at) WHERE done_at IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (dead_at) WHERE dead_at IS NOT NULL;
CREATE INDEX deliveries_given_up ON deliveries (endpoint_id, seq, id) WHERE dead_at IS NOT NULL;
-- Endpoints that take nothing now.
CREATE INDEX webhook_endpoints_off ON webhook_endpoints (id) WHERE paused_at IS NOT NULL OR disabled_at IS NOT NULL;
