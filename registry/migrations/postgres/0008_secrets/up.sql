-- Releases before kept the whole answer of a request that made an endpoint or changed its secret. What was kept goes; the row
-- stays, so that the same request again is refused (SECRET_SHOWN) and makes no second endpoint.
UPDATE idempotency_keys SET answer = '\x7b7d'
WHERE route IN ('/v1/webhooks/endpoints', '/v1/webhooks/endpoints/{id}/rotate') AND answer IS NOT NULL;
