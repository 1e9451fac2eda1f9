-- A MAC under the root key over each row that the budget stands on. Empty where the row was written since: the transaction
-- that wrote it makes the MAC before it ends, so a row without one was written by somebody else.
ALTER TABLE run ADD COLUMN mac BYTEA NOT NULL DEFAULT ''::bytea;
ALTER TABLE charge ADD COLUMN mac BYTEA NOT NULL DEFAULT ''::bytea;
ALTER TABLE ledger ADD COLUMN mac BYTEA NOT NULL DEFAULT ''::bytea;
ALTER TABLE service_state ADD COLUMN mac BYTEA NOT NULL DEFAULT ''::bytea;
CREATE INDEX run_open ON run (run_id) WHERE length(mac) = 0;
CREATE INDEX charge_open ON charge (charge_id) WHERE length(mac) = 0;
CREATE INDEX ledger_open ON ledger (family) WHERE length(mac) = 0;
CREATE INDEX service_state_open ON service_state (name) WHERE length(mac) = 0;
CREATE FUNCTION depa_row_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.mac := ''::bytea;
  RETURN NEW;
END $$;
CREATE TRIGGER run_changed BEFORE UPDATE ON run
  FOR EACH ROW WHEN (NEW.mac = OLD.mac) EXECUTE FUNCTION depa_row_changed();
CREATE TRIGGER charge_changed BEFORE UPDATE ON charge
  FOR EACH ROW WHEN (NEW.mac = OLD.mac) EXECUTE FUNCTION depa_row_changed();
CREATE TRIGGER ledger_changed BEFORE UPDATE ON ledger
  FOR EACH ROW WHEN (NEW.mac = OLD.mac) EXECUTE FUNCTION depa_row_changed();
CREATE TRIGGER service_state_changed BEFORE UPDATE ON service_state
  FOR EACH ROW WHEN (NEW.mac = OLD.mac) EXECUTE FUNCTION depa_row_changed();

-- One row per transaction that wrote: a random word, and a MAC over it and over how many rows there were afterwards. A
-- process finds the word that it saw last, or the database was put back beneath it.
CREATE TABLE generation (
  n BIGINT PRIMARY KEY NOT NULL,
  nonce TEXT NOT NULL,
  mac TEXT NOT NULL
);
