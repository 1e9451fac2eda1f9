-- Whose folder it is: an adapter of another provider or registry does not open it.
CREATE TABLE owner (
  registry TEXT PRIMARY KEY NOT NULL,
  provider TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Under which reference blocked money was told to have come to the adapter's own account.
CREATE TABLE arrivals (
  instruction TEXT PRIMARY KEY NOT NULL REFERENCES instructions (id),
  reference   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
-- Refunds out of a block.
CREATE INDEX instructions_by_block ON instructions (from_block) WHERE from_block IS NOT NULL;

-- What the contract service said last to an answer that it did not take.
ALTER TABLE answers ADD COLUMN told TEXT;
