DROP TABLE shown;
