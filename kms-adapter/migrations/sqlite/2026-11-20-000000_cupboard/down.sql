DROP TABLE used_once;
DROP TABLE charge;
DROP TABLE run;
DROP TABLE journal;
DROP TABLE challenge_contract;
DROP TABLE challenge;
DROP TABLE data_key;
DROP TABLE kek;
