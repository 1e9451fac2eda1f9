-- What a room showed when its keys were released; judged again at each renewal.
CREATE TABLE shown (
    run_id TEXT PRIMARY KEY NOT NULL,
    attested BLOB NOT NULL
);
