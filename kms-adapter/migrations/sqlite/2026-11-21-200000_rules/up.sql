-- The longest lease in seconds that the rules documents of a run let it have; its renewals keep to it.
ALTER TABLE run ADD COLUMN lease_s INTEGER;
