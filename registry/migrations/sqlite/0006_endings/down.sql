DROP INDEX webhook_endpoints_off;
DROP INDEX deliveries_given_up;
DROP INDEX deliveries_dead;
DROP INDEX deliveries_done;
