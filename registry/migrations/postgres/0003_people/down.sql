DROP TABLE sessions;
DROP TABLE ceremonies;
DROP TABLE recovery_codes;
DROP TABLE oidc_subjects;
DROP TABLE passkeys;
DROP TABLE enrolments;
DROP TABLE people;
