DROP TABLE own_release;
