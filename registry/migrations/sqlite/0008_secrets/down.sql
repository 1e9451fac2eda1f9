-- What is forgotten does not come back.
SELECT 1;
