ALTER TABLE answers DROP COLUMN told;
DROP INDEX instructions_by_block;
DROP TABLE arrivals;
DROP TABLE owner;
