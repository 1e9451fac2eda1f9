-- A MAC under the root key over each row that the budget stands on. Empty where the row was written since: the transaction
-- that wrote it makes the MAC before it ends, so a row without one was written by somebody else.
ALTER TABLE run ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE charge ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE ledger ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
ALTER TABLE service_state ADD COLUMN mac BLOB NOT NULL DEFAULT x'';
CREATE INDEX run_open ON run (run_id) WHERE length(mac) = 0;
CREATE INDEX charge_open ON charge (charge_id) WHERE length(mac) = 0;
CREATE INDEX ledger_open ON ledger (family) WHERE length(mac) = 0;
CREATE INDEX service_state_open ON service_state (name) WHERE length(mac) = 0;
CREATE TRIGGER run_changed AFTER UPDATE ON run WHEN NEW.mac = OLD.mac AND length(OLD.mac) > 0
BEGIN UPDATE run SET mac = x'' WHERE run_id = NEW.run_id; END;
CREATE TRIGGER charge_changed AFTER UPDATE ON charge WHEN NEW.mac = OLD.mac AND length(OLD.mac) > 0
BEGIN UPDATE charge SET mac = x'' WHERE charge_id = NEW.charge_id; END;
CREATE TRIGGER ledger_changed AFTER UPDATE ON ledger WHEN NEW.mac = OLD.mac AND length(OLD.mac) > 0
BEGIN UPDATE ledger SET mac = x'' WHERE family = NEW.family AND scope = NEW.scope; END;
CREATE TRIGGER service_state_changed AFTER UPDATE ON service_state WHEN NEW.mac = OLD.mac AND length(OLD.mac) > 0
BEGIN UPDATE service_state SET mac = x'' WHERE name = NEW.name; END;

-- One row per transaction that wrote: a random word, and a MAC over it and over how many rows there were afterwards. A
-- process finds the word that it saw last, or the database was put back beneath it.
CREATE TABLE generation (
  n INTEGER PRIMARY KEY NOT NULL,
  nonce TEXT NOT NULL,
  mac TEXT NOT NULL
) STRICT;
